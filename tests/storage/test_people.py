"""This organisation's own copy of the roll: found by what people know, shown to nobody who opens the files."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import pytest

from server.domain.roll import PublishRoll
from server.gateway.roster import read_roster
from server.limits import HEAD_AREA_CM2_MAX
from server.record.canonical import b64u_decode, encode
from server.record.shape import parse
from server.record.signature import commitment_of
from server.storage.database import Database
from server.storage.people import ImportNotFound, LineChange, PeopleStore
from server.storage.private_tables import HOME, PERSON, PERSON_PHONE, ROLL_IMPORT
from server.storage.roll_heads import (
    RollFault,
    heads_root,
    make_heads,
    mask_identity,
    member_id,
    owner_lines,
    publish_bodies,
    unit_id,
)
from server.storage.statements import Connection, fetch, is_postgres
from server.storage.vault import Vault
from tests.storage.conftest import NewUrl
from tests.storage.estate import CREATED_MS, VAULT_KEY, Estate

ROLL_KEY = bytes(range(32))


@dataclass(frozen=True)
class Line:
    """A line as a roster reader gives it."""

    room: str
    owner: str
    id_number: str
    phone: str = ""
    area_cm2: int = 1_000_000
    building: str = "1号"
    id_kind: str = "resident_card"
    share_numerator: int = 1
    share_denominator: int = 1


COUPLE = [
    Line("1号-101", "薛伟强", "310000196108053076", "19903736540", share_denominator=2),
    Line("1号-101", "何桂花", "310000198307252245", "19903736540", share_denominator=2),
    Line("1号-102", "薛伟强", "310000196108053076", "19903736540", 500_000, share_denominator=2),
    Line("1号-102", "何桂花", "310000198307252245", "19903736540", 500_000, share_denominator=2),
]
SINGLE = Line("2号-301", "欧阳·䶮", "310000198812139593", "19905936468", 745_500, "2号")
LINES = [*COUPLE, SINGLE, Line("2号-302", "薛伟强", "310000196108053076", "19903736541", 880_200, "2号")]


@pytest.fixture
def people(database: Database) -> PeopleStore:
    return PeopleStore(database, Vault(VAULT_KEY), ROLL_KEY)


async def applied(people: PeopleStore, lines: list[Line]) -> PeopleStore:
    staged = await people.stage(lines, CREATED_MS)
    await people.apply(staged.id, CREATED_MS + 1)
    return people


def member(line: Line) -> str:
    return member_id(ROLL_KEY, line.id_kind, line.id_number)


def test_pseudonyms_are_keyed_and_of_fixed_length() -> None:
    # Computed with hmac, hashlib and base64 alone: "m-" + base32(HMAC-SHA256(key, "member\npassport\nE12345678"))[:16].
    assert member_id(ROLL_KEY, "passport", "E12345678") == "m-kn75v22emubvaunm"
    assert unit_id(ROLL_KEY, "1号", "1号-101") == "u-oc2t7temsz4gzsr7"
    assert member_id(ROLL_KEY, "a", "b") != member_id(ROLL_KEY[::-1], "a", "b")


def test_buyers_of_several_homes_are_one_head_and_areas_count_once() -> None:
    heads = make_heads(owner_lines(LINES, ROLL_KEY), ROLL_KEY)
    assert [head.members for head in heads] == sorted(head.members for head in heads)
    assert [head.position for head in heads] == [0, 1, 2]
    areas = {head.members: head.area_cm2 for head in heads}
    couple = tuple(sorted((member(COUPLE[0]), member(COUPLE[1]))))
    assert areas == {couple: 1_500_000, (member(SINGLE),): 745_500, (member(COUPLE[0]),): 880_200}


def test_v8_developer_with_forty_unsold_homes_is_one_head_of_the_roll() -> None:
    sold = [Line(f"1号-{number}", "买家", f"buyer-{number}") for number in range(60)]
    unsold = [Line(f"1号-{number}", "开发商", "developer") for number in range(60, 100)]
    heads = make_heads(owner_lines([*sold, *unsold], ROLL_KEY), ROLL_KEY)
    assert (len(heads), sum(head.area_cm2 for head in heads)) == (61, 100 * 1_000_000)
    [developer] = [head for head in heads if head.members == (member(unsold[0]),)]
    assert (len(developer.units), developer.area_cm2) == (40, 40 * 1_000_000)


def test_leaf_commits_to_the_private_details_of_its_head() -> None:
    for head in make_heads(owner_lines(LINES, ROLL_KEY), ROLL_KEY):
        content = {
            "area_cm2": head.area_cm2,
            "members": list(head.members),
            "position": head.position,
            "units": list(head.units),
        }
        assert head.opening[16:] == encode(content)
        assert head.leaf == commitment_of(head.opening)
    assert len({head.opening[:16] for head in make_heads(owner_lines(LINES, ROLL_KEY), ROLL_KEY)}) == 3


def test_order_of_the_lines_does_not_change_the_root() -> None:
    roots = {heads_root(make_heads(owner_lines(lines, ROLL_KEY), ROLL_KEY)) for lines in (LINES, LINES[::-1])}
    assert len(roots) == 1
    other = heads_root(make_heads(owner_lines(LINES, ROLL_KEY[::-1]), ROLL_KEY[::-1]))
    assert other not in roots


@pytest.mark.parametrize(
    ("lines", "what"),
    [
        ([SINGLE, SINGLE], "twice"),
        ([COUPLE[0], replace(COUPLE[1], area_cm2=5)], "different areas"),
        ([], "no line"),
        (
            [replace(SINGLE, id_number=f"E{place:08d}", share_denominator=11) for place in range(11)],
            "more than 10 owners",
        ),
        ([replace(SINGLE, area_cm2=HEAD_AREA_CM2_MAX + 1)], f"^{SINGLE.room}: more than 30 km2 of one head"),
        (
            [replace(SINGLE, area_cm2=HEAD_AREA_CM2_MAX), replace(SINGLE, room="9-902", area_cm2=1)],
            f"({SINGLE.room}, 9-902|9-902, {SINGLE.room}): more than 30 km2 of one head",
        ),
    ],
)
def test_lines_of_which_no_roll_can_be_made_are_refused(lines: list[Line], what: str) -> None:
    with pytest.raises(RollFault, match=what):
        make_heads(owner_lines(lines, ROLL_KEY), ROLL_KEY)


def test_a_head_of_the_largest_area_can_be_published() -> None:
    heads = make_heads(owner_lines([replace(SINGLE, area_cm2=HEAD_AREA_CM2_MAX)], ROLL_KEY), ROLL_KEY)
    [body] = publish_bodies("r-1", heads)
    assert parse(PublishRoll, body).heads[0].area_cm2 == HEAD_AREA_CM2_MAX


@pytest.mark.parametrize(("number", "masked"), [("310000196108053076", "310*************76"), ("E1234", "*****")])
def test_numbers_of_documents_are_masked(number: str, masked: str) -> None:
    assert mask_identity(number) == masked


async def test_person_is_found_only_by_phone_name_and_home_together(people: PeopleStore) -> None:
    await applied(people, LINES)
    husband, wife, single = member(COUPLE[0]), member(COUPLE[1]), member(SINGLE)
    assert await people.match("19903736540", "薛伟强", "1号-101") == husband
    assert await people.match("19903736540", "何桂花", "1号101室") == wife, "the same phone, another name"
    assert await people.match("１９９０５９３６４６８", "欧阳·䶮", "2号 － 301") == single, "as people type"
    assert await people.match("19903736540", "薛伟强", "2号-301") is None, "another's home"
    assert await people.match("19905936468", "薛伟强", "1号-101") is None, "another's phone"
    assert await people.match("19903736540", "薛伟", "1号-101") is None
    assert await people.member_of_phone("19903736540") is None, "two people share it"
    assert await people.member_of_phone("19905936468") == single


async def test_person_is_shown_with_homes_and_the_end_of_the_number(people: PeopleStore) -> None:
    await applied(people, LINES)
    husband = member(COUPLE[0])
    person = await people.person(husband)
    assert person is not None
    assert (person.name, person.rooms) == ("薛伟强", ("1号-101", "1号-102", "2号-302"))
    assert person.phone_tail in {"6540", "6541"}
    assert await people.phones(husband) == ["19903736540", "19903736541"]
    homes = await people.homes(husband)
    assert [(home.label, home.area_cm2, home.share_denominator) for home in homes] == [
        ("1号-101", 1_000_000, 2),
        ("1号-102", 500_000, 2),
        ("2号-302", 880_200, 1),
    ]
    assert await people.person("m-nobody") is None
    assert await people.homes("m-nobody") == []


@pytest.mark.parametrize("query", ["欧阳·䶮", "19905936468", "2号-301", "2号301", member(SINGLE)])
async def test_counter_finds_people_by_any_one_thing(people: PeopleStore, query: str) -> None:
    await applied(people, LINES)
    assert [person.member for person in await people.search(query, 10)] == [member(SINGLE)]
    assert await people.search("欧阳", 10) == [], "a part of a name names nobody"


async def test_new_roster_is_compared_before_it_is_applied(people: PeopleStore) -> None:
    first = await people.stage(LINES, CREATED_MS)
    assert (first.homes, first.owners, first.heads, first.area_cm2) == (4, 3, 3, 3_125_700)
    assert {change.change for change in first.changes} == {"added"}
    await people.apply(first.id, CREATED_MS)
    newer = [
        *COUPLE,
        replace(SINGLE, phone="19900000000"),
        Line("3号-1", "新业主", "110101199001011234", building="3号"),
    ]
    staged = await people.stage(newer, CREATED_MS)
    assert staged.changes == (
        LineChange("changed", "2号-301", "欧阳·䶮", ("phone",)),
        LineChange("removed", "2号-302", "薛伟强"),
        LineChange("added", "3号-1", "新业主"),
    )
    assert await people.staged() == staged
    assert (await people.member_of_phone("19905936468")) == member(SINGLE), "nothing is applied yet"
    assert heads_root(await people.staged_heads(staged.id)) == staged.root != first.root
    assert await people.apply(staged.id, CREATED_MS) == staged.root
    assert heads_root(await people.heads()) == staged.root
    assert await people.member_of_phone("19905936468") is None
    assert await people.staged() is None
    assert (await people.stage(newer, CREATED_MS)).changes == ()


async def test_import_that_is_not_staged_cannot_be_applied(people: PeopleStore) -> None:
    first = await people.stage(LINES, CREATED_MS)
    second = await people.stage(LINES[:5], CREATED_MS)
    for name in (first.id, "unknown"):
        with pytest.raises(ImportNotFound):
            await people.apply(name, CREATED_MS)
        with pytest.raises(ImportNotFound):
            await people.staged_heads(name)
    await people.apply(second.id, CREATED_MS)
    with pytest.raises(ImportNotFound):
        await people.apply(second.id, CREATED_MS)


async def test_lines_of_replaced_copies_are_gone(people: PeopleStore, database: Database) -> None:
    await applied(people, LINES)
    await applied(people, LINES[:4])
    sql = 'SELECT "state", "sealed_lines" FROM "roll_import" ORDER BY "state"'
    found = await database.read(lambda connection: fetch(connection, sql))
    assert [(state, len(bytes(sealed)) > 0) for state, sealed in found] == [("active", True), ("replaced", False)]


async def test_failed_import_keeps_the_copy_in_use(people: PeopleStore, monkeypatch: pytest.MonkeyPatch) -> None:
    await applied(people, LINES)
    staged = await people.stage(LINES[:4], CREATED_MS)

    async def full(*_: object) -> None:
        raise OSError("no space left on device")

    with monkeypatch.context() as broken:
        broken.setattr("server.storage.people.add_rows", full)
        with pytest.raises(OSError, match="no space"):
            await people.apply(staged.id, CREATED_MS)
    assert await people.member_of_phone("19905936468") == member(SINGLE)
    await people.apply(staged.id, CREATED_MS)
    assert await people.member_of_phone("19905936468") is None


async def test_shop_has_a_name(people: PeopleStore) -> None:
    assert await people.shop_name("m-1") == ""
    await people.name_shop("m-1", "彭浦菜场")
    assert await people.shop_name("m-1") == "彭浦菜场"
    await people.name_shop("m-1", "彭浦集市")
    assert await people.shop_names({"m-1", "m-2"}) == {"m-1": "彭浦集市"}
    assert await people.shop_names(()) == {}


async def test_nothing_personal_stands_in_clear(people: PeopleStore, database: Database, url: str) -> None:
    await applied(people, LINES)
    await people.stage(LINES[:5], CREATED_MS)
    secrets = [text for line in LINES for text in (line.owner, line.id_number, line.phone, line.room)]
    stored = await everything_stored(database, url)
    assert b"roll_import" in stored
    assert member(SINGLE).encode() in stored, "the search finds what is there"
    for secret in [*secrets, *(number[6:14] for number in secrets if len(number) == 18)]:
        for encoding in ("utf-8", "utf-16-le", "gb18030"):
            assert secret.encode(encoding) not in stored, secret


async def everything_stored(database: Database, url: str) -> bytes:
    """All bytes of the database: its files, or every row of every table."""
    if url.startswith("sqlite"):
        path = Path(url.removeprefix("sqlite://"))
        return b"".join(file.read_bytes() for file in path.parent.glob(path.name + "*"))

    async def work(connection: Connection) -> bytes:
        assert is_postgres(connection)
        parts: list[bytes] = []
        for table in (PERSON, PERSON_PHONE, HOME, ROLL_IMPORT):
            parts.append(table.name.encode())
            for row in await fetch(connection, f'SELECT * FROM "{table.name}"'):
                parts.extend(value if isinstance(value, bytes) else str(value).encode() for value in row)
        return b"\n".join(parts)

    return await database.read(work)


async def test_organisations_with_the_same_file_and_key_get_the_same_root(new_url: NewUrl, shared_data: Path) -> None:
    file = shared_data / "rosters" / "xiangshanyuan.csv"
    roster = read_roster(file.read_bytes(), date(2026, 11, 1))
    found = set()
    for place in range(3):
        async with await Database.open(new_url()) as database:
            people = PeopleStore(database, Vault(bytes([place]) * 32), ROLL_KEY)
            staged = await people.stage(roster.good, CREATED_MS)
            found.add((staged.root, staged.heads, staged.homes, staged.owners, staged.area_cm2))
            await people.apply(staged.id, CREATED_MS)
            assert heads_root(await people.heads()) == staged.root
    [(_, _, homes, owners, area_cm2)] = found
    assert (homes, owners, area_cm2) == (roster.homes, roster.owners, roster.total_area_cm2)


async def test_roll_of_a_roster_is_accepted_by_the_ledger(estate: Estate) -> None:
    lines = [
        replace(SINGLE, room=f"2号-{place}", id_number=f"E{place:08d}", id_kind="passport") for place in range(300)
    ]
    heads = make_heads(owner_lines(lines, ROLL_KEY), ROLL_KEY)
    bodies = publish_bodies("roll-2026", heads)
    assert [len(body["heads"]) for body in bodies] == [250, 50]
    for body in bodies:
        await estate.accept(estate.sign(0, "officer-committee", "roll.publish", body))
    confirm = {"roll": "roll-2026", "root": heads_root(heads)}
    await estate.accept(estate.sign(2, "officer-property", "roll.confirm", confirm))
    assert all(len(b64u_decode(head.leaf)) == 32 for head in heads)
