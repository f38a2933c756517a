"""What is kept beside the log for ever, by its digest: NEW-VIEWs (the transcript rule) and the messages of evidence."""

from __future__ import annotations

from server.storage.database import Database
from server.storage.ledger_tables import TRANSCRIPT
from server.storage.statements import add_missing, fetch, find_rows


class TranscriptStore:
    """The transcripts of one node."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def keep(self, kind: str, digest: str, content: bytes) -> None:
        """Keep a message durably; the same again is harmless."""
        await self._database.run(lambda connection: add_missing(connection, TRANSCRIPT, [(digest, kind, content)]))

    async def find(self, digest: str) -> bytes | None:
        """A message by its digest."""
        found = await self._database.read(lambda connection: find_rows(connection, TRANSCRIPT, [digest]))
        return bytes(found[0][2]) if found else None

    async def of_kind(self, kind: str) -> list[tuple[str, bytes]]:
        """All messages of a kind, by digest: evidence is rare and served whole."""
        sql = 'SELECT "digest", "content" FROM "transcript" WHERE "kind" = ? ORDER BY "digest"'
        found = await self._database.read(lambda connection: fetch(connection, sql, kind))
        return [(digest, bytes(content)) for digest, content in found]
