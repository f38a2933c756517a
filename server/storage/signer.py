"""The signer's file: the last checkpoint that the cosigning key signed. It stands outside every backup.

It is written and synced before a cosignature leaves, and it never goes back: an organisation that cosigned two
histories is provably guilty, even if all it did was to restore an old copy (consensus.md 1.3 H10, 2.8).
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from server.consensus.restored import SignerMark
from server.record.canonical import Malformed, b64u_decode, b64u_encode, decode, encode
from server.storage.journal import sync_directory, write_file


class SignerRefused(Exception):
    """The signer's file is damaged, or asked to go back. The node must not cosign."""


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
        """Read the file; without one nothing was signed yet. `expected`: something was. Raises SignerRefused."""
        if not path.exists():
            if expected:
                raise SignerRefused(f"the signer's file {path} is missing, but this node has cosigned before")
            return cls(path, None)
        try:
            known = msgspec.convert(decode(path.read_bytes()), _File)
            mark = SignerMark(known.epoch, known.size, b64u_decode(known.root, 32), known.time_s)
        except (Malformed, msgspec.ValidationError) as error:
            raise SignerRefused(f"the signer's file {path} cannot be read: {error}") from None
        return cls(path, mark)

    def advance(self, mark: SignerMark) -> None:
        """Make `mark` durable. Raises SignerRefused when it is below the last one, or another root at the same size."""
        check_advance(self.mark, mark)
        content = encode(_File(mark.epoch, b64u_encode(mark.root), mark.size, mark.time_s))
        write_file(self._path.with_suffix(".new"), content).replace(self._path)
        sync_directory(self._path.parent)
        self.mark = mark


def check_advance(last: SignerMark | None, mark: SignerMark) -> None:
    """Raise SignerRefused unless the key may sign `mark` after `last`: epoch, size and time never fall, and one size
    has one root."""
    if last is None:
        return
    if mark.epoch < last.epoch or mark.size < last.size or mark.time_s < last.time_s:
        raise SignerRefused(f"the signer stands at {last}; it does not go back to {mark}")
    if mark.size == last.size and mark.root != last.root:
        raise SignerRefused(f"the signer has signed another root at size {mark.size}")
