"""Certificates: signatures of a quorum of distinct members on one statement, proving it to anyone with their keys."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from server.consensus.config import Config
from server.consensus.keyring import Keyring
from server.consensus.messages import TYPES, Commit, Prepare, Signed, SignedBody, Suspect, read_body
from server.consensus.packing import pack, unpack
from server.record.canonical import Malformed

B = TypeVar("B", bound=SignedBody)
_SIGNATURES_MAX = 16
GOOD_KEPT = 1_024


class Certifier:
    """Reads and checks what members sign, against the epoch and members of the configuration."""

    __slots__ = ("_config", "_good", "_keyring")

    def __init__(self, config: Config, keyring: Keyring) -> None:
        self._config = config
        self._keyring = keyring
        self._good: dict[tuple[bytes, bytes], None] = {}
        """Statements lately found good, by type and body and by signature: certificates bring them again."""

    @property
    def config(self) -> Config:
        """Against what it checks."""
        return self._config

    def signed(self, statement: Signed[B]) -> bool:
        """Whether a member of this epoch signed it."""
        body = statement.body
        if body.epoch != self._config.epoch or body.sender not in self._config.members:
            return False
        type_ = TYPES[type(body)]
        known = (type_.encode() + statement.raw, statement.signature)
        if known in self._good:
            return True
        if not self.signed_once(statement):
            return False
        self._good[known] = None
        if len(self._good) > GOOD_KEPT:
            del self._good[next(iter(self._good))]
        return True

    def signed_once(self, statement: Signed[B]) -> bool:
        """Whether who says it signed it with the key of the epoch that it names: what evidence asks."""
        body = statement.body
        if body.epoch == self._config.epoch and body.sender not in self._config.members:
            return False
        return self._keyring.verify(body.sender, body.epoch, TYPES[type(body)], statement.raw, statement.signature)

    def prepared(self, data: bytes, view: int, height: int, block_id: str) -> bool:
        """Whether a quorum of distinct members signed PREPARE for this block at this view and height."""
        return self._holds(
            self._read(Prepare, data),
            lambda body: (body.view, body.height, body.block_id) == (view, height, block_id),
        )

    def committed(self, data: bytes, height: int, block_id: str) -> bool:
        """Whether a quorum of distinct members signed COMMIT for this block at this height, all in one view."""
        found = self._read(Commit, data)
        if not found:
            return False
        view = found[0].body.view
        return self._holds(found, lambda body: (body.view, body.height, body.block_id) == (view, height, block_id))

    def suspected(self, data: bytes, view: int) -> bool:
        """Whether a quorum of distinct members signed SUSPECT for this view or a later one."""
        return self._holds(self._read(Suspect, data), lambda body: body.view >= view)

    def _holds(self, statements: list[Signed[B]], fits: Callable[[B], bool]) -> bool:
        senders = dict.fromkeys(statement.body.sender for statement in statements)
        if len(senders) != len(statements) or len(senders) < self._config.quorum:
            return False
        return all(fits(statement.body) and self.signed(statement) for statement in statements)

    def _read(self, shape: type[B], data: bytes) -> list[Signed[B]]:
        try:
            return read_certificate(shape, data)
        except Malformed:
            return []


def pack_certificate(statements: Iterable[Signed[B]]) -> bytes:
    """Bodies and signatures, alternating, in the order of their senders."""
    ordered = sorted(statements, key=lambda statement: statement.body.sender)
    return pack([part for statement in ordered for part in (statement.raw, statement.signature)])


def read_certificate(shape: type[B], data: bytes) -> list[Signed[B]]:
    """The statements of a certificate, unchecked. Raises Malformed."""
    parts = unpack(data, most=2 * _SIGNATURES_MAX)
    if len(parts) % 2:
        raise Malformed("a statement of the certificate lacks its signature")
    return [read_body(shape, raw, signature) for raw, signature in zip(parts[::2], parts[1::2], strict=True)]
