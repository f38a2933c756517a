"""What a new view starts from: a pure function of the VIEW-CHANGEs, recomputed by everybody (PBFT 4.4, depth one).

It must not depend on which replica computes it, nor on the order of its input: Fabric 0.5 dead-locked when primary and
backups computed it from different sets.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Claim:
    """What one VIEW-CHANGE proves: the sender's last committed height, and the block it had prepared above it."""

    last_height: int
    prepared_view: int = 0
    prepared_block: str = ""
    """Id of a block at last_height + 1 that a quorum prepared in `prepared_view`, or empty."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Where the new view begins: above `base_height`, with `block_id` if one may already be committed there."""

    base_height: int
    block_id: str = ""


def select(claims: Iterable[Claim]) -> Selection:
    """The highest committed height, and of the blocks prepared right above it the one of the highest view.

    Safe because a block committed at base + 1 was prepared by a quorum, which shares an honest member with the quorum
    of VIEW-CHANGEs; that member reports it, or a higher view's successor, or a higher base. `claims` is not empty.
    """
    known = list(claims)
    base = max(claim.last_height for claim in known)
    prepared = [
        (claim.prepared_view, claim.prepared_block)
        for claim in known
        if claim.last_height == base and claim.prepared_block
    ]
    return Selection(base, max(prepared)[1] if prepared else "")
