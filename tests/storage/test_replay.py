"""Rows are a cache: the stored entries alone give the same rows again, byte for byte."""

from __future__ import annotations

import pytest

from server.domain.tally import TallyMotion, tally_body
from server.record.canonical import encode
from server.record.rows import Row
from server.storage.database import Database
from server.storage.ledger import Ledger
from server.storage.queries import Queries
from server.storage.replay import ReplayDiffers, open_ledger, rebuild_rows, replay_into, row_differences
from server.storage.rows import read_all
from server.storage.statements import change
from server.storage.tables import ROW_TABLES
from server.storage.vault import Vault
from tests.storage.conftest import NewUrl
from tests.storage.estate import DAY_MS, VAULT_KEY, Estate, make_genesis


async def live(estate: Estate) -> None:
    """Votes, a tally by timer, a seal that makes it final, tickets, points, refusals: rows of every kind."""
    motion = await estate.add_motion(6, open_ms=DAY_MS)
    await estate.add(*(estate.ballot(motion, place, "against" if place == 2 else "for") for place in range(5)))
    await estate.add(estate.ballot(motion, 0, "against", 1), estate.ballot(motion, 5))
    report = {
        "category": "lift",
        "contact": estate.hide("", "contact"),
        "home": False,
        "photos": [{"original_sha256": "0" * 64, "sha256": "1" * 64, "size": 9}],
        "place": estate.hide("2号楼", "place"),
        "text": estate.hide("电梯异响", "text"),
    }
    await estate.add(estate.sign(100, "m-0", "ticket.report", report))
    grant = {"activity": "clean-up", "amount": 30, "member": "m-1", "programme": "green", "reason": "楼道清扫"}
    await estate.accept(estate.sign(10, "chair", "points.grant", grant))
    await tally(estate, motion)
    tip = estate.ledger.tip
    await estate.add(estate.seal(tip.size, tip.root))
    detail = await Queries(estate.ledger.database).results(motion)
    assert [result.heads for result in detail] == [6]


async def tally(estate: Estate, motion: str) -> None:
    queries, time_ms = Queries(estate.ledger.database), estate.ledger.tip.time_ms + DAY_MS
    [timer] = await estate.ledger.rows.due_timers(time_ms)
    assert timer.kind == TallyMotion.kind
    from server.domain.motion import Motion

    row = await queries.get(Motion, motion)
    assert row is not None
    ballots = await queries.ballots_of(motion)
    held = await estate.ledger.openings.of_records([ballot.record for ballot in ballots])
    openings = {name: opening for found in held.values() for name, opening in found.items()}
    items = await estate.due(time_ms, {timer.kind: tally_body(row, ballots, openings)})
    executed = await estate.add(*items, time_ms=time_ms)
    assert executed.outcomes == ("accepted",)


async def all_rows(database: Database) -> dict[str, list[Row]]:
    return {
        table: await database.read(lambda connection, name=table: read_all(connection, name)) for table in ROW_TABLES
    }


async def test_replay_into_a_new_database_gives_identical_rows(new_url: NewUrl) -> None:
    genesis, cluster_id = make_genesis()
    async with await Database.open(new_url()) as one, await Database.open(new_url()) as other:
        estate = await Estate.open(one)
        await live(estate)
        target = await Ledger.open(other, genesis, cluster_id, Vault(VAULT_KEY))
        assert await row_differences(one, other) != []
        assert await replay_into(estate.ledger, target, genesis, cluster_id) == estate.ledger.tip.height
        assert target.tip == estate.ledger.tip
        assert await row_differences(one, other) == []
        assert encode(list((await all_rows(one)).values())) == encode(list((await all_rows(other)).values()))
        filled = {table for table, rows in (await all_rows(one)).items() if rows}
        assert filled >= {
            "motion",
            "ballot",
            "turnout",
            "tally_result",
            "ticket",
            "transfer",
            "timer",
            "seal_wait",
            "nonce",
        }
        await estate.add(estate.bind(77, "m-77"))
        assert await replay_into(estate.ledger, target, genesis, cluster_id) == 1
        assert await row_differences(one, other) == []


async def test_rows_are_rebuilt_in_place(estate: Estate) -> None:
    await live(estate)
    ledger, database = estate.ledger, estate.ledger.database
    before = await all_rows(database)
    await database.run(lambda connection: change(connection, """UPDATE "member" SET "roles" = '["officer@owners"]'"""))
    await database.run(lambda connection: change(connection, 'DELETE FROM "ballot"'))
    assert await all_rows(database) != before
    await rebuild_rows(ledger, estate.genesis, estate.cluster_id)
    assert await all_rows(database) == before
    await estate.accept(estate.bind(78, "m-78"))


async def test_changed_shape_is_noticed_at_the_start_and_replayed(url: str) -> None:
    genesis, cluster_id = make_genesis()
    async with await Database.open(url) as database:
        await live(await Estate.open(database))
        before = await all_rows(database)
        older = """UPDATE "derived_table" SET "fingerprint" = 'older' WHERE "name" = 'ballot'"""
        await database.run(lambda connection: change(connection, older))
    async with await Database.open(url) as database:
        assert not database.rows_current
        assert (await all_rows(database))["ballot"] == []
    async with await Database.open(url) as database:
        assert not database.rows_current, "an interrupted rebuild is begun anew"
        await open_ledger(database, genesis, cluster_id, Vault(VAULT_KEY))
        assert database.rows_current
        assert await all_rows(database) == before
    async with await Database.open(url) as database:
        assert database.rows_current


@pytest.mark.parametrize(
    ("statement", "what"),
    [
        ("""UPDATE "block" SET "state_digest" = 'other' WHERE "height" = 2""", "block 2 executes to another"),
        ("""UPDATE "block" SET "root" = "header" WHERE "height" = 2""", "block 2 executes to another"),
    ],
)
async def test_replay_stops_at_the_first_damage(estate: Estate, statement: str, what: str) -> None:
    await estate.add(estate.bind(7, "m-7"))
    await estate.add(estate.bind(8, "m-8"))
    await estate.ledger.database.run(lambda connection: change(connection, statement))
    with pytest.raises(ReplayDiffers, match=what):
        await rebuild_rows(estate.ledger, estate.genesis, estate.cluster_id)
    assert not (await all_rows(estate.ledger.database))["nonce"][1:]


async def test_entry_with_another_outcome_is_named(estate: Estate) -> None:
    await estate.add(estate.bind(7, "m-7"))
    [content] = await estate.ledger.contents(0, 1)
    changed = content.replace(b'"outcome":"accepted"', b'"outcome":"device_revoked"')
    sql = 'UPDATE "entry" SET "content" = ? WHERE "index" = 0'
    await estate.ledger.database.run(lambda connection: change(connection, sql, changed))
    other = 'UPDATE "block" SET "root" = "header" WHERE "height" = 1'
    await estate.ledger.database.run(lambda connection: change(connection, other))
    with pytest.raises(ReplayDiffers, match="block 1, entry 0"):
        await rebuild_rows(estate.ledger, estate.genesis, estate.cluster_id)
