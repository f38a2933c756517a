"""Rules of server.gateway.photos (the store) and server.gateway.photo_workshop (the confined processes)."""

import asyncio
import io
import os
import signal
from hashlib import sha256
from pathlib import Path

import pytest
from PIL import Image

from server.gateway.photo_cleaning import UPLOAD_BYTES_MAX, PhotoFault, PhotoRefused, clean_photo
from server.gateway.photo_workshop import WORKER_MEMORY_BYTES, PhotoWorkshop, WorkshopBusy
from server.gateway.photos import PhotoCorrupted, PhotoFiles, PhotoMismatch, PhotoMissing

PICTURE = io.BytesIO()
Image.effect_noise((400, 300), 60).convert("RGB").save(PICTURE, "JPEG")
PHOTO = clean_photo(PICTURE.getvalue())


def files_in(folder: Path, pattern: str = "*") -> list[Path]:
    return sorted(path for path in folder.rglob(pattern) if path.is_file())


# ---------------------------------------------------------------- the store


async def test_a_kept_photo_is_read_back_with_its_thumbnail(tmp_path: Path) -> None:
    files = PhotoFiles(tmp_path / "photos")
    await files.keep(PHOTO.sha256, PHOTO.jpeg, PHOTO.thumbnail)
    assert await files.has(PHOTO.sha256)
    assert await files.read(PHOTO.sha256) == PHOTO.jpeg
    assert await files.read_thumbnail(PHOTO.sha256) == PHOTO.thumbnail
    assert await PhotoFiles(tmp_path / "photos").read(PHOTO.sha256) == PHOTO.jpeg


async def test_keeping_a_photo_many_times_at_once_is_harmless(tmp_path: Path) -> None:
    files = PhotoFiles(tmp_path)
    await asyncio.gather(*(files.keep(PHOTO.sha256, PHOTO.jpeg, PHOTO.thumbnail) for _ in range(12)))
    assert await files.read(PHOTO.sha256) == PHOTO.jpeg
    assert sorted(path.suffix for path in files_in(tmp_path)) == [".jpg", ".webp"]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("0" * 64, PHOTO.jpeg),
        (PHOTO.sha256, PHOTO.jpeg + b"\0"),
        (sha256(b"<html>").hexdigest(), b"<html>"),
        (sha256(b"\xff\xd8\xff" + bytes(9 << 20)).hexdigest(), b"\xff\xd8\xff" + bytes(9 << 20)),
    ],
    ids=["digest", "trailing", "kind", "size"],
)
async def test_bytes_that_are_not_what_their_name_says_are_not_kept(tmp_path: Path, name: str, data: bytes) -> None:
    files = PhotoFiles(tmp_path)
    with pytest.raises(PhotoMismatch):
        await files.keep(name, data)
    assert not await files.has(name)


@pytest.mark.parametrize("name", ["", "../../etc/passwd", PHOTO.sha256.upper(), PHOTO.sha256 + "\n", "/" * 64])
async def test_a_name_that_is_no_digest_reaches_no_file(tmp_path: Path, name: str) -> None:
    files = PhotoFiles(tmp_path)
    assert not await files.has(name)
    for call in (files.read(name), files.read_thumbnail(name), files.delete(name), files.keep(name, PHOTO.jpeg)):
        with pytest.raises(PhotoMissing):
            await call
    assert files_in(tmp_path) == []


async def test_a_corrupted_photo_is_refused_set_aside_and_can_be_kept_again(tmp_path: Path) -> None:
    files = PhotoFiles(tmp_path)
    await files.keep(PHOTO.sha256, PHOTO.jpeg)
    path = files_in(tmp_path, "*.jpg")[0]
    path.write_bytes(PHOTO.jpeg[:-1] + b"\0")
    with pytest.raises(PhotoCorrupted):
        await files.read(PHOTO.sha256)
    assert not await files.has(PHOTO.sha256)
    await files.keep(PHOTO.sha256, PHOTO.jpeg)
    assert await files.read(PHOTO.sha256) == PHOTO.jpeg


async def test_a_corrupted_photo_is_mended_by_keeping_it_again(tmp_path: Path) -> None:
    files = PhotoFiles(tmp_path)
    await files.keep(PHOTO.sha256, PHOTO.jpeg)
    files_in(tmp_path, "*.jpg")[0].write_bytes(b"")
    await files.keep(PHOTO.sha256, PHOTO.jpeg)
    assert await files.read(PHOTO.sha256) == PHOTO.jpeg


async def test_a_corrupted_thumbnail_is_refused_and_can_be_replaced(tmp_path: Path) -> None:
    files = PhotoFiles(tmp_path)
    await files.keep(PHOTO.sha256, PHOTO.jpeg, PHOTO.thumbnail)
    files_in(tmp_path, "*.webp")[0].write_bytes(b"RIFFxxxx")
    with pytest.raises(PhotoCorrupted):
        await files.read_thumbnail(PHOTO.sha256)
    with pytest.raises(PhotoMissing):
        await files.read_thumbnail(PHOTO.sha256)
    await files.keep_thumbnail(PHOTO.sha256, PHOTO.thumbnail)
    assert await files.read_thumbnail(PHOTO.sha256) == PHOTO.thumbnail


async def test_a_deleted_photo_leaves_nothing(tmp_path: Path) -> None:
    files = PhotoFiles(tmp_path)
    await files.keep(PHOTO.sha256, PHOTO.jpeg, PHOTO.thumbnail)
    assert await files.delete(PHOTO.sha256)
    assert not await files.delete(PHOTO.sha256)
    assert files_in(tmp_path) == []
    with pytest.raises(PhotoMissing):
        await files.read(PHOTO.sha256)


