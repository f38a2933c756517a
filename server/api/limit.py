"""How often one caller may do one thing: counters in the cache, which may be lost.

What must hold for a whole day and over all nodes is counted by `tries` instead.
"""

from __future__ import annotations

from typing import NamedTuple

from server.api.errors import Declined
from server.api.needs import NodeService


class Limit(NamedTuple):
    """At most `most` in `window_s` seconds."""

    name: str
    most: int
    window_s: int


POSTS = Limit("posts", 600, 60)
"""Records of one device: a merchant's till, not a flood; five at a time are in flight anyway."""
REPEATS = Limit("repeats", 3_000, 60)
"""Records handed in again from one address: anybody who reads the log has them, so they count for no device."""
CONFLICTS = Limit("conflicts", 20, 86_400)
"""Ordered records of one device that used a nonce again: its row names each, and is written anew with every one."""
FAULTS = Limit("faults", 300, 60)
"""Malformed or unsigned records of one address. Whole estates share an address: good records are never held up."""
SESSIONS = Limit("sessions", 3_000, 60)
"""Sessions opened or renewed from one address."""
QUESTIONS = Limit("questions", 300, 60)
"""Identity questions from one address, such as the estate's wireless network on the day of a meeting."""
POLLS = Limit("polls", 3_000, 60)
"""Phones at a counter that ask every few seconds whether they were attested; they may share an address."""
SEARCHES = Limit("searches", 120, 60)
"""Searches of people by one member of staff."""
ALIASES = Limit("aliases", 5, 900)
"""Wrong aliases of one member for one shop, while a code lives (decisions 17)."""


async def count(node: NodeService, limit: Limit, subject: str) -> None:
    """Count one more. Raises Declined when it is one too many."""
    if await node.cache.hit(_key(limit, subject), window_ms=limit.window_s * 1000) > limit.most:
        raise Declined("too_many", retry_after_s=limit.window_s)


async def is_over(node: NodeService, limit: Limit, subject: str) -> bool:
    """Has the subject used up the limit?"""
    return await node.cache.hits(_key(limit, subject)) >= limit.most


def _key(limit: Limit, subject: str) -> str:
    return f"limit/{limit.name}/{subject}"
