"""Durable counters of tries, codes that were sent to phones, and WeChat accounts: what sign-in keeps at this node."""

from __future__ import annotations

import hmac

from server.storage.database import Database
from server.storage.private_tables import ATTEMPT, PHONE_CODE, WECHAT_IDENTITY
from server.storage.statements import Connection, change, find_rows, put_rows
from server.storage.vault import Cell, Vault


class AttemptStore:
    """Counters of tries at this node (decisions 15). The caller names them without personal data."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, name: str, now_ms: int, forget_ms: int) -> int:
        """Count one more try, durably, before it is looked at. Returns this node's tries under the name so far."""

        async def work(connection: Connection) -> int:
            await change(connection, 'DELETE FROM "attempt" WHERE "forget_ms" <= ?', now_ms)
            found = await find_rows(connection, ATTEMPT, [name])
            tries = int(found[0][1]) + 1 if found else 1
            await put_rows(connection, ATTEMPT, [(name, tries, forget_ms)])
            return tries

        return await self._database.run(work)

    async def tries(self, name: str, now_ms: int) -> int:
        """This node's tries under the name: what peers ask for."""
        found = await self._database.read(lambda connection: find_rows(connection, ATTEMPT, [name]))
        return int(found[0][1]) if found and found[0][2] > now_ms else 0


class PhoneCodeStore:
    """Codes that were sent to phones; only keyed hashes are stored."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    async def keep(self, phone: str, member: str, code: str, expires_ms: int) -> None:
        """Keep a code; it replaces the member's one before."""
        phone_hash = self._vault.keyed_hash("phone", phone)
        code_hash = self._code_hash(phone_hash, member, code)
        row = (f"{phone_hash}/{member}", member, phone_hash, code_hash, expires_ms)
        await self._database.run(lambda connection: put_rows(connection, PHONE_CODE, [row]))

    async def take(self, phone: str, code: str, now_ms: int) -> str | None:
        """The member whose code this is, once; None for a wrong, used or expired one."""
        phone_hash = self._vault.keyed_hash("phone", phone)

        async def work(connection: Connection) -> str | None:
            await change(connection, 'DELETE FROM "phone_code" WHERE "expires_ms" <= ?', now_ms)
            for name, member, _, code_hash, _ in await find_rows(connection, PHONE_CODE, [phone_hash], "phone_hash"):
                if hmac.compare_digest(code_hash, self._code_hash(phone_hash, member, code)):
                    await change(connection, 'DELETE FROM "phone_code" WHERE "id" = ?', name)
                    return str(member)
            return None

        return await self._database.run(work)

    def _code_hash(self, phone_hash: str, member: str, code: str) -> str:
        return self._vault.keyed_hash("code", f"{phone_hash}\n{member}\n{code}")


class WechatIdentityStore:
    """WeChat accounts tied to members. The openid is needed to send messages, so it is kept, sealed."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    async def bind(self, openid: str, member: str, now_ms: int) -> None:
        """Tie an account to a member; it is taken from whoever had it before."""
        name = self._vault.keyed_hash("openid", openid)
        row = (name, member, self._vault.seal(_cell(name), openid.encode()), now_ms)
        await self._database.run(lambda connection: put_rows(connection, WECHAT_IDENTITY, [row]))

    async def member_of(self, openid: str) -> str | None:
        """The member of an account."""
        name = self._vault.keyed_hash("openid", openid)
        found = await self._database.read(lambda connection: find_rows(connection, WECHAT_IDENTITY, [name]))
        return str(found[0][1]) if found else None

    async def openids(self, member: str) -> list[str]:
        """The accounts of a member, to send messages to."""
        found = await self._database.read(lambda connection: find_rows(connection, WECHAT_IDENTITY, [member], "member"))
        return sorted(self._vault.unseal(_cell(row[0]), bytes(row[2])).decode() for row in found)

    async def forget(self, member: str) -> None:
        """Untie all accounts of a member."""
        sql = 'DELETE FROM "wechat_identity" WHERE "member" = ?'
        await self._database.run(lambda connection: change(connection, sql, member))


def _cell(name: str) -> Cell:
    return Cell(WECHAT_IDENTITY.name, "sealed_openid", name)
