"""The desk of attachments: what a proposal needs is fetched over TLS, believed only by hash, and kept durably."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from server.consensus.block import pack_attachments
from server.domain import RULEBOOK
from server.domain.plan import RecordWork, parse_signed
from server.gateway.photos import PhotoFiles
from server.node import attachments
from server.node.attachments import AttachmentDesk, AttachmentsMissing
from server.node.photo_desk import PhotoDesk, pack_photo
from server.node.pool import Pool, Waiting
from server.node.transport import Peers
from server.record.canonical import Malformed
from server.record.shape import seal
from server.record.signature import commitment_of
from server.storage.database import Database
from server.storage.openings import HeldOpening, OpeningStore
from server.storage.photos import PhotoIndex
from server.storage.vault import Vault
from tests.node.people import MADE_MS, Author
from tests.node.test_transport import connected, make_peers

JPEG = b"\xff\xd8\xff\xe0" + b"a cleaned picture" * 20 + b"\xff\xd9"
NAME = sha256(JPEG).hexdigest()


@dataclass(slots=True)
class Place:
    """One organisation's stores and desk."""

    peers: Peers
    openings: OpeningStore
    photos: PhotoDesk
    pool: Pool
    desk: AttachmentDesk


@asynccontextmanager
async def two_places(certificates: tuple[Path, dict[str, bytes]], folder: Path) -> AsyncIterator[tuple[Place, Place]]:
    """Street, connected to owners; street asks, owners answer."""
    keys_folder, pinned = certificates
    async with AsyncExitStack() as stack:
        places = []
        for name in ("street", "owners"):
            database = await stack.enter_async_context(await Database.open(f"sqlite://{folder / name}.db"))
            openings = OpeningStore(database, Vault(sha256(name.encode()).digest()))
            pool, peers = Pool(), make_peers(keys_folder, name, pinned)
            photos = PhotoDesk(PhotoFiles(folder / name), PhotoIndex(database), peers, name, lambda: MADE_MS)
            desk = AttachmentDesk(openings, photos, peers, pool)
            desk.serve()
            places.append(Place(peers, openings, photos, pool, desk))
        street, owners = places
        await stack.enter_async_context(connected(street.peers, "street", owners.peers, "owners"))
        yield street, owners


def named(openings: Sequence[bytes]) -> dict[str, bytes]:
    return {commitment_of(opening): opening for opening in openings}


def with_photo(author: Author) -> RecordWork:
    empty = {name: seal("", bytes(16))[0] for name in ("contact", "place", "text")}
    photo = {"original_sha256": "0" * 64, "sha256": NAME, "size": len(JPEG)}
    body: dict[str, Any] = {"category": "door", "home": False, "photos": [photo], **empty}
    return parse_signed(author.sign("ticket.report", body), author.estate, RULEBOOK.find(1))


async def test_openings_that_the_frame_lacks_are_fetched_and_held_durably(
    certificates: tuple[Path, dict[str, bytes]], tmp_path: Path
) -> None:
    async with two_places(certificates, tmp_path) as (street, owners):
        work, openings = Author().report()
        record, held = work.signed.id, named(openings)
        await owners.openings.hold([HeldOpening(record, name, one) for name, one in held.items()], MADE_MS)
        with pytest.raises(AttachmentsMissing) as caught:
            await street.desk.check([work], {})
        assert set(caught.value.names) == set(held)
        await street.desk.attend([work], {}, "owners")
        await street.desk.check([work], {})
        await street.desk.hold_rest([work], {}, MADE_MS)
        assert (await street.openings.of_records([record]))[record] == held


async def test_what_the_frame_brings_is_left_to_the_journal(
    certificates: tuple[Path, dict[str, bytes]], tmp_path: Path
) -> None:
    async with two_places(certificates, tmp_path) as (street, _):
        work, openings = Author().report()
        frame = named(openings)
        await street.desk.attend([work], frame, "owners")
        await street.desk.check([work], frame)
        await street.desk.hold_rest([work], frame, MADE_MS)
        assert await street.openings.of_records([work.signed.id]) == {}
        assert street.desk.given([work], frame) == frame


