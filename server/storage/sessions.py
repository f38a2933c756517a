"""Refresh tokens of this node, in families (decisions 15): each is used once, a stolen one ends its family.

A token is `<family>.<number>.<keyed hash of both>`; the table holds the newest number, so nothing in it opens a
session. Who uses a token that was followed by another gets that other one again within 10 s (his answer was lost), and
later revokes the family, never the device.
"""

from __future__ import annotations

import hmac
import secrets
from typing import Any

import msgspec

from server.limits import DAY_MS, SECOND_MS
from server.record.canonical import b64u_encode
from server.storage.database import Database
from server.storage.private_tables import SESSION_FAMILY
from server.storage.statements import Connection, add_rows, change, find_rows
from server.storage.vault import Vault

FAMILY_LIFE_MS = 30 * DAY_MS
"""A session that is not used for so long ends."""
SESSION_LIFE_MS_MAX = 180 * DAY_MS
"""However often it is used, it ends after half a year, as the privacy notice says; the device opens another."""
REUSE_MS = 10 * SECOND_MS
"""A phone whose connection broke before the answer may ask once more."""
TOKEN_LENGTH_MAX = 120


class RefreshToken(msgspec.Struct, frozen=True):
    """A refresh token just made; only its owner ever sees the text."""

    text: str
    family: str
    member: str
    kid: str


class SessionStore:
    """The refresh families of one node."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    async def open(self, member: str, kid: str, now_ms: int) -> RefreshToken:
        """Begin a family for a device that has proved its key. Families that have ended are deleted on the way."""
        family = b64u_encode(secrets.token_bytes(32))
        row = (family, member, kid, 0, now_ms, now_ms, now_ms + FAMILY_LIFE_MS, False)

        async def work(connection: Connection) -> None:
            await change(connection, 'DELETE FROM "session_family" WHERE "expires_ms" <= ?', now_ms)
            await add_rows(connection, SESSION_FAMILY, [row])

        await self._database.run(work)
        return RefreshToken(self._text(family, 0), family, member, kid)

    async def rotate(self, token: str, now_ms: int) -> RefreshToken | None:
        """The next token of a family; None when the token is not genuine, not the newest, or the family has ended."""
        read = self._read(token)
        if read is None:
            return None
        family, generation = read

        async def work(connection: Connection) -> RefreshToken | None:
            found = await find_rows(connection, SESSION_FAMILY, [family])
            return await self._follow(connection, found[0], generation, now_ms) if found else None

        return await self._database.run(work)

    async def revoke(self, family: str) -> None:
        """End a family; an unknown one is harmless."""
        await self._database.run(lambda connection: _revoke(connection, family))

    async def _follow(self, connection: Connection, row: Any, generation: int, now_ms: int) -> RefreshToken | None:
        family, member, kid, newest, opened_ms, rotated_ms, expires_ms, revoked = row
        if revoked or expires_ms <= now_ms or generation > newest:
            return None
        if generation < newest:
            if generation == newest - 1 and now_ms - rotated_ms <= REUSE_MS:
                return RefreshToken(self._text(family, newest), family, member, kid)
            await _revoke(connection, family)
            return None
        ends_ms = min(now_ms + FAMILY_LIFE_MS, opened_ms + SESSION_LIFE_MS_MAX)
        sql = 'UPDATE "session_family" SET "generation" = ?, "rotated_ms" = ?, "expires_ms" = ? WHERE "id" = ?'
        await change(connection, sql, newest + 1, now_ms, ends_ms, family)
        return RefreshToken(self._text(family, newest + 1), family, member, kid)

    def _text(self, family: str, generation: int) -> str:
        return f"{family}.{generation}.{self._vault.keyed_hash('refresh', f'{family}.{generation}')}"

    def _read(self, token: str) -> tuple[str, int] | None:
        family, _, rest = token.partition(".")
        number = rest.partition(".")[0]
        if len(token) > TOKEN_LENGTH_MAX or not token.isascii() or not number.isdecimal():
            return None
        genuine = hmac.compare_digest(self._text(family, int(number)), token)
        return (family, int(number)) if genuine else None


async def _revoke(connection: Connection, family: str) -> None:
    await change(connection, 'UPDATE "session_family" SET "revoked" = ? WHERE "id" = ?', True, family)
