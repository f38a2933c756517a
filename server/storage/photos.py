"""The index of the photos that this node keeps: whose they are, which record names them, how much each member stores.

The files lie in the photo store; this module never sees a picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from server.domain.plan import RecordWork, Work
from server.storage.database import Database
from server.storage.private_tables import PHOTO, PHOTO_UPLOAD
from server.storage.statements import Batch, Connection, add_missing, change, fetch, find_rows


class KeptPhoto(NamedTuple):
    """A cleaned picture; hashes in hex, `photo_bytes` of the cleaned file. `record` is empty until one is ordered."""

    sha256: str
    original_sha256: str
    photo_bytes: int
    width: int
    height: int
    owner: str
    record: str
    created_ms: int


class PhotoIndex:
    """The photo index of one node."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def keep(self, photo: KeptPhoto) -> KeptPhoto:
        """Enter a photo and who uploaded it; the first owner of a picture stays. Returns what is kept."""

        async def work(connection: Connection) -> KeptPhoto:
            await add_missing(connection, PHOTO, [photo])
            upload = (f"{photo.sha256}/{photo.owner}", photo.sha256, photo.owner)
            await add_missing(connection, PHOTO_UPLOAD, [upload])
            [row] = await find_rows(connection, PHOTO, [photo.sha256])
            return KeptPhoto(*row)

        return await self._database.run(work)

    async def uploaders(self, sha256: str) -> frozenset[str]:
        """The members who uploaded a picture here, by the hash of the cleaned one."""
        found = await self._database.read(lambda connection: find_rows(connection, PHOTO_UPLOAD, [sha256], "sha256"))
        return frozenset(row[2] for row in found)

    async def stored_bytes(self, owner: str, since_ms: int) -> int:
        """What a member has uploaded since a time: the quota's measure."""
        sql = 'SELECT SUM("photo_bytes") FROM "photo" WHERE "owner" = ? AND "created_ms" >= ?'
        [(total,)] = await self._database.read(lambda connection: fetch(connection, sql, owner, since_ms))
        return int(total or 0)

    async def orphans(self, created_before_ms: int, limit: int = 1_000) -> list[str]:
        """Photos that no ordered record names (decisions 3: after 48 h they may go), the oldest first."""
        sql = """SELECT "sha256" FROM "photo" WHERE "record" = '' AND "created_ms" < ? ORDER BY "created_ms" LIMIT ?"""
        found = await self._database.read(lambda connection: fetch(connection, sql, created_before_ms, limit))
        return [name for (name,) in found]

    async def forget(self, sha256: str) -> None:
        """Take a photo out of the index, after its files are gone."""

        async def work(connection: Connection) -> None:
            await change(connection, 'DELETE FROM "photo" WHERE "sha256" = ?', sha256)
            await change(connection, 'DELETE FROM "photo_upload" WHERE "sha256" = ?', sha256)

        await self._database.run(work)


def settle_photos(batch: Batch, works: Sequence[Work]) -> None:
    """With a block: the first ordered record of its owner that names a photo keeps it."""
    sql = """UPDATE "photo" SET "record" = ? WHERE "sha256" = ? AND "owner" = ? AND "record" = ''"""
    first: dict[tuple[str, str], str] = {}
    for work in works:
        if isinstance(work, RecordWork):
            for photo in work.signed.body.photo_refs():
                first.setdefault((photo.sha256, work.signed.author), work.signed.id)
    for (sha256, author), record in first.items():
        batch.change(sql, record, sha256, author)
