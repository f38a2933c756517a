"""This organisation's own copy of the roll: who members are, which homes they own, how to reach them.

Everything personal is sealed, and found by keyed hashes. A new roster is staged, compared with the copy in use, and
then taken over whole or not at all. It must not know why somebody asks; the API logs that.
"""

from __future__ import annotations

import secrets
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from server.storage.added_people import AddedPeople
from server.storage.database import Database
from server.storage.person_rows import PersonRows
from server.storage.private_tables import HOME, OWNERSHIP, PERSON, PERSON_PHONE, ROLL_IMPORT, SHOP
from server.storage.roll_heads import (
    HeadDraft,
    OwnerLine,
    RosterLineLike,
    heads_root,
    make_heads,
    owner_lines,
)
from server.storage.statements import Connection, add_rows, change, fetch, find_rows, put_rows
from server.storage.vault import Cell, Vault

SEARCH_MAX = 50
_PHONE_TAIL = 4
_STAGED, _ACTIVE, _REPLACED = "staged", "active", "replaced"


class ImportNotFound(LookupError):
    """No roster with this id is staged: it was applied, or replaced by a newer one."""


class Person(msgspec.Struct, frozen=True):
    """A member as this organisation knows him; `phone_tail` the last four digits, empty when no number is known."""

    member: str
    name: str
    rooms: tuple[str, ...]
    phone_tail: str


class OwnedHome(msgspec.Struct, frozen=True):
    """A home of a member's; `label` as it is written, the share in lowest terms."""

    unit: str
    label: str
    area_cm2: int
    share_numerator: int
    share_denominator: int


class LineChange(msgspec.Struct, frozen=True):
    """How a staged roster differs from the copy in use, for one owner of one home; fields that changed by name."""

    change: Literal["added", "removed", "changed"]
    room: str
    name: str
    fields: tuple[str, ...] = ()


class StagedRoll(msgspec.Struct, frozen=True):
    """A roster that was read and waits to be applied: the preview that an officer confirms."""

    id: str
    homes: int
    owners: int
    heads: int
    area_cm2: int
    root: str
    changes: tuple[LineChange, ...]


class RollRoots(msgspec.Struct, frozen=True):
    """The roots of the copy in use and of the staged one; empty where there is none."""

    in_use: str
    staged: str


