"""Cleaned photos on disk, by SHA-256: durable when kept, checked when read. Knows neither records nor who may look.

`<folder>/ab/cd/<sha256>.jpg`, and beside it `<sha256>.<sha256 of the thumbnail>.webp`, so that both can be checked.
"""

import asyncio
import os
import re
import secrets
from collections.abc import Sequence
from contextlib import suppress
from hashlib import sha256 as digest_of
from pathlib import Path

from server.limits import PHOTO_BYTES_MAX

THUMBNAIL_BYTES_MAX = 512 * 1024
"""320 x 320 pixels of pure noise take 80 KB."""
_NAME = re.compile(r"[0-9a-f]{64}")
_JPEG_MARK = b"\xff\xd8\xff"
_WEBP_MARK = b"RIFF"


class PhotoMissing(FileNotFoundError):
    """No such photo or thumbnail is kept here."""


class PhotoCorrupted(OSError):
    """The file's bytes no longer have their digest. It was set aside, so that the photo can be fetched again."""


class PhotoMismatch(ValueError):
    """Bytes that are not what their name says: another digest, another kind of file, too large."""


class PhotoFiles:
    """The photos of one node. Every method is safe to call at the same time as any other, also for one photo."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def keep(self, sha256: str, jpeg: bytes, thumbnail: bytes = b"") -> None:
        """Store a photo, durably: once this returns it survives a loss of power. Keeping it again is harmless.

        Raises: PhotoMismatch; OSError when the disk is full or broken, with nothing half-written left under the name.
        """
        _check_name(sha256)
        if digest_of(jpeg).hexdigest() != sha256 or not jpeg.startswith(_JPEG_MARK) or len(jpeg) > PHOTO_BYTES_MAX:
            raise PhotoMismatch(sha256)
        await asyncio.to_thread(self._keep, sha256, jpeg)
        if thumbnail:
            await self.keep_thumbnail(sha256, thumbnail)

    async def keep_thumbnail(self, sha256: str, webp: bytes) -> None:
        """Store the small picture of a photo. Raises as `keep` does."""
        _check_name(sha256)
        if not webp.startswith(_WEBP_MARK) or len(webp) > THUMBNAIL_BYTES_MAX:
            raise PhotoMismatch(sha256)
        await asyncio.to_thread(self._keep_thumbnail, sha256, webp)

    async def has(self, sha256: str) -> bool:
        """Tell whether the photo is here. Its bytes were checked when it was kept, and are again when it is read."""
        return bool(await self.sizes([sha256]))

    async def sizes(self, names: Sequence[str]) -> dict[str, int]:
        """Return the bytes of each of these photos that is here."""
        return await asyncio.to_thread(self._sizes, [name for name in names if _NAME.fullmatch(name)])

    async def read(self, sha256: str) -> bytes:
        """Return the photo's JPEG. Raises: PhotoMissing; PhotoCorrupted."""
        _check_name(sha256)
        return await asyncio.to_thread(_read_checked, self._path(sha256), sha256)

    async def read_thumbnail(self, sha256: str) -> bytes:
        """Return the photo's small WebP. Raises: PhotoMissing, also for a photo kept without; PhotoCorrupted."""
        _check_name(sha256)
        return await asyncio.to_thread(self._read_thumbnail, sha256)

    async def delete(self, sha256: str) -> bool:
        """Remove the photo and its thumbnail for good. Tell whether it was here."""
        _check_name(sha256)
        return await asyncio.to_thread(self._delete, sha256)

    async def clear_leftovers(self) -> int:
        """Remove what an interrupted write left; only while nothing is being kept, at the start of a node."""
        return await asyncio.to_thread(self._clear_leftovers)

    def _path(self, sha256: str) -> Path:
        return self._folder / sha256[:2] / sha256[2:4] / f"{sha256}.jpg"

    def _thumbnails(self, sha256: str) -> list[Path]:
        return sorted(self._path(sha256).parent.glob(f"{sha256}.*.webp"))

    def _sizes(self, names: Sequence[str]) -> dict[str, int]:
        found = {}
        for name in names:
            with suppress(FileNotFoundError, NotADirectoryError):
                found[name] = self._path(name).stat().st_size
        return found

    def _keep(self, sha256: str, jpeg: bytes) -> None:
        with suppress(PhotoMissing, PhotoCorrupted):
            _read_checked(self._path(sha256), sha256)
            return
        _write_durably(self._folder, self._path(sha256), jpeg)

    def _keep_thumbnail(self, sha256: str, webp: bytes) -> None:
        path = self._path(sha256).with_name(f"{sha256}.{digest_of(webp).hexdigest()}.webp")
        _write_durably(self._folder, path, webp)
        for other in self._thumbnails(sha256):
            if other != path:
                other.unlink(missing_ok=True)

    def _read_thumbnail(self, sha256: str) -> bytes:
        paths = self._thumbnails(sha256)
        if not paths:
            raise PhotoMissing(sha256)
        return _read_checked(paths[0], paths[0].name.split(".")[1])

    def _delete(self, sha256: str) -> bool:
        paths = [path for path in self._path(sha256).parent.glob(f"{sha256}*") if path.is_file()]
        for path in paths:
            path.unlink(missing_ok=True)
        if paths:
            _sync_folder(self._path(sha256).parent)
        return any(path.name == f"{sha256}.jpg" for path in paths)

    def _clear_leftovers(self) -> int:
        leftovers = list(self._folder.glob("??/??/*.part"))
        for path in leftovers:
            path.unlink(missing_ok=True)
        return len(leftovers)


def _check_name(sha256: str) -> None:
    """Refuse every name but a digest: names come from outside and become paths."""
    if not _NAME.fullmatch(sha256):
        raise PhotoMissing(sha256[:64])


def _read_checked(path: Path, sha256: str) -> bytes:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise PhotoMissing(sha256) from None
    if digest_of(data).hexdigest() != sha256:
        with suppress(FileNotFoundError):
            path.replace(path.with_suffix(path.suffix + ".corrupted"))
        raise PhotoCorrupted(sha256)
    return data


def _write_durably(root: Path, path: Path, data: bytes) -> None:
    """Write beside the final name, make it durable, then rename: the name never stands for part of a file."""
    _make_folders(root, path.parent)
    part = path.with_name(f"{path.name}.{secrets.token_hex(8)}.part")
    try:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _make_folders(root: Path, folder: Path) -> None:
    """Make the folders from `root` down; a new folder lasts only when the one above it was made durable too."""
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    for step in (folder.parent, folder):
        if not step.exists():
            step.mkdir(mode=0o700, exist_ok=True)
            _sync_folder(step.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
