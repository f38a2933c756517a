"""Looking up whether records were stored: many questions are one query, and each sees what was stored before it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from server.node.lookup import Lookup
from server.storage.ledger import Ledger, StoredEntry
from tests.storage.estate import Estate, open_sqlite


class CountingLedger(Ledger):
    """Mutable. A ledger that counts what it is asked."""

    questions: list[int]

    async def entries_of_records(self, records: Sequence[str]) -> dict[str, StoredEntry]:
        self.questions.append(len(records))
        return await super().entries_of_records(records)


async def test_questions_that_come_together_are_one_query(tmp_path: Path) -> None:
    async with await open_sqlite(tmp_path) as database:
        estate = await Estate.open(database)
        known = [await estate.accept(estate.bind(100 + number, f"m-{number}")) for number in range(3)]
        estate.ledger.__class__ = CountingLedger
        estate.ledger.questions = []  # type: ignore[attr-defined]
        lookup = Lookup(estate.ledger)
        asked = [*known, *("A" * 42 + str(number) for number in range(50))]
        held = await asyncio.gather(*(lookup.holds(record) for record in asked))
        assert held == [record in known for record in asked]
        assert estate.ledger.questions == [53]  # type: ignore[attr-defined]


async def test_a_question_sees_what_was_stored_before_it_was_asked(tmp_path: Path) -> None:
    async with await open_sqlite(tmp_path) as database:
        estate = await Estate.open(database)
        lookup = Lookup(estate.ledger)
        item = estate.bind(101, "m-1")
        record = await estate.accept(item)
        assert await lookup.holds(record)
        other = estate.bind(102, "m-2")
        early = asyncio.create_task(lookup.holds("A" * 43))
        stored = await estate.accept(other)
        assert await lookup.holds(stored)
        assert not await early


async def test_a_caller_that_goes_away_takes_no_answer_from_the_others(tmp_path: Path) -> None:
    async with await open_sqlite(tmp_path) as database:
        estate = await Estate.open(database)
        lookup = Lookup(estate.ledger)
        record = await estate.accept(estate.bind(101, "m-1"))
        leaving, staying = (asyncio.create_task(lookup.holds(record)) for _ in range(2))
        await asyncio.sleep(0)
        leaving.cancel()
        assert await staying
