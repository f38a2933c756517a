"""What the API reads from tables that grow is found by an index, and pages come from it in order, on both databases."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from server.storage.database import Database
from server.storage.queries import Queries
from server.storage.statements import Connection, fetch, placed

Ask = Callable[[Queries], Awaitable[object]]

LISTS: dict[str, Ask] = {
    "heads_of": lambda queries: queries.heads_of("roll-1", "m-1"),
    "motions": lambda queries: queries.motions("5/m", 20),
    "motions in a state": lambda queries: queries.motions(states=["open"]),
    "turnouts": lambda queries: queries.turnouts("motion"),
    "results": lambda queries: queries.results("motion"),
    "deliveries_of": lambda queries: queries.deliveries_of("motion"),
    "ballots_of": lambda queries: queries.ballots_of("motion"),
    "tickets": lambda queries: queries.tickets("5/t", 20),
    "tickets in a state": lambda queries: queries.tickets("5/t", 20, state="submitted"),
    "tickets of a reporter": lambda queries: queries.tickets("5/t", 20, reporter="m-1"),
    "ticket_events": lambda queries: queries.ticket_events("ticket"),
    "photo_tickets": lambda queries: queries.photo_tickets("photo"),
    "transfers": lambda queries: queries.transfers("member/m-1", "5/x", 20),
    "offers": lambda queries: queries.offers("m-9", "5/x", 20),
    "offers_since": lambda queries: queries.offers_since(5),
    "devices": lambda queries: queries.devices("m-1"),
}
PAGED = {"motions", "tickets", "tickets in a state", "tickets of a reporter", "transfers", "offers"}


class Listening:
    """A database's reading side that remembers the statements it was asked."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.asked: list[tuple[str, list[Any]]] = []

    async def read(self, work: Callable[[Any], Awaitable[Any]]) -> Any:
        """Run a query and note its statements."""

        async def listen(connection: Connection) -> Any:
            asked = self.asked

            class Connected:
                capabilities = connection.capabilities

                async def execute_query(self, sql: str, values: list[Any]) -> Any:
                    asked.append((sql, values))
                    return await connection.execute_query(sql, values)

            return await work(Connected())

        return await self._database.read(listen)


async def plans(database: Database, ask: Ask) -> list[str]:
    """How the database would answer, a line a step."""
    listening = Listening(database)
    await ask(Queries(listening))  # type: ignore[arg-type]
    assert listening.asked

    async def explain(connection: Connection) -> list[str]:
        is_sqlite = database.dialect == "sqlite"
        steps: list[Sequence[Any]] = []
        for sql, values in listening.asked:
            prefix = "EXPLAIN QUERY PLAN " if is_sqlite else "EXPLAIN "
            steps += await fetch(connection, placed(connection, prefix) + sql, *values)
        return [str(step[3 if is_sqlite else 0]) for step in steps]

    return await database.read(explain)


@pytest.mark.parametrize("name", LISTS)
async def test_no_list_reads_a_whole_table(database: Database, name: str) -> None:
    found = await plans(database, LISTS[name])
    scans = [step for step in found if ("SCAN" in step and "INDEX" not in step) or "Seq Scan" in step]
    assert not scans, found
    if name in PAGED and database.dialect == "sqlite":
        # PostgreSQL sorts while its tables are empty; a full one it reads in the index's order, as SQLite always does.
        assert not [step for step in found if "TEMP B-TREE" in step], found
    if name in PAGED - {"motions in a state"}:
        column = r"(close_ms|changed_ms|made_ms|index)"
        entered = [step for step in found if re.search(rf"SEARCH.*{column}.*<|Index Cond:.*{column}.*<", step)]
        assert entered, f"the page begins where the newest row is, not at its cursor: {found}"
