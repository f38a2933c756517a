"""Rows are loaded a table at a time, remembered, and forgotten when their time has come."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from server.domain.agenda import SealWait, Timer, due_order, timer_key
from server.domain.member import Device, Member, Nonce
from server.limits import DAY_MS, NONCE_KEPT_MS
from server.record.rows import Key, Row, key
from server.storage.database import Database
from server.storage.rows import RowStore, read_all
from server.storage.statements import Batch, Connection
from tests.storage.estate import CREATED_MS, Estate, device


def timer(due_ms: int, kind: str, name: str) -> Timer:
    return Timer(timer_key(kind, name).id, due_ms, kind, name)


async def write(store: RowStore, database: Database, *rows: Row, time_ms: int = 0) -> None:
    changed = {Key(row.table, row.id): row for row in rows}
    batch = Batch()
    store.flush(batch, changed, time_ms)
    await database.run(batch.run)
    store.take(changed)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, list[Any]]]:
    """Queries that loading makes: table and ids."""
    import server.storage.rows as module

    questions: list[tuple[str, list[Any]]] = []
    find = module.find_in_tables

    async def noted(connection: Connection, wanted: Any) -> Any:
        questions.extend((table.name, list(keys)) for table, keys in wanted.items())
        return await find(connection, wanted)

    monkeypatch.setattr(module, "find_in_tables", noted)
    return questions


async def test_loading_asks_once_a_table_and_remembers_absence(
    database: Database, asked: list[tuple[str, list[Any]]]
) -> None:
    store = RowStore(database)
    await write(store, database, Member("m-1", ("resident",), ()))
    store.clear()
    keys = [key(Member, f"m-{place}") for place in range(300)] + [key(Device, f"k-{place}") for place in range(300)]
    rows = await store.load(keys)
    assert [table for table, _ in asked] == ["member", "device"]
    assert rows.loaded[key(Member, "m-1")] == Member("m-1", ("resident",), ())
    assert rows.loaded[key(Member, "m-2")] is None
    assert len(rows.loaded) == 600
    await store.load(keys)
    assert len(asked) == 2


async def test_stored_block_changes_what_is_remembered(database: Database, asked: list[tuple[str, list[Any]]]) -> None:
    store = RowStore(database)
    name = key(Member, "m-1")
    assert (await store.load([name])).loaded[name] is None
    await write(store, database, Member("m-1", ("auditor@owners",), ("k",)))
    assert (await store.load([name])).loaded[name] == Member("m-1", ("auditor@owners",), ("k",))
    assert len(asked) == 1


async def test_memory_is_bounded_and_nonces_do_not_fill_it(
    database: Database, asked: list[tuple[str, list[Any]]]
) -> None:
    store = RowStore(database, cached_max=10)
    await store.load([key(Member, f"m-{place}") for place in range(10)])
    await store.load([key(Nonce, "k", str(place)) for place in range(1_000)])
    await store.load([key(Member, "m-0")])
    assert [table for table, _ in asked] == ["member", "nonce"]
    await store.load([key(Member, "m-new")])
    await store.load([key(Member, "m-0"), key(Member, "m-1")])
    assert asked[-1] == ("member", ["m-1"]), "the row used longest ago made room"


async def test_rows_come_back_as_they_were(database: Database) -> None:
    store = RowStore(database)
    rows: list[Row] = [
        Member('quote"d/\u2028', ("a", "b\\", "二"), ()),
        Device("k", "m", "x", "y", "phone", ("owners", "street"), 2**53 - 1, -1, revoked=True, record="r"),
        Nonce("k/n", "r", 5, ("c1", "c2")),
        timer(5, "x", "y"),
    ]
    await write(store, database, *rows)
    store.clear()
    loaded = (await store.load([Key(row.table, row.id) for row in rows])).loaded
    assert list(loaded.values()) == rows
    assert [type(getattr(loaded[key(Device, "k")], name)) for name in ("revoked", "attested_by")] == [bool, tuple]


async def test_timers_are_due_in_the_order_of_a_block(database: Database) -> None:
    store = RowStore(database)
    assert await store.next_due_ms() is None
    names = [(5, "b", "Z"), (5, "b", "a"), (5, "a", "x"), (4, "z", "é"), (4, "z", "z"), (9, "c", "a")]
    timers = [timer(*name) for name in names]
    await write(store, database, *timers, msgspec.structs.replace(timer(1, "a", "done"), done=True))
    expected = sorted(timers[:5], key=due_order)
    assert await store.due_timers(5) == expected
    assert await store.due_timers(5, limit=2) == expected[:2]
    assert await store.due_timers(3) == []
    assert await store.next_due_ms() == 4
    await write(store, database, *(msgspec.structs.replace(due, done=True) for due in expected))
    assert await store.next_due_ms() == 9


async def test_rows_that_wait_for_a_seal_come_oldest_first(database: Database) -> None:
    store = RowStore(database)
    assert await store.awaiting_size() is None
    waits = [SealWait(f"x/{name}", index, "x", name) for name, index in (("b", 7), ("a", 7), ("c", 3), ("d", 9))]
    await write(store, database, *waits, SealWait("x/e", 1, "x", "e", done=True))
    assert [wait.key for wait in await store.seal_waits()] == ["c", "a", "b", "d"]
    assert [wait.key for wait in await store.seal_waits(below=9)] == ["c", "a", "b"]
    assert await store.awaiting_size() == 4


async def test_nonces_are_deleted_once_they_have_no_meaning(estate: Estate) -> None:
    database = estate.ledger.database
    item = estate.bind(7, "m-7")
    await estate.add(item)

    async def nonces() -> list[Row]:
        return await database.read(lambda connection: read_all(connection, "nonce"))

    [nonce] = await nonces()
    assert isinstance(nonce, Nonce)
    assert nonce.id.startswith(device(7).kid)
    last_ms = nonce.forget_ms - 1
    assert last_ms > CREATED_MS + DAY_MS + NONCE_KEPT_MS - 10_000
    again = await estate.add(item, time_ms=last_ms)
    assert again.outcomes == ("nonce_conflict",)
    gone = await estate.add(item, time_ms=nonce.forget_ms)
    assert gone.outcomes == ("expired",)
    assert await nonces() == []
