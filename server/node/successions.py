"""The links from genesis to the members in force, as this node shows them to phones (`ledger/succession.py`)."""

from __future__ import annotations

from server.domain.agenda import Seal
from server.ledger.block import Derived
from server.ledger.checkpoint import Checkpoint, note_of
from server.ledger.membership import Epoch, Membership
from server.ledger.receipt import proof_text
from server.ledger.succession import Link
from server.node.checkpoints import Published
from server.record.canonical import b64u_decode, decode
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
    seals = [await _seal_that_ended(ledger, epoch, origin) for epoch in membership.epochs[1:]]
    links = []
    for place, epoch in enumerate(membership.epochs[1:]):
        change = await _prove(ledger, epoch.change_index, seals[place])
        later = seals[place + 1] if place + 1 < len(seals) else now
        links.append(Link(change, await _prove(ledger, epoch.first_size - 1, later)))
    return links


async def _prove(ledger: Ledger, index: int, seal: _SealOf) -> str:
    checkpoint, lines = seal
    entry = await ledger.entry(index)
    assert entry is not None, "the log holds what it has proved"
    hashes = await ledger.inclusion_proof(index, checkpoint.size)
    return proof_text(entry.content, index, hashes, note_of(checkpoint, lines), None)


async def _seal_that_ended(ledger: Ledger, epoch: Epoch, origin: str) -> _SealOf:
    """The seal in the last block before the epoch: everybody who stayed had signed the change."""
    block = await ledger.block(epoch.first_height - 1)
    assert block is not None, "the epoch stands on a stored block"
    found = [parse(Derived, decode(item)) for item in block.items if item.startswith(b"{")]
    seal = parse(Seal, next(item.body for item in found if item.kind == Seal.kind))
    lines = [line for line in seal.signatures if line]
    return Checkpoint(origin, seal.size, b64u_decode(seal.root, 32)), lines
