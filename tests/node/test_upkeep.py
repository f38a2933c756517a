"""What nobody named is let go after 48 hours; what a record names stays, whoever signed that record."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from client import Person
from server.gateway.photo_cleaning import CleanedPhoto, clean_photo
from server.node.photo_desk import ORPHAN_MS
from server.node.upkeep import collect_orphans, keep_up
from server.storage.cosignatures import CosignatureLine, CosignatureStore
from tests.api.running import Site

pytestmark = pytest.mark.asyncio(loop_scope="module")
PICTURE = Path(__file__).resolve().parents[2] / "scripts" / "samples" / "photo.jpg"


async def keep(site: Site, owner: str, trailing: bytes) -> CleanedPhoto:
    """A photo in the node's files and index."""
    cleaned = clean_photo(PICTURE.read_bytes() + trailing)
    await site.node.photos.keep_upload(cleaned, owner)
    return cleaned


def naming(person: Person, photo: CleanedPhoto) -> dict[str, object]:
    """A report that names a photo."""
    named = {"original_sha256": photo.original_sha256, "sha256": photo.sha256, "size": len(photo.jpeg)}
    private = {name: person.seal("") for name in ("contact", "place", "text")}
    return {"category": "other", "home": False, "photos": [named], **private}


async def test_an_orderly_end_writes_the_signatures_of_the_last_block(site: Site) -> None:
    ledger, line = site.node.ledger, CosignatureLine(77, "m-late", "root", "line")
    keeping = asyncio.create_task(keep_up(ledger, site.node.photos, site.node.now_ms))
    await asyncio.sleep(0.1)
    ledger.cosignatures.add([line])
    keeping.cancel()
    await asyncio.wait([keeping])
    assert await CosignatureStore(ledger.database).of_size(77) == [line]


async def collect(site: Site, after_ms: int) -> None:
    """Collect as if this much time had passed."""
    node = site.node
    await collect_orphans(node.ledger, node.photos, node.now_ms() + after_ms)


async def test_a_photo_that_no_record_names_is_kept_for_48_hours_and_not_longer(site: Site) -> None:
    photo = await keep(site, "m-nobody", b"")
    await collect(site, ORPHAN_MS - 60_000)
    assert await site.node.photos.files.has(photo.sha256)
    await collect(site, ORPHAN_MS + 60_000)
    assert not await site.node.photos.files.has(photo.sha256)
    assert not await site.node.photos.uploaders(photo.sha256)


async def test_a_photo_stays_when_somebody_elses_record_names_it(site: Site) -> None:
    photo = await keep(site, "m-uploader", b"")
    author = await site.bind("m-author")
    await author.do("ticket.report", naming(author, photo))
    await collect(site, ORPHAN_MS + 60_000)
    assert await site.node.photos.files.has(photo.sha256)
