"""People whom an officer added by hand: they own no home, yet hold a role, so somebody must be able to attest them.

The pseudonym comes from the document by the roll key, as an owner's does: every organisation that adds the same person
finds the same member, and a member of staff who buys a home is the same member still. A new roster replaces owners; it
leaves these people in their place. It must not know who may add whom.
"""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from server.storage.database import Database
from server.storage.person_rows import PersonRows
from server.storage.private_tables import ADDED_PERSON, OWNERSHIP, PERSON, PERSON_PHONE
from server.storage.roll_heads import mask_identity, member_id
from server.storage.statements import Connection, add_rows, change, fetch, find_rows, put_rows
from server.storage.vault import Cell


class PersonOwns(LookupError):
    """The person stands on the roll: the roster says how he is called and reached, nobody else."""


class PersonNotAdded(LookupError):
    """Nobody added this member by hand."""


class NewPerson(msgspec.Struct, frozen=True):
    """A person as his document names him; the phone may be empty. Spelled as a roster reader spells it."""

    name: str
    identity_kind: str
    identity_number: str
    phone: str


class AddedPerson(msgspec.Struct, frozen=True):
    """An added person as he is kept; the document's number is masked."""

    member: str
    name: str
    identity_kind: str
    identity_masked: str
    phone: str


class AddedPeople:
    """The people that one node's officers added."""

    def __init__(self, database: Database, rows: PersonRows, roll_key: bytes) -> None:
        self._database = database
        self._rows = rows
        self._roll_key = roll_key

    async def add(self, person: NewPerson, added_by: str, added_ms: int) -> str:
        """Keep a person, or what is new about one who was added before; returns the member. Raises PersonOwns."""
        member = member_id(self._roll_key, person.identity_kind, person.identity_number)
        masked = mask_identity(person.identity_number)
        kept = AddedPerson(member, person.name, person.identity_kind, masked, person.phone)
        sealed = self._rows.vault.seal(_cell(member), msgspec.json.encode(kept))

        async def work(connection: Connection) -> None:
            if await find_rows(connection, OWNERSHIP, [member], "member"):
                raise PersonOwns(member)
            await put_rows(connection, ADDED_PERSON, [(member, sealed, added_by, added_ms)])
            await self._forget(connection, member)
            await self._show(connection, [kept])

        await self._database.run(work)
        return member

    async def remove(self, member: str) -> None:
        """Forget a person who was added. Whoever stands on the roll by now stays there. Raises PersonNotAdded."""

        async def work(connection: Connection) -> None:
            if not await find_rows(connection, ADDED_PERSON, [member]):
                raise PersonNotAdded(member)
            await change(connection, 'DELETE FROM "added_person" WHERE "member" = ?', member)
            if not await find_rows(connection, OWNERSHIP, [member], "member"):
                await self._forget(connection, member)

        await self._database.run(work)

    async def members(self) -> list[AddedPerson]:
        """Everybody who was added, by name."""
        found = await self._database.read(self._all)
        return sorted(found, key=lambda person: (person.name, person.member))

    async def restore(self, connection: Connection, owners: Collection[str]) -> None:
        """Put the added people back beside the owners of a new roster, within its transaction."""
        await self._show(connection, [person for person in await self._all(connection) if person.member not in owners])

    async def _all(self, connection: Connection) -> list[AddedPerson]:
        found = await fetch(connection, 'SELECT "member", "sealed_details" FROM "added_person"')
        return [
            msgspec.json.decode(self._rows.vault.unseal(_cell(row[0]), bytes(row[1])), type=AddedPerson)
            for row in found
        ]

    async def _show(self, connection: Connection, people: list[AddedPerson]) -> None:
        persons = [self._rows.person(one.member, one.name, one.identity_kind, one.identity_masked) for one in people]
        await add_rows(connection, PERSON, persons)
        phones = [self._rows.phone(one.member, one.phone) for one in people if one.phone]
        await add_rows(connection, PERSON_PHONE, phones)

    async def _forget(self, connection: Connection, member: str) -> None:
        await change(connection, 'DELETE FROM "person" WHERE "member" = ?', member)
        await change(connection, 'DELETE FROM "person_phone" WHERE "member" = ?', member)


def _cell(member: str) -> Cell:
    return Cell(ADDED_PERSON.name, "sealed_details", member)
