"""The keys of one node at work: it signs consensus messages and checkpoints, and checks those of its peers.

Private keys are read once from the organisation's folder; they are never logged.
"""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

import msgspec

from server.ledger.checkpoint import cosign_line, verify_cosign_line
from server.ledger.genesis import Genesis
from server.record.canonical import Malformed, b64u_decode, b64u_encode
from server.record.signature import NodeSigner, verify_node

SEED_BYTES = 32
GOOD_KEPT = 256
"""Cosignatures found good: each comes alone, and again in the seal of a block soon after."""


class KeyFault(ValueError):
    """A key file is missing or does not fit genesis."""


class Keys(msgspec.Struct, frozen=True):
    """What an organisation keeps secret."""

    attest: NodeSigner
    consensus: NodeSigner
    cosign: NodeSigner
    log: NodeSigner
    token: bytes
    vault: bytes
    roll: bytes
    transport_certificate: str
    transport_key: str


def read_keys(folder: Path, genesis: Genesis, node: str) -> Keys:
    """Read the key folder and compare it with genesis. Raises KeyFault."""
    if genesis.member(node) is None:
        raise KeyFault(f"{node} is not a member in genesis")

    def signer(role: str) -> NodeSigner:
        found = NodeSigner(_read_secret(folder / f"{role}.key"))
        if found.public != genesis.key(node, role):
            raise KeyFault(f"{folder / role}.key is not the {role} key of {node} in genesis")
        return found

    return Keys(
        attest=signer("attest"),
        consensus=signer("consensus"),
        cosign=signer("cosign"),
        log=signer("log"),
        token=_read_secret(folder / "token.key"),
        vault=_read_secret(folder / "vault.key"),
        roll=_read_secret(folder / "roll.key"),
        transport_certificate=str(folder / "transport.crt"),
        transport_key=str(folder / "transport.pem"),
    )


def _read_secret(path: Path) -> bytes:
    try:
        return b64u_decode(path.read_text("ascii").strip(), SEED_BYTES)
    except OSError as error:
        raise KeyFault(f"cannot read {path}: {error.strerror}") from None
    except (Malformed, UnicodeDecodeError):
        raise KeyFault(f"{path} does not hold a key") from None


class NodeKeyring:
    """The replica's keyring with real Ed25519 (server.consensus.keyring.Keyring)."""

    def __init__(self, keys: Keys, genesis: Genesis, cluster_id: bytes, node: str) -> None:
        self._keys = keys
        self._node = node
        self._good: OrderedDict[tuple[str, int, bytes, str], None] = OrderedDict()
        self._genesis = genesis
        self._prefix = b"linli/pbft/v1\n"
        self._cluster = b"\n" + b64u_encode(cluster_id).encode() + b"\n"
        self._consensus = {member.id: genesis.key(member.id, "consensus") for member in genesis.members}
        self._cosign = {member.id: genesis.key(member.id, "cosign") for member in genesis.members}

    def sign(self, type: str, body: bytes) -> bytes:
        """DESIGN.md 2.6: Ed25519 over domain, type, cluster and body."""
        return self._keys.consensus.sign(self._statement(type, body))

    def verify(self, member: str, type: str, body: bytes, signature: bytes) -> bool:
        """Whether `member` signed that."""
        public = self._consensus.get(member)
        return public is not None and verify_node(public, self._statement(type, body), signature)

    def cosign(self, size: int, root: bytes, time_s: int) -> str:
        """Our cosignature line over a checkpoint."""
        return cosign_line(self._keys.cosign, self._genesis.origin, self._node, size, root, time_s)

    def verify_cosignature(self, member: str, size: int, root: bytes, line: str) -> bool:
        """Whether `line` is `member`'s cosignature of (size, root)."""
        public, statement = self._cosign.get(member), (member, size, root, line)
        if statement in self._good:
            return True
        if public is None or not verify_cosign_line(public, self._genesis.origin, member, size, root, line):
            return False
        self._good[statement] = None
        if len(self._good) > GOOD_KEPT:
            self._good.popitem(last=False)
        return True

    def _statement(self, type: str, body: bytes) -> bytes:
        return self._prefix + type.encode() + self._cluster + body
