"""Where epochs ended, as a simulated node knows it from its own disk, and what its own log proves of them."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from server.consensus.config import Ending
from server.consensus.evidence import Evidence
from server.consensus.messages import Cosign
from server.consensus.retirement import accuse_of_line
from server.ledger.merkle import inclusion_proof, root_of
from tests.simulation.annals import Seen
from tests.simulation.domain import DomainApplication

if TYPE_CHECKING:
    from tests.simulation.node import Node


def log_of(node: Node) -> list[bytes]:
    """All entries of the node's log."""
    assert isinstance(node.application, DomainApplication)
    return [entry for stored in node.disk.blocks for entry in node.application.entries[stored.block.block_id]]


def endings_of(node: Node, seen: Seen) -> tuple[Ending, ...]:
    """Of the epochs before this one; whoever has another secret then, or none, has lost both its keys."""
    epochs = node.world.annals.epochs[: seen.number + 1]
    found = []
    for before, after in pairwise(epochs):
        assert isinstance(node.application, DomainApplication)
        block_id = node.disk.blocks[after.first_height - 2].block.block_id
        entry = node.application.entries[block_id][-1]
        lost = tuple(name for name in before.members if after.secrets.get(name) != before.secrets[name])
        found.append(Ending(before.number, after.first_height - 1, after.first_size, block_id, entry, lost, lost))
    return tuple(found)


def prove(node: Node, ending: Ending, line: Cosign) -> Evidence:
    """The evidence that a line with a retired key under a tree of the node's log is."""
    entries = log_of(node)[: line.size]

    def read(level: int, place: int) -> bytes:
        return root_of(entries[place << level : (place + 1) << level])

    return accuse_of_line(ending, line, inclusion_proof(ending.size - 1, line.size, read))
