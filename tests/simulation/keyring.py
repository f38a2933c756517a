"""Cheap signatures that are really checked: a keyed hash with one secret a member. Nobody signs for another."""

from __future__ import annotations

from hashlib import blake2b

from tests.simulation.annals import Annals


class HashKeyring:
    """A member's keys in one epoch, and everybody's for checking."""

    def __init__(self, member: str, cluster: bytes = b"", annals: Annals | None = None, epoch: int = 0) -> None:
        """`cluster`: another one than the usual, in which the same members sign with the same keys. Without `annals`
        there is one epoch, and everybody is a member."""
        self.member, self._cluster, self._annals, self._epoch = member, cluster, annals, epoch

    def _secret(self, member: str, epoch: int) -> str | None:
        if epoch > self._epoch:
            return None
        return self._annals.secret(member, epoch) if self._annals is not None else member

    def sign(self, type: str, body: bytes) -> bytes:
        """See server.consensus.keyring."""
        return _tag(self._own_secret(), self.bound(type, body))

    def _own_secret(self) -> str:
        return self._secret(self.member, self._epoch) or f"{self.member}, who is no member"

    def verify(self, member: str, epoch: int, type: str, body: bytes, signature: bytes) -> bool:
        """See server.consensus.keyring."""
        secret = self._secret(member, epoch)
        return secret is not None and _tag(secret, self.bound(type, body)) == signature

    def is_signed_now(self, member: str, type: str, body: bytes, signature: bytes) -> bool:
        """As the guard of living processes asks it."""
        return self.verify(member, self._epoch, type, body, signature)

    def attests(self, member: str, epoch: int, type: str, body: bytes, signature: bytes) -> bool:
        """As `verify`, for oracles: a mutant that breaks the one does not break the other."""
        secret = self._annals.secret(member, epoch) if self._annals is not None else member
        statement = type.encode() + b"\n" + self._cluster + b"\n" + body
        return secret is not None and _tag(secret, statement) == signature

    def bound(self, type: str, body: bytes) -> bytes:
        """What is signed: it binds type and cluster (DESIGN.md 2.6)."""
        return type.encode() + b"\n" + self._cluster + b"\n" + body

    def cosign(self, size: int, root: bytes, time_s: int) -> str:
        """See server.consensus.keyring."""
        return f"{time_s} {_tag(self._own_secret(), _checkpoint(size, root, time_s)).hex()}"

    def verify_cosignature(self, member: str, size: int, root: bytes, line: str) -> bool:
        """See server.consensus.keyring."""
        epoch = 0 if self._annals is None else min(self._annals.of_size(size).number, self._epoch)
        return self.verify_line_of(member, epoch, size, root, line)

    def verify_line_of(self, member: str, epoch: int, size: int, root: bytes, line: str) -> bool:
        """See server.consensus.keyring."""
        secret = self._secret(member, epoch)
        return secret is not None and is_line_of(secret, size, root, line)


def is_line_of(secret: str, size: int, root: bytes, line: str) -> bool:
    """Whether a checkpoint line was made with this secret."""
    time_s, _, tag = line.partition(" ")
    return time_s.isdigit() and _tag(secret, _checkpoint(size, root, int(time_s))).hex() == tag


def _checkpoint(size: int, root: bytes, time_s: int) -> bytes:
    return b"cosignature %d %d " % (size, time_s) + root


def _tag(secret: str, data: bytes) -> bytes:
    return blake2b(data, key=b"secret of " + secret.encode(), digest_size=16).digest()
