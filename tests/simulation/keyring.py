"""Cheap signatures that are really checked: a keyed hash with one secret a member. Nobody signs for another."""

from __future__ import annotations

from hashlib import blake2b


class HashKeyring:
    """A member's keys, and everybody's for checking."""

    def __init__(self, member: str, cluster: bytes = b"") -> None:
        """`cluster`: another one than the usual, in which the same members sign with the same keys."""
        self.member, self._cluster = member, cluster

    def sign(self, type: str, body: bytes) -> bytes:
        """See server.consensus.keyring."""
        return _tag(self.member, self.bound(type, body))

    def verify(self, member: str, type: str, body: bytes, signature: bytes) -> bool:
        """See server.consensus.keyring."""
        return _tag(member, self.bound(type, body)) == signature

    def attests(self, member: str, type: str, body: bytes, signature: bytes) -> bool:
        """As `verify`, for oracles: a mutant that breaks the one does not break the other."""
        statement = type.encode() + b"\n" + self._cluster + b"\n" + body
        return _tag(member, statement) == signature

    def bound(self, type: str, body: bytes) -> bytes:
        """What is signed: it binds type and cluster (DESIGN.md 2.6)."""
        return type.encode() + b"\n" + self._cluster + b"\n" + body

    def cosign(self, size: int, root: bytes, time_s: int) -> str:
        """See server.consensus.keyring."""
        return f"{time_s} {_tag(self.member, _checkpoint(size, root, time_s)).hex()}"

    def verify_cosignature(self, member: str, size: int, root: bytes, line: str) -> bool:
        """See server.consensus.keyring."""
        time_s, _, tag = line.partition(" ")
        return time_s.isdigit() and _tag(member, _checkpoint(size, root, int(time_s))).hex() == tag


def _checkpoint(size: int, root: bytes, time_s: int) -> bytes:
    return b"cosignature %d %d " % (size, time_s) + root


def _tag(member: str, data: bytes) -> bytes:
    return blake2b(data, key=b"secret of " + member.encode(), digest_size=16).digest()
