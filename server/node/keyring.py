"""The keys of one node at work: it signs consensus messages and checkpoints, and checks those of its peers.

Private keys are read once from the organisation's folder; they are never logged.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import msgspec

from server.ledger.checkpoint import cosign_line, verify_cosign_line
from server.ledger.genesis import Genesis
from server.ledger.membership import Membership
from server.record.canonical import Malformed, b64u_decode, b64u_encode
from server.record.signature import NodeSigner, verify_node

SEED_BYTES = 32
NEXT = "next"
"""Subfolder of keys whose epoch has not begun."""
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
    """Read the key folder and compare it with genesis, or with what stands for it in a later epoch. Raises KeyFault.

    A key that operators have agreed to lies in the subfolder `next` until its epoch has begun.
    """
    if genesis.member(node) is None:
        raise KeyFault(f"{node} is not a member in genesis")

    def signer(role: str) -> NodeSigner:
        places = (folder, folder / NEXT) if (folder / NEXT / f"{role}.key").exists() else (folder,)
        for place in places:
            found = NodeSigner(read_secret(place / f"{role}.key"))
            if found.public == genesis.key(node, role):
                return found
        raise KeyFault(f"{folder / role}.key is not the {role} key of {node} in genesis")

    return _read(folder, signer)


def read_observer_keys(folder: Path) -> Keys:
    """Read the key folder of a node that only follows: nothing that it signs counts. Raises KeyFault."""
    return _read(folder, lambda role: NodeSigner(read_secret(folder / f"{role}.key")))


def _read(folder: Path, signer: Callable[[str], NodeSigner]) -> Keys:
    return Keys(
        attest=signer("attest"),
        consensus=signer("consensus"),
        cosign=signer("cosign"),
        log=signer("log"),
        token=read_secret(folder / "token.key"),
        vault=read_secret(folder / "vault.key"),
        roll=read_secret(folder / "roll.key"),
        transport_certificate=str(folder / "transport.crt"),
        transport_key=str(folder / "transport.pem"),
    )


def read_secret(path: Path) -> bytes:
    """The 32 bytes of a key file. Raises KeyFault."""
    try:
        return b64u_decode(path.read_text("ascii").strip(), SEED_BYTES)
    except OSError as error:
        raise KeyFault(f"cannot read {path}: {error.strerror}") from None
    except (Malformed, UnicodeDecodeError):
        raise KeyFault(f"{path} does not hold a key") from None


class NodeKeyring:
    """The replica's keyring with real Ed25519 (server.consensus.keyring.Keyring)."""

    def __init__(self, keys: Keys, membership: Membership, origin: str, cluster_id: bytes, node: str) -> None:
        self._keys = keys
        self._node = node
        self._good: OrderedDict[tuple[str, int, bytes, str], None] = OrderedDict()
        self._membership, self._origin = membership, origin
        self._prefix = b"linli/pbft/v1\n"
        self._cluster = b"\n" + b64u_encode(cluster_id).encode() + b"\n"
        self._consensus = [
            {member.id: b64u_decode(member.consensus_key, 32) for member in epoch.members}
            for epoch in membership.epochs
        ]
        self._cosign = [
            {member.id: b64u_decode(member.cosign_key, 32) for member in epoch.members} for epoch in membership.epochs
        ]

    def sign(self, type: str, body: bytes) -> bytes:
        """DESIGN.md 2.6: Ed25519 over domain, type, cluster and body."""
        return self._keys.consensus.sign(self._statement(type, body))

    def verify(self, member: str, epoch: int, type: str, body: bytes, signature: bytes) -> bool:
        """Whether `member` signed that with its key of this epoch."""
        public = self._consensus[epoch].get(member) if 0 <= epoch < len(self._consensus) else None
        return public is not None and verify_node(public, self._statement(type, body), signature)

    @property
    def is_member(self) -> bool:
        """Whether the epoch in force names this node, with the keys that are here."""
        member = self._membership.current.member(self._node)
        wanted = (member.consensus_key, member.cosign_key) if member is not None else ()
        return wanted == tuple(b64u_encode(key.public) for key in (self._keys.consensus, self._keys.cosign))

    def is_signed_now(self, member: str, type: str, body: bytes, signature: bytes) -> bool:
        """Whether `member` signed that with its key of the epoch in force."""
        return self.verify(member, self._membership.current.number, type, body, signature)

    def cosign(self, size: int, root: bytes, time_s: int) -> str:
        """Our cosignature line over a checkpoint."""
        return cosign_line(self._keys.cosign, self._origin, self._node, size, root, time_s)

    def verify_cosignature(self, member: str, size: int, root: bytes, line: str) -> bool:
        """Whether `line` is `member`'s cosignature of (size, root)."""
        statement = (member, size, root, line)
        public = self._cosign[self._membership.epoch_of_size(size).number].get(member)
        if statement in self._good:
            return True
        if public is None or not verify_cosign_line(public, self._origin, member, size, root, line):
            return False
        self._good[statement] = None
        if len(self._good) > GOOD_KEPT:
            self._good.popitem(last=False)
        return True

    def verify_line_of(self, member: str, epoch: int, size: int, root: bytes, line: str) -> bool:
        """Whether `line` is a cosignature of (size, root) with the key that `member` had in this epoch."""
        public = self._cosign[epoch].get(member) if 0 <= epoch < len(self._cosign) else None
        return public is not None and verify_cosign_line(public, self._origin, member, size, root, line)

    def _statement(self, type: str, body: bytes) -> bytes:
        return self._prefix + type.encode() + self._cluster + body
