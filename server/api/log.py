"""The log as tools expect it (C2SP): checkpoint, policy and genesis for everybody, entries for those who may see them.

Hashes are public, entries are not: even pseudonyms make profiles in a small estate (decisions 11). A phone that says in
`X-Linli-Size` how much of the log it has seen gets, with a newer checkpoint, the proof that it continues that.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

import msgspec
from aiohttp import web
from msgspec import Meta

from server.api.call import Call
from server.api.errors import Declined
from server.api.route import PUBLIC, Access, Answer, Header, Media, Query, Routes
from server.api.witnessed import find_witnessed, with_lines
from server.ledger.succession import Link
from server.limits import INTEGER_MAX
from server.record.canonical import b64u_encode

routes = Routes()
CONSISTENCY_HEADER = "X-Linli-Consistency"
"""At most 63 hashes, 2.8 KB: less than what clients and proxies take of headers."""
ENTRIES_AT_ONCE = 500
"""Entries read in one query while a log is streamed."""
READERS = Access(session=True, verified=True)
"""Verified members, and auditors: their role holds on verified devices only."""
Size = Annotated[int, Meta(ge=0, le=INTEGER_MAX)]


@routes.route("GET", "/checkpoint", access=PUBLIC, declines=("behind",))
async def show_checkpoint(
    call: Call, x_linli_size: Annotated[Size, Header] = 0
) -> Annotated[Answer[str], Media("text/plain; charset=utf-8")]:
    """The newest checkpoint that a quorum has signed: note, this node's line, all cosignatures; those of outside
    witnesses too, as soon as they have signed it.

    With the header X-Linli-Size, the answer's X-Linli-Consistency holds the hashes (base64url, separated by spaces)
    that show the log of that size to begin this one. It is absent when this node's checkpoint is not larger.
    """
    text = call.node.checkpoint_text()
    if not text:
        raise Declined("behind", retry_after_s=1)
    text = with_lines(text, await find_witnessed(call))
    size = int(text.split("\n", 2)[1])
    if not 0 < x_linli_size < size:
        return Answer(text, headers=_OPEN)
    proof = await call.node.ledger.consistency_proof(x_linli_size, size)
    return Answer(text, headers={**_OPEN, CONSISTENCY_HEADER: " ".join(map(b64u_encode, proof))})


@routes.route("GET", "/checkpoint/witnessed", access=PUBLIC)
async def show_witnessed(call: Call) -> Annotated[Answer[str], Media("text/plain; charset=utf-8")]:
    """The newest checkpoint that outside witnesses signed: of some minutes ago, where any are asked; else 404."""
    witnessed = await find_witnessed(call)
    if witnessed is None:
        raise Declined("not_found")
    return Answer(witnessed.text, headers=_OPEN)


@routes.route("GET", "/genesis.json", access=PUBLIC)
async def show_genesis(call: Call) -> Annotated[Answer[bytes], Media("application/json")]:
    """The genesis file, byte for byte: its SHA-256 is the cluster id."""
    return Answer(call.node.genesis_bytes, headers={"Cache-Control": "public, max-age=3600", **_ANY_ORIGIN})


@routes.route("GET", "/policy.txt", access=PUBLIC)
async def show_policy(call: Call) -> Annotated[Answer[str], Media("text/plain; charset=utf-8")]:
    """The policy (c2sp.org/tlog-policy): whose signatures make an entry committed, and whose sealed."""
    return Answer(call.node.policy_text, headers={"Cache-Control": "public, max-age=3600", **_ANY_ORIGIN})


class Succession(msgspec.Struct, frozen=True):
    """Links from genesis to the members in force, oldest first; none while they are those of genesis."""

    links: tuple[Link, ...]


@routes.route("GET", "/succession.json", access=PUBLIC, declines=("behind",))
async def show_succession(call: Call) -> Answer[Succession]:
    """How the members of today follow from those of genesis: proofs that anybody checks with genesis alone."""
    links = await call.node.succession()
    if links is None:
        raise Declined("behind", retry_after_s=1)
    return Answer(Succession(tuple(links)), headers={"Cache-Control": "no-cache", **_ANY_ORIGIN})


_ANY_ORIGIN = {"Access-Control-Allow-Origin": "*"}
_OPEN = {"Cache-Control": "no-cache", "Vary": "X-Linli-Size", **_ANY_ORIGIN}
"""The web app asks all nodes at first use, tools from anywhere (decisions 25): public texts may be read by any page."""


class Consistency(msgspec.Struct, frozen=True):
    """The hashes (base64url) that show the log of size `from` to begin that of size `to` (RFC 9162 2.1.4)."""

    proof: tuple[str, ...]


@routes.route("GET", "/api/v1/consistency", access=PUBLIC)
async def show_consistency(call: Call, from_: Annotated[Size, Query], to: Annotated[Size, Query]) -> Consistency:
    """Prove that nothing was changed between two sizes of the log: a phone asks at each visit."""
    if not 0 < from_ <= to <= call.node.ledger.tip.size:
        raise Declined("malformed", "from and to must be sizes of this log, in order", field="from")
    proof = await call.node.ledger.consistency_proof(from_, to)
    return Consistency(tuple(b64u_encode(step) for step in proof))


class LogEntry(msgspec.Struct, frozen=True):
    """One line of an export: the entry's text as a string, so that its bytes survive."""

    index: int
    entry: str


@routes.route("GET", "/api/v1/log", access=READERS)
async def export_log(
    call: Call, begin: Annotated[Size, Query] = 0, end: Annotated[Size, Query] = INTEGER_MAX
) -> Annotated[web.StreamResponse, Media("application/jsonl")]:
    """Entries `begin` (inclusive) to `end` (exclusive), a JSON object a line; for verified members and auditors."""
    response = web.StreamResponse(headers={"Content-Type": "application/jsonl", "Cache-Control": "no-store"})
    await response.prepare(call.request)
    async for lines in _read_lines(call, begin, end):
        await response.write(lines)
    await response.write_eof()
    return response


async def _read_lines(call: Call, begin: int, end: int) -> AsyncIterator[bytes]:
    place = begin
    while place < end:
        entries = await call.node.entries(place, min(ENTRIES_AT_ONCE, end - place))
        if not entries:
            return
        lines = [msgspec.json.encode(LogEntry(place + offset, entry.decode())) for offset, entry in enumerate(entries)]
        yield b"\n".join(lines) + b"\n"
        place += len(entries)
