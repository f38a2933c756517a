"""Photos between nodes: given with the word of who uploaded them, held for records, let go of, healed from peers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import pytest

from server.gateway.photo_cleaning import CleanedPhoto
from server.gateway.photos import PhotoFiles, PhotoMissing
from server.node import photo_desk
from server.node.photo_desk import ORPHAN_MS, PhotoDesk, pack_photo, unpack_photo
from server.record.canonical import Malformed
from server.record.shape import PhotoRef
from server.storage.database import Database
from server.storage.photos import KeptPhoto, PhotoIndex
from tests.node.people import MADE_MS
from tests.node.test_transport import connected, make_peers


def picture(text: str) -> CleanedPhoto:
    """A picture of its own; only its marks are looked at."""
    jpeg = b"\xff\xd8\xff\xe0" + text.encode() * 20 + b"\xff\xd9"
    name, original = sha256(jpeg).hexdigest(), sha256(text.encode()).hexdigest()
    return CleanedPhoto(jpeg, b"RIFF small", 4, 3, name, original, 0)


def ref(photo: CleanedPhoto, size: int = 0) -> PhotoRef:
    return PhotoRef(original_sha256=photo.original_sha256, sha256=photo.sha256, size=size or len(photo.jpeg))


@dataclass(slots=True)
class Time:
    """A clock that stands until it is moved."""

    ms: int = field(default=MADE_MS)

    def now_ms(self) -> int:
        return self.ms


@asynccontextmanager
async def two_desks(pinned: tuple[Path, dict[str, bytes]], folder: Path, time: Time) -> AsyncIterator[list[PhotoDesk]]:
    """Street's and owners', connected both ways."""
    keys_folder, certificates = pinned
    async with AsyncExitStack() as stack:
        desks, peers = [], []
        for name in ("street", "owners"):
            database = await stack.enter_async_context(await Database.open(f"sqlite://{folder / name}.db"))
            peers.append(make_peers(keys_folder, name, certificates))
            files = PhotoFiles(folder / name)
            desks.append(PhotoDesk(files, PhotoIndex(database), peers[-1], name, time.now_ms))
            desks[-1].serve()
        await stack.enter_async_context(connected(peers[0], "street", peers[1], "owners"))
        await stack.enter_async_context(connected(peers[1], "owners", peers[0], "street"))
        yield desks


async def test_a_photo_is_given_to_the_peers_with_its_uploader_before_a_record_names_it(
    certificates: tuple[Path, dict[str, bytes]], tmp_path: Path
) -> None:
    async with two_desks(certificates, tmp_path, Time()) as (street, owners):
        photo = picture("lift")
        await street.keep_upload(photo, "m-1")
        assert await owners.read(photo.sha256) == photo.jpeg
        assert await owners.uploaders(photo.sha256) == {"m-1"}
        await owners.keep_upload(photo, "m-2")
        assert await street.uploaders(photo.sha256) == {"m-1", "m-2"}


async def test_the_quota_counts_what_was_uploaded_here(
    certificates: tuple[Path, dict[str, bytes]], tmp_path: Path
) -> None:
    async with two_desks(certificates, tmp_path, Time()) as (street, owners):
        photo = picture("door")
        await street.keep_upload(photo, "m-1")
        assert await street.uploaded_bytes("m-1", MADE_MS) == len(photo.jpeg)
        assert await owners.uploaded_bytes("m-1", MADE_MS) == 0


async def test_a_photo_that_no_record_names_is_let_go_of_wherever_it_came_from(
    certificates: tuple[Path, dict[str, bytes]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(photo_desk, "ORPHANS_AT_ONCE", 2)
    time = Time()
    async with two_desks(certificates, tmp_path, time) as (street, owners):
        photos = [picture(str(number)) for number in range(5)]
        for photo in photos:
            await street.keep_upload(photo, "m-1")
        fetched = picture("fetched")
        await street.files.keep(fetched.sha256, fetched.jpeg)
        assert await owners.fetch("street", fetched.sha256)
        for desk, count in ((street, 5), (owners, 6)):
            assert await desk.collect_orphans(time.ms + ORPHAN_MS) == 0
            assert await desk.collect_orphans(time.ms + ORPHAN_MS + 1) == count
            assert await desk.missing([photo.sha256 for photo in photos]) == [photo.sha256 for photo in photos]


async def test_a_photo_that_a_waiting_record_names_is_held_for_another_48_hours(
    certificates: tuple[Path, dict[str, bytes]], tmp_path: Path
) -> None:
    time = Time()
    async with two_desks(certificates, tmp_path, time) as (street, _):
        photo = picture("lift")
        await street.keep_upload(photo, "m-1")
        time.ms += ORPHAN_MS
        assert await street.hold([ref(photo)]) == []
        assert await street.collect_orphans(time.ms + 60_000) == 0
        assert await street.collect_orphans(time.ms + ORPHAN_MS + 1) == 1
        assert await street.hold([ref(photo)]) == [photo.sha256]


async def test_a_photo_of_another_size_than_the_record_says_is_malformed(
    certificates: tuple[Path, dict[str, bytes]], tmp_path: Path
) -> None:
    async with two_desks(certificates, tmp_path, Time()) as (street, _):
        photo = picture("lift")
        await street.keep_upload(photo, "m-1")
        with pytest.raises(Malformed, match="another size"):
            await street.hold([ref(photo, size=len(photo.jpeg) + 1)])


async def test_a_lost_or_damaged_photo_is_got_back_from_a_peer(
    certificates: tuple[Path, dict[str, bytes]], tmp_path: Path
) -> None:
    async with two_desks(certificates, tmp_path, Time()) as (street, _):
        photo = picture("lift")
        await street.keep_upload(photo, "m-1")
        [file] = (tmp_path / "street").glob("??/??/*.jpg")
        file.write_bytes(photo.jpeg[:-9])
        assert await street.read(photo.sha256) == photo.jpeg
        file.unlink()
        assert await street.read(photo.sha256) == photo.jpeg
        with pytest.raises(PhotoMissing):
            await street.read("0" * 64)


async def test_a_photo_that_an_ordered_record_names_is_fetched_unasked_and_kept(
    certificates: tuple[Path, dict[str, bytes]], tmp_path: Path
) -> None:
    """What a node that was away finds in its index when it starts, and in the blocks that it catches up with."""
    time, known, new = Time(), picture("at its start"), picture("with a block")
    async with two_desks(certificates, tmp_path, time) as (street, owners):
        for photo in (known, new):
            await street.files.keep(photo.sha256, photo.jpeg)
            await owners._index.keep([KeptPhoto(photo.sha256, len(photo.jpeg), "", MADE_MS, "r" * 43)])
        fetching = asyncio.create_task(owners.fetch_awaited())
        await owners.await_named([new.sha256])
        async with asyncio.timeout(5):
            while len(await owners.files.sizes([known.sha256, new.sha256])) < 2 or owners.awaited:
                await asyncio.sleep(0.05)
        fetching.cancel()
        await asyncio.wait([fetching])
        assert await owners.collect_orphans(MADE_MS + 10 * ORPHAN_MS) == 0


async def test_a_peer_has_us_keep_a_bounded_number_of_bytes(
    certificates: tuple[Path, dict[str, bytes]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with two_desks(certificates, tmp_path, Time()) as (street, owners):
        first, second = picture("first"), picture("second")
        await street.keep_upload(first, "m-1")
        monkeypatch.setattr(photo_desk, "UNNAMED_BYTES_MAX", len(first.jpeg) + 200)
        await street.keep_upload(second, "m-1")
        assert await owners.missing([first.sha256, second.sha256]) == [second.sha256]


def test_a_packed_photo_is_unpacked() -> None:
    photo = picture("lift")
    assert unpack_photo(pack_photo(photo.sha256, [], photo.jpeg)) == (photo.sha256, [], photo.jpeg)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\n",
        b"{}\n",
        b'{"sha256":"../../etc/passwd","uploads":[]}\n',
        b'{"sha256":"' + b"0" * 64 + b'","uploads":[{"member":"M 1","original_sha256":"' + b"0" * 64 + b'"}]}\n',
    ],
)
def test_a_photo_with_a_bad_head_is_malformed(payload: bytes) -> None:
    with pytest.raises(Malformed):
        unpack_photo(payload)
