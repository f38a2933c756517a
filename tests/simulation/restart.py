"""The oracle of restarts: from every beginning of what is on a disk, a node comes back as what it was then.

A journal that ends after any of its records is one that a crash could have left. What a replica makes of it is compared
with a plain reading of the same entries; what an application makes of the stored blocks, with what it had told then.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from server.consensus.effects import Entry, JournalEntry
from server.consensus.frames import decode_frame
from server.consensus.messages import Commit, NewViewMessage, Prepare, ViewChangeMessage, read_body
from server.consensus.packing import unpack
from server.consensus.replica import Replica
from server.record.canonical import Malformed

if TYPE_CHECKING:
    from tests.simulation.node import Node

PREFIXES_MAX = 8
"""Beginnings of one journal that are tried, and the whole."""
REPLAYED_EVERY = 4
"""Executing a whole chain again costs as much as the run: one seed in four does it."""

Standing = tuple[int, str, str, str]
"""View, phase, block voted for, block prepared; each as it concerns the height in flight."""


def complaints(node: Node, seed: int) -> list[str]:
    """What is wrong with what a node would come back as."""
    found = [each for entries in _beginnings(node) for each in _complain(node, entries)]
    return found + (_replay(node) if seed % REPLAYED_EVERY == 0 else [])


def _beginnings(node: Node) -> list[tuple[JournalEntry, ...]]:
    beginnings = node.disk.beginnings()
    step = max(1, len(beginnings) // PREFIXES_MAX)
    return [*beginnings[::step], *beginnings[-1:]]


def _complain(node: Node, entries: tuple[JournalEntry, ...]) -> list[str]:
    try:
        state = Replica(node.config, node.keyring, node.restored(entries)).state
    except Malformed as error:
        return [f"{node.address} cannot start from {len(entries)} entries of its journal: {error}"]
    vote, prepared = state.slot.vote, state.slot.prepared
    held = (
        state.view,
        state.phase,
        vote.block_id if vote is not None else "",
        prepared.block.block_id if prepared is not None else "",
    )
    wanted = _read(entries, node.config.epoch, state.height)
    return [] if held == wanted else [f"{node.address} comes back as {held}, its journal says {wanted}"]


def _read(entries: Sequence[JournalEntry], epoch: int, height: int) -> Standing:
    """The last of each kind in this epoch."""
    view, phase, vote, prepared = 0, "normal", "", ""
    for entry in entries:
        if entry.type is Entry.VOTE:
            body = read_body(Prepare, *unpack(entry.data, 3)[:2]).body
            vote = body.block_id if (body.epoch, body.height) == (epoch, height) else vote
        elif entry.type is Entry.PREPARED:
            commit = read_body(Commit, *unpack(entry.data, 3)[1:]).body
            prepared = commit.block_id if (commit.epoch, commit.height) == (epoch, height) else prepared
        else:
            message = decode_frame(entry.data)
            if isinstance(message, ViewChangeMessage) and message.change.body.epoch == epoch:
                view, phase = message.change.body.view, "changing"
            elif isinstance(message, NewViewMessage) and message.new_view.body.epoch == epoch:
                view, phase = message.new_view.body.view, "normal"
    return view, phase, vote, prepared


def _replay(node: Node) -> list[str]:
    """Every beginning of the chain gives the state that was told after its last block."""
    again = node.world.scene.application(node.address, node.disk.held)
    for stored in node.disk.blocks:
        ledger, _ = again.execute(stored.block)
        again.keep(ledger)
        told = (stored.state_digest, stored.boundary.size, stored.boundary.root)
        if (ledger.digest, ledger.frontier.size, ledger.frontier.root()) != told:
            return [f"{node.address} comes to another state after block {stored.block.height} than it had"]
    return []