async def test_sizes_of_stored_photos_are_told_and_leftovers_of_interrupted_writes_go(tmp_path: Path) -> None:
    files = PhotoFiles(tmp_path)
    await files.keep(PHOTO.sha256, PHOTO.jpeg, PHOTO.thumbnail)
    path = files_in(tmp_path, "*.jpg")[0]
    path.with_name(f"{path.name}.0011.part").write_bytes(b"half")
    assert await files.sizes([PHOTO.sha256, "0" * 64, "../x"]) == {PHOTO.sha256: len(PHOTO.jpeg)}
    assert await files.clear_leftovers() == 1
    assert await files.clear_leftovers() == 0
    assert await files.has(PHOTO.sha256)


async def test_a_write_that_fails_leaves_nothing_under_the_name(tmp_path: Path) -> None:
    files = PhotoFiles(tmp_path)
    (tmp_path / PHOTO.sha256[:2]).write_bytes(b"a file where a folder must be")
    with pytest.raises(OSError, match=r"exist|directory"):
        await files.keep(PHOTO.sha256, PHOTO.jpeg)
    assert not await files.has(PHOTO.sha256)


# ---------------------------------------------------------------- the workshop, and jobs that its workers load


def job_limits(_: bytes) -> bytes:
    import resource

    return repr([resource.getrlimit(kind)[0] for kind in (resource.RLIMIT_AS, resource.RLIMIT_FSIZE)]).encode()


def job_hog(_: bytes) -> bytes:
    return bytes(WORKER_MEMORY_BYTES)


def job_write(data: bytes) -> bytes:
    Path(data.decode()).write_bytes(b"x")
    return b""


def job_spin(_: bytes) -> bytes:
    import resource

    resource.setrlimit(resource.RLIMIT_CPU, (1, 1))
    while True:
        pass


def job_die(_: bytes) -> bytes:
    os.kill(os.getpid(), signal.SIGSEGV)
    return b""


def job_process(_: bytes) -> bytes:
    return str(os.getpid()).encode()


async def test_the_workshop_cleans_as_the_cleaning_itself() -> None:
    async with PhotoWorkshop() as workshop:
        assert await workshop.clean(PICTURE.getvalue()) == PHOTO
        assert (await workshop.shrink(PHOTO.jpeg))[:4] == b"RIFF"
        for data, fault in ((b"text", PhotoFault.NOT_A_PICTURE), (b"\xff\xd8\xff", PhotoFault.DAMAGED)):
            with pytest.raises(PhotoRefused) as caught:
                await workshop.clean(data)
            assert caught.value.fault is fault
        with pytest.raises(PhotoRefused):
            await workshop.clean(bytes(UPLOAD_BYTES_MAX + 1))


async def test_a_worker_is_confined(tmp_path: Path) -> None:
    async with PhotoWorkshop() as workshop:
        assert await workshop._give(job_limits, b"") == repr([WORKER_MEMORY_BYTES, 0]).encode()
        with pytest.raises(PhotoRefused) as caught:
            await workshop._give(job_hog, b"")
        assert caught.value.fault is PhotoFault.TOO_LARGE
        with pytest.raises(OSError, match="File too large"):
            await workshop._give(job_write, str(tmp_path / "out").encode())
        assert await workshop.clean(PICTURE.getvalue()) == PHOTO


@pytest.mark.parametrize("job", [job_die, job_spin])
async def test_a_photo_that_kills_its_worker_is_refused_and_the_next_one_is_served(job: object) -> None:
    async with PhotoWorkshop() as workshop:
        with pytest.raises(PhotoRefused) as caught:
            await workshop._give(job, b"")  # type: ignore[arg-type]
        assert caught.value.fault is PhotoFault.DAMAGED
        assert await workshop.clean(PICTURE.getvalue()) == PHOTO


async def test_a_file_that_crashes_the_decoder_is_refused_and_the_next_one_is_served() -> None:
    """pi_heif 1.4.0 ends with SIGSEGV when the type of an item is no text: one byte of a good file."""
    good = (Path(__file__).parent / "samples" / "corners.heic").read_bytes()
    async with PhotoWorkshop() as workshop:
        with pytest.raises(PhotoRefused) as caught:
            await workshop.clean(good.replace(b"Exif", b"E\x82if", 1))
        assert caught.value.fault is PhotoFault.DAMAGED
        assert (await workshop.clean(good)).width == 96


async def test_a_worker_killed_while_idle_costs_no_photo() -> None:
    async with PhotoWorkshop() as workshop:
        os.kill(int(await workshop._give(job_process, b"")), signal.SIGKILL)
        assert await workshop.clean(PICTURE.getvalue()) == PHOTO


async def test_more_photos_than_may_wait_are_sent_away_and_the_others_served() -> None:
    async with PhotoWorkshop(workers=1, waiting_max=2) as workshop:
        answers = await asyncio.gather(*(workshop.clean(PICTURE.getvalue()) for _ in range(6)), return_exceptions=True)
    assert [answer for answer in answers if answer == PHOTO] == [PHOTO] * 3
    assert sum(isinstance(answer, WorkshopBusy) for answer in answers) == 3


async def test_a_sender_who_goes_away_leaves_the_worker_in_order() -> None:
    async with PhotoWorkshop() as workshop:
        waiting = asyncio.create_task(workshop.clean(PICTURE.getvalue()))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert await workshop.clean(PICTURE.getvalue()) == PHOTO
