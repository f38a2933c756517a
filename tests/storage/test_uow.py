"""A unit of work ends, whoever stops waiting for it; and nodes in one process never meet in a transaction."""

from __future__ import annotations

import asyncio

import pytest

from server.storage.database import Database
from server.storage.private_tables import SHOP
from server.storage.statements import Connection, add_rows, fetch, put_rows
from tests.storage.conftest import NewUrl


async def names(database: Database) -> list[str]:
    found = await database.read(lambda connection: fetch(connection, 'SELECT "name" FROM "shop" ORDER BY "member"'))
    return [row[0] for row in found]


async def put_shop(database: Database, member: str, name: str) -> None:
    await database.run(lambda connection: put_rows(connection, SHOP, [(member, name)]))


async def test_cancelled_callers_never_block_the_database(database: Database) -> None:
    for turn in range(150):
        task = asyncio.create_task(put_shop(database, "m-1", f"{turn}"))
        for _ in range(turn % 13):
            await asyncio.sleep(0)
        await asyncio.sleep(turn % 40 * 0.0001)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await asyncio.wait_for(names(database), 5)
    await asyncio.wait_for(put_shop(database, "m-1", "last"), 5)
    assert await names(database) == ["last"]


async def test_cancelled_readers_never_block_the_database(database: Database) -> None:
    for turn in range(100):
        task = asyncio.create_task(names(database))
        for _ in range(turn % 7):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert await asyncio.wait_for(names(database), 5) == []


async def test_unit_of_a_cancelled_caller_runs_to_its_end(database: Database) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def work(connection: Connection) -> None:
        await add_rows(connection, SHOP, [("m-1", "one")])
        begun.set()
        await go_on.wait()
        await add_rows(connection, SHOP, [("m-2", "two")])

    task = asyncio.create_task(database.run(work))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    go_on.set()
    await asyncio.wait_for(put_shop(database, "m-3", "three"), 5)
    assert await names(database) == ["one", "two", "three"]


async def test_unit_that_fails_leaves_nothing(database: Database) -> None:
    async def work(connection: Connection) -> None:
        await add_rows(connection, SHOP, [("m-1", "one")])
        raise LookupError("no")

    with pytest.raises(LookupError):
        await database.run(work)
    assert await names(database) == []
    await put_shop(database, "m-1", "again")
    assert await names(database) == ["again"]


async def test_task_begun_inside_a_unit_is_outside_of_its_transaction(database: Database) -> None:
    later: list[asyncio.Task[None]] = []

    async def work(connection: Connection) -> None:
        await add_rows(connection, SHOP, [("m-1", "one")])
        later.append(asyncio.create_task(put_shop(database, "m-2", "two")))

    await database.run(work)
    await later[0]
    assert await names(database) == ["one", "two"]


async def test_units_that_read_and_then_write_do_not_overlap(database: Database) -> None:
    async def count(connection: Connection) -> None:
        found = await fetch(connection, 'SELECT "name" FROM "shop"')
        await asyncio.sleep(0)
        await put_rows(connection, SHOP, [("m-1", str(int(found[0][0]) + 1 if found else 1))])

    await asyncio.gather(*(database.run(count) for _ in range(20)))
    assert await names(database) == ["20"]


async def test_nodes_in_one_process_see_only_their_own_rows(new_url: NewUrl) -> None:
    nodes = [await Database.open(new_url()) for _ in range(3)]
    try:
        await asyncio.gather(*(put_shop(node, "m-1", f"node {place}") for place, node in enumerate(nodes)))
        found = await asyncio.gather(*(names(nodes[turn % 3]) for turn in range(60)))
        assert found == [[f"node {turn % 3}"] for turn in range(60)]
    finally:
        for node in nodes:
            await node.close()


async def test_closing_waits_for_the_units_under_way(url: str) -> None:
    database = await Database.open(url)
    go_on = asyncio.Event()

    async def work(connection: Connection) -> None:
        await go_on.wait()
        await add_rows(connection, SHOP, [("m-1", "one")])

    task = asyncio.create_task(database.run(work))
    await asyncio.sleep(0)
    closing = asyncio.create_task(database.close())
    await asyncio.sleep(0.01)
    assert not closing.done()
    go_on.set()
    await asyncio.gather(task, closing)
    async with await Database.open(url) as again:
        assert await names(again) == ["one"]
