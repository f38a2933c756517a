"""What a witness has signed: the newest size and root of each log, in one file that is durable before anybody is told.

A witness that forgets could sign two histories. So one process holds the folder, by a lock, and a file that cannot be
read is a fault, not a fresh start.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Annotated

import msgspec
from msgspec import Meta

from server.limits import INTEGER_MAX
from server.record.canonical import Malformed, b64u_decode, b64u_encode

_FILE = "signed.json"


class MemoryTaken(Exception):
    """Another process is this witness already."""


class Signed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The newest checkpoint that was signed of a log; `root` in base64url."""

    size: Annotated[int, Meta(ge=0, le=INTEGER_MAX)]
    root: str


class WitnessMemory:
    """Mutable. A context manager: it holds the folder's lock until it is closed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._signed: dict[str, Signed] = {}
        self._lock = -1

    def __enter__(self) -> WitnessMemory:
        """Lock and read the folder. Raises MemoryTaken, Malformed, OSError."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._signed = self._read()
        except BlockingIOError:
            os.close(self._lock)
            raise MemoryTaken(f"{self._folder} is held by another process: two would sign two histories") from None
        except Malformed:
            os.close(self._lock)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let the folder go."""
        os.close(self._lock)

    def newest(self, origin: str) -> tuple[int, bytes]:
        """Size and root that were signed last; (0, b"") for a log that was never signed."""
        signed = self._signed.get(origin)
        return (signed.size, b64u_decode(signed.root)) if signed else (0, b"")

    def keep(self, origin: str, size: int, root: bytes) -> None:
        """Remember what is about to be signed. When this returns it is on disk; OSError: it may not be."""
        signed = {**self._signed, origin: Signed(size, b64u_encode(root))}
        fresh = self._folder / f"{_FILE}.new"
        with fresh.open("wb") as file:
            file.write(msgspec.json.encode(signed))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._folder / _FILE)
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        self._signed = signed

    def _read(self) -> dict[str, Signed]:
        path = self._folder / _FILE
        if not path.exists():
            return {}
        try:
            signed = msgspec.json.decode(path.read_bytes(), type=dict[str, Signed])
            for one in signed.values():
                b64u_decode(one.root, 32)
        except (msgspec.DecodeError, Malformed):
            raise Malformed(f"{path} cannot be read: restore it, or begin as another witness with a new key") from None
        return signed
