"""The index of the photos that this node keeps: who gave each, who uploaded it where, which ordered record names it.

The files lie in the photo store; this module never sees a picture. A row is written before its file and outlives it, so
that no file is without one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from server.domain.plan import RecordWork, Work
from server.storage.database import Database
from server.storage.private_tables import PHOTO, PHOTO_UPLOAD
from server.storage.statements import Batch, Connection, add_missing, change, fetch, find_rows


class KeptPhoto(NamedTuple):
    """A cleaned picture; its hash in hex, its size, the organisation that gave it to us, when it was last wanted.

    `record` is the first ordered record that names it, and empty until there is one.
    """

    sha256: str
    photo_bytes: int
    source: str
    kept_ms: int
    record: str = ""


class PhotoUpload(NamedTuple):
    """Somebody's upload of a picture: the hash of the file as it was, who, at which organisation's node, and when.

    Two people may upload one picture, and two files may clean to one.
    """

    sha256: str
    original_sha256: str
    member: str
    source: str
    photo_bytes: int
    uploaded_ms: int

    @property
    def id(self) -> str:
        """Its key."""
        return f"{self.sha256}/{self.original_sha256}/{self.member}"


class PhotoIndex:
    """The photo index of one node."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def keep(self, photos: Sequence[KeptPhoto], uploads: Sequence[PhotoUpload] = ()) -> None:
        """Enter photos and their uploads. What is known stays, but is wanted again from now on."""

        async def work(connection: Connection) -> None:
            await add_missing(connection, PHOTO, photos)
            await add_missing(connection, PHOTO_UPLOAD, [(upload.id, *upload) for upload in uploads])
            for photo in photos:
                sql = 'UPDATE "photo" SET "kept_ms" = ? WHERE "sha256" = ? AND "record" = \'\' AND "kept_ms" < ?'
                await change(connection, sql, photo.kept_ms, photo.sha256, photo.kept_ms)

        await self._database.run(work)

    async def uploads(self, sha256: str) -> list[PhotoUpload]:
        """The uploads of a picture that are known here, by the hash of the cleaned one."""
        found = await self._database.read(lambda connection: find_rows(connection, PHOTO_UPLOAD, [sha256], "sha256"))
        return [PhotoUpload(*row[1:]) for row in found]

    async def uploaded_bytes(self, member: str, source: str, since_ms: int) -> int:
        """What a member has uploaded at an organisation's node since a time: the quota's measure."""
        sql = """SELECT SUM("photo_bytes") FROM "photo_upload"
            WHERE "member" = ? AND "uploaded_ms" >= ? AND "source" = ?"""
        [(total,)] = await self._database.read(lambda connection: fetch(connection, sql, member, since_ms, source))
        return int(total or 0)

    async def unnamed_bytes(self, source: str) -> int:
        """What an organisation has given us that no ordered record names."""
        sql = """SELECT SUM("photo_bytes") FROM "photo" WHERE "record" = '' AND "source" = ?"""
        [(total,)] = await self._database.read(lambda connection: fetch(connection, sql, source))
        return int(total or 0)

    async def orphans(self, kept_before_ms: int, limit: int) -> list[str]:
        """Photos that no ordered record names (decisions 3: after 48 h they may go), the oldest first."""
        sql = """SELECT "sha256" FROM "photo" WHERE "record" = '' AND "kept_ms" < ? ORDER BY "kept_ms" LIMIT ?"""
        found = await self._database.read(lambda connection: fetch(connection, sql, kept_before_ms, limit))
        return [name for (name,) in found]

    async def named(self, after: str, limit: int) -> list[str]:
        """Photos that ordered records name, whether their files are here or not, by hash from `after` on."""
        sql = """SELECT "sha256" FROM "photo" WHERE "record" <> '' AND "sha256" > ? ORDER BY "sha256" LIMIT ?"""
        found = await self._database.read(lambda connection: fetch(connection, sql, after, limit))
        return [name for (name,) in found]

    async def forget(self, sha256: str, kept_before_ms: int) -> bool:
        """Take out an orphan and its uploads; False when it was wanted or named meanwhile, and stays."""

        async def work(connection: Connection) -> bool:
            sql = """SELECT COUNT(*) FROM "photo" WHERE "sha256" = ? AND "record" = '' AND "kept_ms" < ?"""
            [(found,)] = await fetch(connection, sql, sha256, kept_before_ms)
            if found:
                await change(connection, 'DELETE FROM "photo" WHERE "sha256" = ?', sha256)
                await change(connection, 'DELETE FROM "photo_upload" WHERE "sha256" = ?', sha256)
            return bool(found)

        return await self._database.run(work)


def settle_photos(batch: Batch, works: Sequence[Work], time_ms: int) -> None:
    """With a block: the first ordered record that names a photo keeps it, whoever signed and whatever came of it.

    A node that is behind fetches the photos of every ordered record, also of refused ones: their rows are here before.
    """
    first: dict[str, tuple[int, str]] = {}
    for work in works:
        if isinstance(work, RecordWork):
            for photo in work.signed.body.photo_refs():
                first.setdefault(photo.sha256, (photo.size, work.signed.id))
    batch.add_missing(PHOTO, [KeptPhoto(name, size, "", time_ms, record) for name, (size, record) in first.items()])
    for sha256, (_, record) in first.items():
        batch.change("""UPDATE "photo" SET "record" = ? WHERE "sha256" = ? AND "record" = ''""", record, sha256)
