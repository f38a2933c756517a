"""People who own no home: known beside the roll, whatever roster comes, and forgotten when they are taken out."""

from __future__ import annotations

import pytest

from server.storage.added_people import NewPerson, PersonNotAdded, PersonOwns
from server.storage.database import Database
from server.storage.people import PeopleStore
from server.storage.private_tables import ADDED_PERSON, PERSON, PERSON_PHONE
from server.storage.roll_heads import member_id
from server.storage.statements import Connection, fetch
from server.storage.vault import Vault
from tests.storage.estate import CREATED_MS, VAULT_KEY
from tests.storage.test_people import LINES, ROLL_KEY, SINGLE, Line, applied

CLERK = NewPerson("周倩", "resident_card", "310000199001010010", "13700000001")
OFFICER = "officer-street"


@pytest.fixture
def people(database: Database) -> PeopleStore:
    return PeopleStore(database, Vault(VAULT_KEY), ROLL_KEY)


async def test_added_person_is_found_by_name_number_and_document_like_an_owner(people: PeopleStore) -> None:
    member = await people.added.add(CLERK, OFFICER, CREATED_MS)
    assert member == member_id(ROLL_KEY, CLERK.identity_kind, CLERK.identity_number)
    assert [person.member for person in await people.search("周倩", 10)] == [member]
    assert await people.member_of_phone(CLERK.phone) == member
    person = await people.person(member)
    assert person is not None
    assert (person.name, person.rooms, person.phone_tail) == ("周倩", (), "0001")
    assert await people.match(CLERK.phone, CLERK.name, "1号-101") is None, "owns no home"


async def test_new_roster_leaves_added_people_in_their_place(people: PeopleStore) -> None:
    member = await people.added.add(CLERK, OFFICER, CREATED_MS)
    for lines in (LINES, LINES[:4]):
        await applied(people, lines)
        assert await people.person(member) is not None
        assert await people.member_of_phone(CLERK.phone) == member
    assert await people.person(member_id(ROLL_KEY, SINGLE.id_kind, SINGLE.id_number)) is None


async def test_clerk_who_buys_a_home_is_the_same_member_and_the_roster_prevails(people: PeopleStore) -> None:
    member = await people.added.add(CLERK, OFFICER, CREATED_MS)
    home = Line("3号-101", "周倩", CLERK.identity_number, "13700000002")
    await applied(people, [*LINES, home])
    person = await people.person(member)
    assert person is not None
    assert (person.rooms, person.phone_tail) == (("3号-101",), "0002")
    with pytest.raises(PersonOwns):
        await people.added.add(CLERK, OFFICER, CREATED_MS)
    await people.added.remove(member)
    assert await people.person(member) is not None, "an owner stays"
    await applied(people, LINES)
    assert await people.person(member) is None


async def test_owner_of_the_roster_cannot_be_added_under_another_name(people: PeopleStore) -> None:
    await applied(people, LINES)
    with pytest.raises(PersonOwns):
        await people.added.add(NewPerson("假名", SINGLE.id_kind, SINGLE.id_number, "13700000009"), OFFICER, CREATED_MS)
    assert await people.member_of_phone("13700000009") is None
    assert await people.added.members() == []


async def test_adding_again_corrects_name_and_number(people: PeopleStore) -> None:
    member = await people.added.add(CLERK, OFFICER, CREATED_MS)
    corrected = NewPerson("周茜", CLERK.identity_kind, CLERK.identity_number, "")
    assert await people.added.add(corrected, OFFICER, CREATED_MS + 1) == member
    assert await people.member_of_phone(CLERK.phone) is None, "an old number opens nothing"
    assert [(one.name, one.phone) for one in await people.added.members()] == [("周茜", "")]


async def test_removed_person_leaves_nothing_behind(people: PeopleStore, database: Database) -> None:
    member = await people.added.add(CLERK, OFFICER, CREATED_MS)
    await people.added.remove(member)
    with pytest.raises(PersonNotAdded):
        await people.added.remove(member)

    async def rows(connection: Connection) -> list[int]:
        tables = (ADDED_PERSON, PERSON, PERSON_PHONE)
        return [len(await fetch(connection, f'SELECT 1 FROM "{table.name}"')) for table in tables]

    assert await database.read(rows) == [0, 0, 0]


async def test_nothing_personal_stands_in_the_table_unsealed(people: PeopleStore, database: Database) -> None:
    await people.added.add(CLERK, OFFICER, CREATED_MS)
    found = await database.read(lambda connection: fetch(connection, 'SELECT * FROM "added_person"'))
    [row] = [tuple(one) for one in found]
    content = b"".join(part if isinstance(part, bytes) else str(part).encode() for part in row)
    for secret in (CLERK.name, CLERK.phone, CLERK.identity_number, "310*", "resident_card"):
        assert secret.encode() not in content
