"""Whom a piece of evidence proves guilty, asked with public keys alone: of members' lists, for a resolution (D32).

It must not know who asks: a node, an operator's tool, or whoever follows links from genesis.
"""

from __future__ import annotations

from dataclasses import dataclass

from server.consensus.certificates import Certifier
from server.consensus.config import Config
from server.consensus.evidence import Evidence, unpack_evidence, verify_contradiction
from server.ledger.checkpoint import verify_cosign_line
from server.ledger.membership import Epoch
from server.ledger.resolution import CulpritOf
from server.record.canonical import Malformed, b64u_decode, b64u_encode
from server.record.signature import verify_node


@dataclass(frozen=True, slots=True)
class PublicKeyring:
    """The public half of a keyring, of one epoch: it verifies, and signs nothing."""

    epoch: Epoch
    origin: str
    cluster_id: bytes

    def sign(self, type: str, body: bytes) -> bytes:
        """Nobody's key is here."""
        raise TypeError("public keys sign nothing")

    def verify(self, member: str, epoch: int, type: str, body: bytes, signature: bytes) -> bool:
        """Whether `member` signed that in this epoch (DESIGN.md 2.6)."""
        found = self.epoch.member(member)
        if found is None or epoch != self.epoch.number:
            return False
        said = b"linli/pbft/v1\n" + type.encode() + b"\n" + b64u_encode(self.cluster_id).encode() + b"\n" + body
        return verify_node(b64u_decode(found.consensus_key, 32), said, signature)

    def cosign(self, size: int, root: bytes, time_s: int) -> str:
        """Nobody's key is here."""
        raise TypeError("public keys sign nothing")

    def verify_cosignature(self, member: str, size: int, root: bytes, line: str) -> bool:
        """Whether `line` is `member`'s cosignature with the key that it has in this epoch."""
        found = self.epoch.member(member)
        return found is not None and verify_cosign_line(
            b64u_decode(found.cosign_key, 32), self.origin, member, size, root, line
        )

    def verify_line_of(self, member: str, epoch: int, size: int, root: bytes, line: str) -> bool:
        """The same, for the number of this epoch."""
        return epoch == self.epoch.number and self.verify_cosignature(member, size, root, line)


def culprit_finder(origin: str, cluster_id: bytes) -> CulpritOf:
    """What finds culprits in this ledger."""
    return lambda packed, epoch: find_culprit(packed, epoch, origin, cluster_id).culprit


def find_culprit(packed: bytes, epoch: Epoch, origin: str, cluster_id: bytes) -> Evidence:
    """The evidence, verified with the keys of the epoch. Raises Malformed unless it proves its culprit guilty."""
    evidence = unpack_evidence(packed)
    if epoch.member(evidence.culprit) is None:
        raise Malformed(f"{evidence.culprit} is no member of epoch {epoch.number}")
    keyring = PublicKeyring(epoch, origin, cluster_id)
    config = Config(epoch.ids, "", cluster_id, epoch.number, observes=True)
    verify_contradiction(evidence, Certifier(config, keyring), keyring)
    return evidence
