"""The signer's file: the last checkpoint that the cosigning key signed. It stands outside every backup.

It is written and synced before a cosignature leaves, and it never goes back: an organisation that cosigned two
histories is provably guilty, even if all it did was to restore an old copy (consensus.md 1.3 H10, 2.8).
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from server.consensus.restored import SignerMark
from server.ledger.merkle import EMPTY_ROOT
from server.record.canonical import Malformed, b64u_decode, b64u_encode, decode, encode
from server.storage.journal import replace_file


class SignerRefused(Exception):
    """The signer's file is damaged, or asked to go back. The node must not cosign."""


_NOTHING = SignerMark(0, 0, EMPTY_ROOT, 0)
"""What a new file holds: the empty tree, which nobody cosigns."""


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    epoch: int
    root: str
    size: int
    time_s: int


class SignerFile:
    """Mutable. The signer's mark and the file that keeps it."""

    def __init__(self, path: Path, mark: SignerMark | None) -> None:
        self._path = path
        self.mark = mark

    @classmethod
    def open(cls, path: Path, expected: bool = False) -> SignerFile:
        """Read the file, or make one that says that nothing was signed yet. Raises SignerRefused.

        `expected`: this node has run before, so the file must be there; without it, what was signed is not known.
        """
        if not path.exists():
            if expected:
                raise SignerRefused(
                    f"the signer's file {path} is missing, but this node has run before: it may have cosigned what it "
                    "no longer knows. It must not cosign with its present key: give it a new key epoch."
                )
            replace_file(path, _encode(_NOTHING))
            return cls(path, None)
        try:
            known = msgspec.convert(decode(path.read_bytes()), _File)
            mark = SignerMark(known.epoch, known.size, b64u_decode(known.root, 32), known.time_s)
        except (Malformed, msgspec.ValidationError) as error:
            raise SignerRefused(f"the signer's file {path} cannot be read: {error}") from None
        return cls(path, mark if mark.size else None)

    @staticmethod
    def begin_anew(path: Path) -> None:
        """Put a file in the place of the one that is there which says that nothing was signed: for a new key."""
        replace_file(path, _encode(_NOTHING))

    def advance(self, mark: SignerMark) -> None:
        """Make `mark` durable. Raises SignerRefused when it is below the last one, or another root at the same size."""
        check_advance(self.mark, mark)
        replace_file(self._path, _encode(mark))
        self.mark = mark


def _encode(mark: SignerMark) -> bytes:
    return encode(_File(mark.epoch, b64u_encode(mark.root), mark.size, mark.time_s))


def check_advance(last: SignerMark | None, mark: SignerMark) -> None:
    """Raise SignerRefused unless the key may sign `mark` after `last`: epoch, size and time never fall, and one size
    has one root."""
    if last is None:
        return
    if mark.epoch < last.epoch or mark.size < last.size or mark.time_s < last.time_s:
        raise SignerRefused(f"the signer stands at {last}; it does not go back to {mark}")
    if mark.size == last.size and mark.root != last.root:
        raise SignerRefused(f"the signer has signed another root at size {mark.size}")