async def test_openings_of_records_that_wait_are_at_hand_here_and_for_peers(
    certificates: tuple[Path, dict[str, bytes]], tmp_path: Path
) -> None:
    async with two_places(certificates, tmp_path) as (street, owners):
        work, openings = Author().report()
        owners.pool.add(Waiting(work, tuple(sorted(named(openings).items())), MADE_MS, ours=True))
        await owners.desk.check([work], {})
        await street.desk.attend([work], {}, "owners")
        await street.desk.check([work], {})
        assert street.desk.given([work], {}) == named(openings)
        assert owners.desk.given([work], {}) == named(openings)


async def test_an_opening_is_fetched_for_its_record_only(
    certificates: tuple[Path, dict[str, bytes]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who copies another's commitment into a record of his own gets nothing by it."""
    monkeypatch.setattr(attachments, "PATIENCE_S", 0.3)
    async with two_places(certificates, tmp_path) as (street, owners):
        work, openings = Author().report()
        await owners.openings.hold([HeldOpening("A" * 43, name, one) for name, one in named(openings).items()], MADE_MS)
        await street.desk.attend([work], {}, "owners")
        with pytest.raises(AttachmentsMissing):
            await street.desk.check([work], {})


async def test_photos_are_fetched_and_believed_by_their_hash(
    certificates: tuple[Path, dict[str, bytes]], tmp_path: Path
) -> None:
    async with two_places(certificates, tmp_path) as (street, owners):
        work = with_photo(Author())
        frame = named([seal("", bytes(16))[1]])
        await owners.photos.files.keep(NAME, JPEG)
        await street.desk.attend([work], frame, "owners")
        await street.desk.check([work], frame)
        assert await street.photos.read(NAME) == JPEG


async def test_photos_of_a_record_that_is_handed_in_are_sought_at_the_peers(
    certificates: tuple[Path, dict[str, bytes]], tmp_path: Path
) -> None:
    """A phone may upload at one node and post its record to another that missed the photo."""
    async with two_places(certificates, tmp_path) as (street, owners):
        work = with_photo(Author())
        await street.desk.seek_photos(work)
        assert await street.photos.missing([NAME]) == [NAME]
        await owners.photos.files.keep(NAME, JPEG)
        await street.desk.seek_photos(work)
        assert await street.photos.missing([NAME]) == []


async def test_what_a_lying_peer_sends_is_not_taken(
    certificates: tuple[Path, dict[str, bytes]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attachments, "PATIENCE_S", 0.5)
    async with two_places(certificates, tmp_path) as (street, owners):
        work, openings = Author().report()
        unasked = seal("not asked for", bytes(16))

        async def lie(member: str, payload: bytes) -> bytes:
            false = [(name, b"x" * 20) for name in named(openings)]
            return pack_attachments((*false, unasked))

        async def lie_about_photos(member: str, payload: bytes) -> bytes:
            return pack_photo(NAME, [], JPEG + b"!")

        owners.peers.handle("openings", lie)
        owners.peers.handle("photo", lie_about_photos)
        await street.desk.attend([work, with_photo(Author())], {}, "owners")
        with pytest.raises(AttachmentsMissing):
            await street.desk.check([work], {})
        assert street.desk._fetched == {}
        assert await street.photos.missing([NAME]) == [NAME]


async def test_an_opening_that_does_not_fit_its_type_is_no_opening(
    certificates: tuple[Path, dict[str, bytes]], tmp_path: Path
) -> None:
    async with two_places(certificates, tmp_path) as (street, _):
        commitment, opening = seal(7, bytes(16))
        body = {"category": "door", "contact": commitment, "home": False, "photos": [], "place": commitment}
        author = Author()
        work = parse_signed(author.sign("ticket.report", {**body, "text": commitment}), author.estate, RULEBOOK.find(1))
        with pytest.raises(Malformed):
            await street.desk.check([work], {commitment: opening})


async def test_fetching_ends_when_it_is_hopeless(
    certificates: tuple[Path, dict[str, bytes]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attachments, "PATIENCE_S", 0.3)
    async with two_places(certificates, tmp_path) as (street, _):
        work, _openings = Author().report()
        async with asyncio.timeout(10):
            await street.desk.attend([work], {}, "owners")
        with pytest.raises(AttachmentsMissing):
            await street.desk.check([work], {})


async def test_openings_that_were_lost_come_back_from_a_peer_and_are_no_orphans(
    certificates: tuple[Path, dict[str, bytes]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attachments, "ASKED_AT_ONCE", 2)
    async with two_places(certificates, tmp_path) as (street, owners):
        work, openings = Author().report()
        record, held = work.signed.id, named(openings)
        pairs = [(record, name) for name in held]
        assert len(pairs) > attachments.ASKED_AT_ONCE
        await owners.openings.hold([HeldOpening(record, name, one) for name, one in held.items()], MADE_MS)
        assert await street.desk.lost(pairs) == pairs
        assert await street.desk.restore(pairs, MADE_MS) == []
        assert await street.desk.lost(pairs) == []
        assert await street.openings.collect_orphans(MADE_MS + 1) == 0
        assert (await street.openings.of_records([record]))[record] == held


async def test_of_lost_openings_only_what_fits_its_commitment_comes_back(
    certificates: tuple[Path, dict[str, bytes]], tmp_path: Path
) -> None:
    async with two_places(certificates, tmp_path) as (street, owners):
        work, openings = Author().report()
        (first, true), *others = named(openings).items()
        pairs = [(work.signed.id, name) for name in (first, *dict(others))]

        async def lie(member: str, payload: bytes) -> bytes:
            return pack_attachments(((first, true), *[(name, b"another choice") for name, _ in others]))

        owners.peers.handle("openings", lie)
        left = await street.desk.restore(pairs, MADE_MS)
        assert left == pairs[1:]
        assert (await street.openings.of_records([work.signed.id]))[work.signed.id] == {first: true}


async def test_lost_openings_are_sought_one_round_at_a_time_and_a_node_can_end_meanwhile(
    certificates: tuple[Path, dict[str, bytes]], tmp_path: Path
) -> None:
    async with two_places(certificates, tmp_path) as (street, owners):
        work, openings = Author().report()
        asked = asyncio.Queue[str]()

        async def has_none(member: str, payload: bytes) -> bytes:
            asked.put_nowait(member)
            return pack_attachments(())

        owners.peers.handle("openings", has_none)
        pairs = [(work.signed.id, name) for name in named(openings)]
        for _ in range(5):
            street.desk.restore_soon(pairs, MADE_MS)
        async with asyncio.timeout(10):
            assert await asked.get() == "street"
        assert asked.empty()
        await street.desk.close()


async def test_a_disk_that_fails_while_openings_come_back_is_told_with_the_next_need(
    certificates: tuple[Path, dict[str, bytes]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with two_places(certificates, tmp_path) as (street, owners):
        work, openings = Author().report()
        record, held = work.signed.id, named(openings)
        await owners.openings.hold([HeldOpening(record, name, one) for name, one in held.items()], MADE_MS)

        async def fail(restored: Sequence[HeldOpening], received_ms: int) -> None:
            raise OSError("no space left")

        monkeypatch.setattr(street.openings, "restore", fail)
        pairs = [(record, name) for name in held]
        street.desk.restore_soon(pairs, MADE_MS)
        restoring = street.desk._restoring
        assert restoring is not None
        await asyncio.wait((restoring,), timeout=10)
        with pytest.raises(OSError, match="no space"):
            street.desk.restore_soon(pairs, MADE_MS)
