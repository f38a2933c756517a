"""The links from genesis to the members in force, as this node shows them to phones (`ledger/succession.py`)."""

from __future__ import annotations

from itertools import pairwise

from server.domain.agenda import Seal
from server.ledger.checkpoint import Checkpoint, note_of
from server.ledger.membership import Epoch, Membership
from server.ledger.receipt import proof_text
from server.ledger.succession import Link
from server.node.checkpoints import Published
from server.record.canonical import b64u_decode, b64u_encode, decode
from server.record.shape import parse
from server.storage.ledger import Ledger

_SealOf = tuple[Checkpoint, list[str]]
"""A checkpoint, and the members' lines under it."""


async def make_links(
    ledger: Ledger, membership: Membership, origin: str, newest: Published | None
) -> list[Link] | None:
    """A link for each epoch after the first; None as long as the epoch in force has no checkpoint of its own.

    `newest`: the newest checkpoint that a quorum signed.
    """
    if len(membership.epochs) == 1:
        return []
    if newest is None or newest.size < membership.current.first_size:
        return None
    now = Checkpoint(origin, newest.size, newest.root), [line for _, line in newest.lines]
    seals = [await _seal_before(ledger, before, epoch, origin) for before, epoch in pairwise(membership.epochs)]
    links = []
    for place, epoch in enumerate(membership.epochs[1:]):
        # Signed by its own members: the newest seal before it ended.
        later = seals[place + 1] if place + 1 < len(seals) else now
        sealed = later if epoch.disputed is not None else seals[place]
        if sealed is None or later is None:
            return None
        end = epoch.change_index if epoch.disputed is not None else epoch.first_size
        links.append(Link(await _prove(ledger, epoch.change_index, sealed), await _prove(ledger, end - 1, later)))
    return links


async def _prove(ledger: Ledger, index: int, seal: _SealOf) -> str:
    checkpoint, lines = seal
    entry = await ledger.entry(index)
    assert entry is not None, "the log holds what it has proved"
    hashes = await ledger.inclusion_proof(index, checkpoint.size)
    return proof_text(entry.content, index, hashes, note_of(checkpoint, lines), None)


async def _seal_before(ledger: Ledger, epoch: Epoch, following: Epoch, origin: str) -> _SealOf | None:
    """What members of `epoch` signed last before the next one began.

    A change begins with the seal that shows everybody's signature; a fork has none, and what a quorum signed of the
    kept branch has to do. None where nothing was signed.
    """
    end = following.change_index if following.disputed is not None else following.first_size
    entry = await ledger.newest_of_kind(Seal.kind, end)
    if entry is not None:
        seal = parse(Seal, decode(entry.content)["system"]["body"])
        if seal.size >= epoch.first_size:
            return Checkpoint(origin, seal.size, b64u_decode(seal.root, 32)), [line for line in seal.signatures if line]
    return await _quorum_before(ledger, epoch, end, origin)


async def _quorum_before(ledger: Ledger, epoch: Epoch, end: int, origin: str) -> _SealOf | None:
    size = await ledger.cosignatures.newest_size(len(epoch.members) // 2 + 1, end)
    root = await ledger.root_at(size) if size >= epoch.first_size else None
    if root is None:
        return None
    lines = await ledger.cosignatures.of_size(size)
    return Checkpoint(origin, size, root), [line.line for line in lines if line.root == b64u_encode(root)]