class PeopleStore:
    """The people of one node. `roll_key` is shared by the organisations, the vault's key is not."""

    def __init__(self, database: Database, vault: Vault, roll_key: bytes) -> None:
        self._database = database
        self._vault = vault
        self._roll_key = roll_key
        self._rows = PersonRows(vault)
        self.added = AddedPeople(database, self._rows, roll_key)

    async def stage(self, lines: Iterable[RosterLineLike], staged_ms: int) -> StagedRoll:
        """Keep a roster beside the copy in use, and say what it would change. Raises RollFault."""
        new = owner_lines(lines, self._roll_key)
        name, root = secrets.token_hex(16), heads_root(make_heads(new, self._roll_key))
        sealed = self._vault.seal(_lines_cell(name), msgspec.json.encode(new))
        row = (name, _STAGED, sealed, len(new), root, staged_ms, 0)

        async def work(connection: Connection) -> None:
            await change(connection, 'DELETE FROM "roll_import" WHERE "state" = ?', _STAGED)
            await add_rows(connection, ROLL_IMPORT, [row])

        await self._database.run(work)
        return await self._preview(name, root, new)

    async def staged(self) -> StagedRoll | None:
        """The roster that waits to be applied, with what it would change now."""
        sql = 'SELECT "id", "root", "sealed_lines" FROM "roll_import" WHERE "state" = ?'
        found = await self._database.read(lambda connection: fetch(connection, sql, _STAGED))
        if not found:
            return None
        name, root, sealed = found[0]
        return await self._preview(name, root, self._open_lines(name, bytes(sealed)))

    async def roots(self) -> RollRoots:
        """Which rolls this organisation's own copies are, without opening them."""
        sql = 'SELECT "state", "root" FROM "roll_import" WHERE "state" IN (?, ?)'
        found = await self._database.read(lambda connection: fetch(connection, sql, _ACTIVE, _STAGED))
        roots = {row[0]: str(row[1]) for row in found}
        return RollRoots(roots.get(_ACTIVE, ""), roots.get(_STAGED, ""))

    async def staged_heads(self, import_id: str) -> list[HeadDraft]:
        """The heads of a roster that is staged or in use. Raises ImportNotFound."""
        found = await self._database.read(lambda connection: find_rows(connection, ROLL_IMPORT, [import_id]))
        if not found or found[0][1] == _REPLACED:
            raise ImportNotFound(import_id)
        return make_heads(self._open_lines(import_id, bytes(found[0][2])), self._roll_key)

    async def _preview(self, name: str, root: str, new: Sequence[OwnerLine]) -> StagedRoll:
        changes = _differences(await self._lines(_ACTIVE), new)
        areas = {line.unit: line.area_cm2 for line in new}
        owners = {line.member for line in new}
        heads = len(make_heads(new, self._roll_key))
        return StagedRoll(name, len(areas), len(owners), heads, sum(areas.values()), root, changes)

    async def apply(self, import_id: str, applied_ms: int) -> str:
        """Make a staged roster the copy in use: whole, or not at all. Returns the root of its heads.

        Raises ImportNotFound. The lines of the copy before are deleted (PIPL 19: no longer than needed).
        """

        async def work(connection: Connection) -> str:
            sql = 'SELECT "sealed_lines", "root" FROM "roll_import" WHERE "id" = ? AND "state" = ?'
            found = await fetch(connection, sql, import_id, _STAGED)
            if not found:
                raise ImportNotFound(import_id)
            sealed, root = found[0]
            retire = 'UPDATE "roll_import" SET "state" = ?, "sealed_lines" = ? WHERE "state" = ?'
            await change(connection, retire, _REPLACED, b"", _ACTIVE)
            activate = 'UPDATE "roll_import" SET "state" = ?, "applied_ms" = ? WHERE "id" = ?'
            await change(connection, activate, _ACTIVE, applied_ms, import_id)
            await self._replace(connection, self._open_lines(import_id, bytes(sealed)))
            return str(root)

        return await self._database.run(work)

    async def heads(self) -> list[HeadDraft]:
        """The heads of the copy in use: what this organisation publishes or confirms. Empty before the first roster."""
        lines = await self._lines(_ACTIVE)
        return make_heads(lines, self._roll_key) if lines else []

    async def person(self, member: str) -> Person | None:
        """A member's name, homes and the end of his number."""
        return (await self.people([member])).get(member)

    async def people(self, members: Sequence[str]) -> dict[str, Person]:
        """Members by their pseudonyms; unknown ones are left out."""

        async def work(connection: Connection) -> dict[str, Person]:
            people = await find_rows(connection, PERSON, members)
            rooms = await self._rooms(connection, members)
            phones = sorted(await find_rows(connection, PERSON_PHONE, members, "member"), key=lambda row: str(row[0]))
            numbers = {row[1]: self._rows.open(PERSON_PHONE, "sealed_phone", row[0], row[3]) for row in phones}
            return {
                row[0]: Person(
                    row[0],
                    self._rows.open(PERSON, "sealed_name", row[0], row[3]),
                    tuple(rooms[row[0]]),
                    numbers.get(row[0], "")[-_PHONE_TAIL:],
                )
                for row in people
            }

        return await self._database.read(work)

    async def homes(self, member: str) -> list[OwnedHome]:
        """A member's homes, by label."""

        async def work(connection: Connection) -> list[OwnedHome]:
            shares = {row[1]: row for row in await find_rows(connection, OWNERSHIP, [member], "member")}
            homes = await find_rows(connection, HOME, shares)
            return [
                OwnedHome(unit, self._rows.open(HOME, "sealed_room", unit, sealed), area_cm2, *shares[unit][3:5])
                for unit, sealed, _, area_cm2 in homes
            ]

        return sorted(await self._database.read(work), key=lambda home: home.label)

    async def match(self, phone: str, name: str, room: str) -> str | None:
        """The member whom phone, name and home all name; None when they do not fit together. Tries are the caller's.

        An empty home names who owns none: people whom an officer added. An owner always has to name one of his.
        """

        async def work(connection: Connection) -> set[str]:
            callers = await self._members_of_phone(connection, phone)
            named = await find_rows(connection, PERSON, [self._rows.name_hash(name)], "name_hash")
            fitting = callers & {row[0] for row in named}
            if not room:
                return fitting - {row[2] for row in await find_rows(connection, OWNERSHIP, fitting, "member")}
            homes = await find_rows(connection, HOME, [self._rows.room_hash(room)], "room_hash")
            owners = await find_rows(connection, OWNERSHIP, [home[0] for home in homes], "unit")
            return fitting & {row[2] for row in owners}

        found = await self._database.read(work)
        return found.pop() if len(found) == 1 else None

    async def member_of_phone(self, phone: str) -> str | None:
        """The one member with this number; None when there is none, or more than one."""
        found = await self._database.read(lambda connection: self._members_of_phone(connection, phone))
        return found.pop() if len(found) == 1 else None

    async def phones(self, member: str) -> list[str]:
        """A member's numbers, to send to; never to show."""
        found = await self._database.read(lambda connection: find_rows(connection, PERSON_PHONE, [member], "member"))
        return sorted(self._rows.open(PERSON_PHONE, "sealed_phone", row[0], row[3]) for row in found)

    async def search(self, query: str, limit: int) -> list[Person]:
        """People whose name, phone, room or pseudonym is exactly this, for staff at the counter."""

        async def work(connection: Connection) -> set[str]:
            named = await find_rows(connection, PERSON, [self._rows.name_hash(query)], "name_hash")
            known = await find_rows(connection, PERSON, [query])
            homes = await find_rows(connection, HOME, [self._rows.room_hash(query)], "room_hash")
            owners = await find_rows(connection, OWNERSHIP, [home[0] for home in homes], "unit")
            by_phone = await self._members_of_phone(connection, query)
            return by_phone | {row[0] for row in (*named, *known)} | {row[2] for row in owners}

        found = sorted(await self._database.read(work))[: min(max(limit, 1), SEARCH_MAX)]
        people = await self.people(found)
        return sorted(people.values(), key=lambda person: (person.rooms, person.member))

    async def name_shop(self, member: str, name: str) -> None:
        """Set the name under which a merchant is shown."""
        await self._database.run(lambda connection: put_rows(connection, SHOP, [(member, name)]))

    async def shop_name(self, member: str) -> str:
        """The name under which a merchant is shown; empty when none was set."""
        return (await self.shop_names([member])).get(member, "")

    async def shop_names(self, members: Iterable[str]) -> dict[str, str]:
        """The names of those merchants that have one, by their pseudonyms."""
        wanted = tuple(members)
        found = await self._database.read(lambda connection: find_rows(connection, SHOP, wanted))
        return {str(row[0]): str(row[1]) for row in found}

    async def _lines(self, state: str) -> list[OwnerLine]:
        sql = 'SELECT "id", "sealed_lines" FROM "roll_import" WHERE "state" = ?'
        found = await self._database.read(lambda connection: fetch(connection, sql, state))
        return self._open_lines(found[0][0], bytes(found[0][1])) if found else []

    def _open_lines(self, import_id: str, sealed: bytes) -> list[OwnerLine]:
        return msgspec.json.decode(self._vault.unseal(_lines_cell(import_id), sealed), type=list[OwnerLine])

    async def _replace(self, connection: Connection, lines: Sequence[OwnerLine]) -> None:
        for table in (PERSON, PERSON_PHONE, HOME, OWNERSHIP):
            await change(connection, f'DELETE FROM "{table.name}"')  # noqa: S608 - names of our own tables
        people = {line.member: line for line in lines}
        rows = [self._rows.person(*_person_of(line)) for line in people.values()]
        await add_rows(connection, PERSON, rows)
        phones = {row[0]: row for row in (self._rows.phone(line.member, line.phone) for line in lines if line.phone)}
        await add_rows(connection, PERSON_PHONE, list(phones.values()))
        homes = {line.unit: line for line in lines}
        await add_rows(connection, HOME, [self._rows.home(line) for line in homes.values()])
        await add_rows(connection, OWNERSHIP, [_ownership_row(line) for line in lines])
        await self.added.restore(connection, people.keys())

    async def _members_of_phone(self, connection: Connection, phone: str) -> set[str]:
        wanted = [self._rows.phone_hash(phone)]
        return {row[1] for row in await find_rows(connection, PERSON_PHONE, wanted, "phone_hash")}

    async def _rooms(self, connection: Connection, members: Sequence[str]) -> defaultdict[str, list[str]]:
        shares = await find_rows(connection, OWNERSHIP, members, "member")
        homes = await find_rows(connection, HOME, {row[1] for row in shares})
        labels = {unit: self._rows.open(HOME, "sealed_room", unit, sealed) for unit, sealed, _, _ in homes}
        rooms: defaultdict[str, list[str]] = defaultdict(list)
        # A home may be missing when a new roster was applied between the two questions.
        for label, member in sorted((labels[row[1]], row[2]) for row in shares if row[1] in labels):
            rooms[member].append(label)
        return rooms


def _differences(old: Sequence[OwnerLine], new: Sequence[OwnerLine]) -> tuple[LineChange, ...]:
    before = {(line.unit, line.member): line for line in old}
    after = {(line.unit, line.member): line for line in new}
    changes: list[LineChange] = []
    for name in before.keys() | after.keys():
        was, becomes = before.get(name), after.get(name)
        if was is None or becomes is None:
            line = becomes or was
            assert line is not None
            changes.append(LineChange("added" if was is None else "removed", line.room, line.name))
        elif was != becomes:
            fields = tuple(field for field in was.__struct_fields__ if getattr(was, field) != getattr(becomes, field))
            changes.append(LineChange("changed", becomes.room, becomes.name, fields))
    return tuple(sorted(changes, key=lambda change: (change.room, change.name, change.change)))


def _person_of(line: OwnerLine) -> tuple[str, str, str, str]:
    return line.member, line.name, line.identity_kind, line.identity_masked


def _ownership_row(line: OwnerLine) -> tuple[str, str, str, int, int]:
    return f"{line.unit}/{line.member}", line.unit, line.member, line.share_numerator, line.share_denominator


def _lines_cell(import_id: str) -> Cell:
    return Cell(ROLL_IMPORT.name, "sealed_lines", import_id)
