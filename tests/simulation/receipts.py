"""Phones that believe nobody: they take receipts from any node, and check them with the verifier that auditors use.

Checkpoint lines are real here (Ed25519, C2SP), so that the verifier in scripts/verifier, which shares no code with the
server, reads what the simulated nodes sign. What it calls sealed must be in every honest ledger at the end, whoever
lied (oracle O7 of consensus.md 3.2); what it calls committed has a quorum of signers.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import TYPE_CHECKING

import msgspec
import pytest

from server.consensus.effects import PublishCheckpoint
from server.ledger.checkpoint import Checkpoint, cosign_line, log_line, note_of, verify_cosign_line
from server.ledger.merkle import inclusion_proof, root_of
from server.ledger.policy import policy_text
from server.ledger.receipt import proof_text
from server.record.canonical import b64u_decode
from server.record.signature import DeviceKey
from tests.simulation import domain, members
from tests.simulation.annals import QUORUMS
from tests.simulation.endings import log_of
from tests.simulation.estate import genesis_of, organisation_key
from tests.simulation.keyring import HashKeyring
from tests.simulation.rules import DomainScene
from verifier.encoding import Rejected
from verifier.merkle import leaf_hash
from verifier.policy import parse_policy
from verifier.receipt import check_proof

if TYPE_CHECKING:
    from tests.simulation.node import Node
    from tests.simulation.world import World

ORIGIN = "linli.example/xiangshanyuan"
ASKED = 0.2
"""How often a phone asks when a node has something new to show."""


def sign_for_real(patch: pytest.MonkeyPatch) -> None:
    """From now on members sign checkpoints with Ed25519, as C2SP has it: those of genesis, for no others come."""

    def is_line(member: str, size: int, root: bytes, line: str) -> bool:
        return verify_cosign_line(organisation_key(member, "cosign").public, ORIGIN, member, size, root, line)

    def cosign(self: HashKeyring, size: int, root: bytes, time_s: int) -> str:
        return cosign_line(organisation_key(self.member, "cosign"), ORIGIN, self.member, size, root, time_s)

    def verify(self: HashKeyring, member: str, size: int, root: bytes, line: str) -> bool:
        return is_line(member, size, root, line)

    patch.setattr(HashKeyring, "cosign", cosign)
    patch.setattr(HashKeyring, "verify_cosignature", verify)
    for asked in (domain, members):
        patch.setattr(asked, "is_line_of", is_line)


class ReceiptPhones:
    """Mutable. What the phones have accepted."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._random = Random(f"phones {world.options.nodes} {world.options.seed}")
        self._quorum = QUORUMS[len(world.members)]
        genesis = genesis_of(world.members)
        self._policy = parse_policy(policy_text(genesis, self._quorum))
        self.sealed: dict[int, bytes] = {}
        """Leaf by index: what was accepted as sealed."""
        self.committed = 0
        self.refused = 0
        self.complaints: list[str] = []

    def shown(self, node: Node, effect: PublishCheckpoint) -> None:
        """A node shows a checkpoint: a phone asks it for a receipt of anything, and checks what it gets."""
        if self._random.random() >= ASKED:
            return
        entries = log_of(node)[: effect.size]
        index = self._random.randrange(effect.size)
        lines = [line for _, line in effect.lines]
        self._check(node, self._receipt(node, entries, index, effect.root, lines), honest=True)
        if not self._world.is_honest(node):
            self._check(node, self._false_receipt(node, entries, index, effect, lines), honest=False)

    def _check(self, node: Node, text: str, *, honest: bool) -> None:
        try:
            proof = check_proof(text, self._policy)
        except Rejected as error:
            self.refused += 1
            if honest:
                self.complaints.append(f"the verifier refuses a true receipt of {node.address}: {error}")
            return
        if len(proof.checkpoint.signers) < self._quorum:
            self.complaints.append(f"{len(proof.checkpoint.signers)} signers are called {proof.checkpoint.grade}")
        self.committed += 1
        if proof.checkpoint.grade == "sealed":
            known = self.sealed.setdefault(proof.entry.index, proof.leaf)
            if known != proof.leaf:
                self.complaints.append(f"two sealed receipts contradict each other at index {proof.entry.index}")

    def _receipt(self, node: Node, entries: Sequence[bytes], index: int, root: bytes, lines: Sequence[str]) -> str:
        def read(level: int, place: int) -> bytes:
            return root_of(entries[place << level : (place + 1) << level])

        def read_all(places: Sequence[tuple[int, int]]) -> list[bytes]:
            return [read(level, place) for level, place in places]

        own = log_line(organisation_key(node.member, "log"), ORIGIN, len(entries), root)
        note = note_of(Checkpoint(ORIGIN, len(entries), root), [own, *lines])
        hashes = inclusion_proof(index, len(entries), read)
        return proof_text(entries[index], index, hashes, note, self._device_key(entries[index]))

    def _false_receipt(
        self, node: Node, entries: Sequence[bytes], index: int, effect: PublishCheckpoint, lines: Sequence[str]
    ) -> str:
        """Another tree, in which an entry is not what it was: signed by the liar alone, as often as it likes."""
        other = [*entries]
        other[index] = entries[index].replace(b'"time_ms":1', b'"time_ms":2')
        root = root_of(other)
        own = cosign_line(
            organisation_key(node.member, "cosign"), ORIGIN, node.member, len(other), root, self._world.time_ms // 1000
        )
        stuffed = self._random.choice(([own], [own] * len(lines), [own, *lines]))
        return self._receipt(node, other, index, root, stuffed)

    def _device_key(self, entry: bytes) -> DeviceKey | None:
        record = msgspec.json.decode(entry).get("record")
        if record is None:
            return None
        header = msgspec.json.decode(b64u_decode(record.partition(".")[0]))
        scene = self._world.scene
        assert isinstance(scene, DomainScene)
        return scene.phones.public_of(header["kid"])

    def conclude(self) -> list[str]:
        """Every honest ledger has what was accepted as sealed, at its place."""
        found = list(self.complaints)
        for node in self._world.standing():
            leaves = [leaf_hash(entry) for entry in log_of(node)]
            for index, leaf in self.sealed.items():
                if index < len(leaves) and leaves[index] != leaf:
                    found.append(f"{node.address} has another entry {index} than a phone holds a sealed receipt for")
                if index >= len(leaves) and self._world.expects_agreement:
                    found.append(f"{node.address} lacks entry {index}, for which a phone holds a sealed receipt")
        return found
