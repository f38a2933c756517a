"""The photos of one node: kept, given to the peers before a record names them, and let go of when none does.

A picture comes by an upload, by a peer that passes an upload on, or when a proposal names one that is not here. With it
comes the word of who uploaded it: whoever sends a picture has it, so that his word about it opens nothing to him.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Annotated

import structlog
from msgspec import Meta

from server.domain.plan import RecordWork
from server.gateway.photo_cleaning import CleanedPhoto
from server.gateway.photos import PhotoCorrupted, PhotoFiles, PhotoMismatch, PhotoMissing
from server.limits import HOUR_MS, MIB
from server.node.transport import CallFailed, Peers
from server.record.canonical import Malformed, decode, encode
from server.record.shape import Hex256, MemberId, PhotoRef, Shape, parse
from server.storage.photos import KeptPhoto, PhotoIndex, PhotoUpload

log = structlog.get_logger()
ORPHAN_MS = 48 * HOUR_MS
"""A phone may still deliver a record that names a photo for so long (decisions 3)."""
UNNAMED_BYTES_MAX = 4096 * MIB
"""Pictures that one peer may have us keep before records name them: some 10,000."""
ORPHANS_AT_ONCE = 500
NAMED_AT_ONCE = 500
FETCH_AGAIN_S = 2.0
UPLOADS_TOLD_MAX = 16
"""Uploads of one picture that are told with it; residents seldom share a picture at all."""


class _Upload(Shape, frozen=True):
    member: MemberId
    original_sha256: Hex256


class _Head(Shape, frozen=True):
    sha256: Hex256
    uploads: Annotated[tuple[_Upload, ...], Meta(max_length=UPLOADS_TOLD_MAX)]


class PhotoDesk:
    """Mutable. What is done with photos at one node. `_lock`: no picture goes while somebody relies on its row."""

    def __init__(self, files: PhotoFiles, index: PhotoIndex, peers: Peers, me: str, now_ms: Callable[[], int]) -> None:
        self.files = files
        self._index = index
        self._peers = peers
        self._me = me
        self._now_ms = now_ms
        self._lock = asyncio.Lock()
        self._awaited: dict[str, None] = {}

    def serve(self) -> None:
        """Answer peers that ask for photos, and take what they give."""
        self._peers.handle("photo", self._serve_photo)
        self._peers.handle("photo-given", self._take_photo)

    async def keep_upload(self, photo: CleanedPhoto, member: str) -> None:
        """Keep what a member uploaded here, and give it to every peer before a record names it."""
        now_ms, size = self._now_ms(), len(photo.jpeg)
        upload = PhotoUpload(photo.sha256, photo.original_sha256, member, self._me, size, now_ms)
        await self._keep(KeptPhoto(photo.sha256, size, self._me, now_ms), photo.jpeg, [upload])
        await self.files.keep_thumbnail(photo.sha256, photo.thumbnail)
        holders = await self._give(pack_photo(photo.sha256, [upload], photo.jpeg))
        log.info("photo_kept", sha256=photo.sha256, holders=len(holders) + 1)

    async def uploaded_bytes(self, member: str, since_ms: int) -> int:
        """What a member has uploaded at this node since a time."""
        return await self._index.uploaded_bytes(member, self._me, since_ms)

    async def uploaders(self, sha256: str) -> frozenset[str]:
        """The members who are known here to have uploaded a picture, by the hash of the cleaned one."""
        return frozenset(upload.member for upload in await self._index.uploads(sha256))

    async def _keep(self, row: KeptPhoto, jpeg: bytes, uploads: Sequence[PhotoUpload]) -> None:
        """The row first: a file without one would never be let go of."""
        async with self._lock:
            await self._index.keep([row], uploads)
            await self.files.keep(row.sha256, jpeg)

    async def _give(self, packed: bytes) -> list[str]:
        members = self._peers.connected()
        calls = [self._peers.call(member, "photo-given", packed) for member in members]
        answers = await asyncio.gather(*calls, return_exceptions=True)
        return [member for member, answer in zip(members, answers, strict=True) if isinstance(answer, bytes)]

    async def _take_photo(self, member: str, payload: bytes) -> bytes:
        """Keep what a peer passes on, within its bound."""
        if await self._index.unnamed_bytes(member) + len(payload) > UNNAMED_BYTES_MAX:
            raise CallFailed("too many photos that no record names")
        await self._keep_packed(member, *unpack_photo(payload))
        return b""

    async def _keep_packed(self, source: str, sha256: str, uploads: Sequence[tuple[str, str]], jpeg: bytes) -> None:
        now_ms, size = self._now_ms(), len(jpeg)
        told = [PhotoUpload(sha256, original, member, source, size, now_ms) for member, original in uploads]
        await self._keep(KeptPhoto(sha256, size, source, now_ms), jpeg, told)

    async def _serve_photo(self, member: str, payload: bytes) -> bytes:
        sha256 = payload.decode("ascii")
        jpeg = await self.files.read(sha256)
        return pack_photo(sha256, await self._index.uploads(sha256), jpeg)

    async def fetch(self, member: str, sha256: str) -> bool:
        """Ask a peer for a photo and keep it; False when he did not give it. Raises OSError for our disk's failure."""
        try:
            found, uploads, jpeg = unpack_photo(await self._peers.call(member, "photo", sha256.encode()))
            if found != sha256:
                raise Malformed("it is another photo than was asked for")
            await self._keep_packed(member, found, uploads, jpeg)
        except (CallFailed, Malformed, PhotoMismatch) as error:
            log.info("photo_not_there", member=member, reason=str(error)[:100])
            return False
        return True

    async def read(self, sha256: str) -> bytes:
        """The picture; one that is lost or damaged here is got back from a peer.

        Raises PhotoMissing, PhotoCorrupted.
        """
        try:
            return await self.files.read(sha256)
        except (PhotoMissing, PhotoCorrupted):
            for member in self._peers.connected():
                if await self.fetch(member, sha256):
                    log.warning("photo_healed", sha256=sha256, member=member)
                    break
            return await self.files.read(sha256)

    async def missing(self, names: Iterable[str]) -> list[str]:
        """Which of these photos are not here."""
        wanted = list(dict.fromkeys(names))
        held = await self.files.sizes(wanted) if wanted else {}
        return [name for name in wanted if name not in held]

    async def await_named(self, names: Iterable[str]) -> None:
        """Note which photos of ordered records are not here: `fetch_awaited` gets them."""
        for name in await self.missing(names):
            self._awaited[name] = None

    @property
    def awaited(self) -> int:
        """How many photos of ordered records are known to be missing here."""
        return len(self._awaited)

    async def fetch_awaited(self) -> None:
        """For ever: get the photos of ordered records that are not here, one after the other (decisions 3).

        A node that was away finds them by the blocks it catches up with; one that lost files, when it starts.
        """
        await self._find_lost()
        while True:
            for name in list(self._awaited):
                if await self._fetch_from_any(name):
                    del self._awaited[name]
            await asyncio.sleep(FETCH_AGAIN_S)

    async def _find_lost(self) -> None:
        after = ""
        while names := await self._index.named(after, NAMED_AT_ONCE):
            await self.await_named(names)
            after = names[-1]

    async def _fetch_from_any(self, name: str) -> bool:
        if await self.files.has(name):
            return True
        for member in self._peers.connected():
            if await self.fetch(member, name):
                return True
        return False

    async def hold(self, photos: Sequence[PhotoRef]) -> list[str]:
        """Which of these photos are not here; those that are will stay for the time a record has to be ordered.

        Raises Malformed when one has another size than the record says.
        """
        if not photos:
            return []
        now_ms = self._now_ms()
        async with self._lock:
            held = await self.files.sizes([photo.sha256 for photo in photos])
            if any(held.get(photo.sha256, photo.size) != photo.size for photo in photos):
                raise Malformed("a photo has another size", "photos")
            rows = {name: KeptPhoto(name, size, self._me, now_ms) for name, size in held.items()}
            await self._index.keep(list(rows.values()))
        return [photo.sha256 for photo in photos if photo.sha256 not in held]

    async def check_originals(self, work: RecordWork) -> None:
        """Raise Malformed when a record names another original file than its author uploaded here or at a peer.

        Decisions 16: the record names both. What nobody told this node of, it cannot compare.
        """
        for photo in work.signed.body.photo_refs():
            uploads = await self._index.uploads(photo.sha256)
            originals = {upload.original_sha256 for upload in uploads if upload.member == work.signed.author}
            if originals and photo.original_sha256 not in originals:
                raise Malformed("it is not the photo's original", "photos")

    async def collect_orphans(self, now_ms: int) -> int:
        """Let go of photos that no ordered record has named for 48 hours, whoever gave them. Returns how many."""
        before_ms, gone = now_ms - ORPHAN_MS, 0
        while orphans := await self._index.orphans(before_ms, ORPHANS_AT_ONCE):
            for name in orphans:
                gone += await self._let_go(name, before_ms)
        return gone

    async def _let_go(self, name: str, before_ms: int) -> bool:
        async with self._lock:
            orphaned = await self._index.forget(name, before_ms)
            if orphaned:
                await self.files.delete(name)
        return orphaned


def pack_photo(sha256: str, uploads: Sequence[PhotoUpload], jpeg: bytes) -> bytes:
    """A picture for a peer, after a line of JSON that says which it is and who uploaded it."""
    told = [
        _Upload(member=upload.member, original_sha256=upload.original_sha256) for upload in uploads[:UPLOADS_TOLD_MAX]
    ]
    return encode(_Head(sha256=sha256, uploads=tuple(told))) + b"\n" + jpeg


def unpack_photo(payload: bytes) -> tuple[str, list[tuple[str, str]], bytes]:
    """(sha256, uploads as member and original's hash, JPEG). The picture is not looked at. Raises Malformed."""
    line, separator, jpeg = payload.partition(b"\n")
    if not separator:
        raise Malformed("the head has no end")
    head = parse(_Head, decode(line))
    return head.sha256, [(told.member, told.original_sha256) for told in head.uploads], jpeg
