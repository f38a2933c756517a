"""What a replica asks of keys. The node signs with Ed25519; the simulator with a keyed hash that is checked too."""

from __future__ import annotations

from typing import Protocol


class Keyring(Protocol):
    """Deterministic signatures: the same bytes give the same signature, so that a restart only repeats."""

    def sign(self, type: str, body: bytes) -> bytes:
        """This member's consensus signature over DESIGN.md 2.6's statement of type and body."""
        ...

    def verify(self, member: str, epoch: int, type: str, body: bytes, signature: bytes) -> bool:
        """Whether `member` signed that with its key of this epoch; False for every bad input, never an exception."""
        ...

    def cosign(self, size: int, root: bytes, time_s: int) -> str:
        """This member's C2SP cosignature line over the checkpoint (DESIGN.md 2.5)."""
        ...

    def verify_cosignature(self, member: str, size: int, root: bytes, line: str) -> bool:
        """Whether `line` is `member`'s cosignature of (size, root) with its key of the epoch whose members sign trees
        of this size; False for every bad input."""
        ...

    def verify_line_of(self, member: str, epoch: int, size: int, root: bytes, line: str) -> bool:
        """Whether `line` is a cosignature of (size, root) with the key that `member` had in this epoch, whoever signs
        trees of this size; False for every bad input."""
        ...
