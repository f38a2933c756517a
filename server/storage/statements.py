"""Bulk statements of the hot paths: one a table and block, however many rows. It must not know what a row means.

Measured for 500 rows of five columns with one index, in a transaction, wall us a row (SQLite FULL / PostgreSQL 15):
`bulk_create` 14.5 / 17-20, `executemany` 5.3 / 9-20, `INSERT ... SELECT FROM unnest` - / 7-8. Reading 500 by key: the
ORM's `id__in` 3.9 / 14.3, one array parameter 1.4 / 4.3. So: executemany on SQLite, arrays on PostgreSQL, both through
Tortoise's own connection and its transaction.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import Any, NamedTuple, TypeVar, cast

from tortoise import fields
from tortoise.backends.base.client import BaseDBAsyncClient
from tortoise.exceptions import IntegrityError, OperationalError
from tortoise.models import Model

from server.record.canonical import encode

Connection = BaseDBAsyncClient
"""A connection of Tortoise's, inside or outside a transaction."""
POSTGRES = "postgres"
_ROWS_TOGETHER = (64, 8, 1)
"""Rows of one SQLite INSERT; few sizes, so that its prepared statements are used again."""
_ROW_MARK = "{rows}"
T = TypeVar("T")

_SQL_TYPES: dict[type[fields.Field[Any]], str] = {
    fields.BigIntField: "bigint",
    fields.BooleanField: "boolean",
    fields.CharField: "text",
    fields.TextField: "text",
    fields.BinaryField: "bytea",
}


@dataclass(frozen=True, slots=True)
class Table:
    """A table as a bulk statement sees it: its columns in order, their PostgreSQL types, its one-column primary key."""

    name: str
    key: str
    columns: tuple[str, ...]
    types: tuple[str, ...]

    def type_of(self, column: str) -> str:
        """The PostgreSQL type of a column."""
        return self.types[self.columns.index(column)]


class _Sql(NamedTuple):
    """A statement with `?` for its values; `many`: the values are rows, which PostgreSQL takes as an array a column."""

    sqlite: str
    postgres: str
    many: bool


def table_of(model: type[Model]) -> Table:
    """The table of a Tortoise model."""
    meta = model._meta
    columns = tuple(meta.fields_db_projection[name] for name in meta.fields_map)
    types = tuple(_SQL_TYPES[type(field)] for field in meta.fields_map.values())
    return Table(str(meta.db_table), meta.fields_db_projection[meta.pk_attr], columns, types)


def is_postgres(connection: Connection) -> bool:
    """Does the connection speak PostgreSQL? Otherwise it speaks SQLite."""
    return connection.capabilities.dialect == POSTGRES


class Unexpected(Exception):
    """The database does not hold what a batch stands on; nothing of the batch was done."""


class Batch:
    """Mutable. Statements of one transaction that run together: one hop to SQLite's thread, one trip to PostgreSQL.

    On PostgreSQL they all see the rows as they were before the batch, so no two may touch the same row.
    """

    def __init__(self) -> None:
        self._statements: list[tuple[_Sql, Sequence[Any]]] = []
        self._expected: list[tuple[str, str]] = []

    def expect(self, sql: str, value: str) -> None:
        """Running raises Unexpected unless this query, before all statements, gives the one value."""
        self._expected.append((sql, value))

    def put(self, table: Table, rows: Sequence[Sequence[Any]]) -> None:
        """Insert rows, or replace those with the same key. Values stand in the order of the table's columns."""
        self._insert(table, rows, "replace")

    def add(self, table: Table, rows: Sequence[Sequence[Any]]) -> None:
        """Insert rows; running raises tortoise IntegrityError when a key is taken."""
        self._insert(table, rows, "refuse")

    def add_missing(self, table: Table, rows: Sequence[Sequence[Any]]) -> None:
        """Insert the rows whose keys are free; the others stay as they are."""
        self._insert(table, rows, "keep")

    def change(self, sql: str, *values: Any) -> None:
        """An update or deletion written with `?`."""
        self._statements.append((_Sql(sql, sql, many=False), values))

    def change_chosen(self, sql: str, column: str, chosen: Sequence[str], *values: Any) -> None:
        """An update or deletion, `sql` with `values`, of the rows whose text column is one of the chosen."""
        if chosen:
            sqlite = f'{sql} WHERE "{column}" IN (SELECT value FROM json_each(?))'  # noqa: S608 - names of our own models
            both = _Sql(sqlite, f'{sql} WHERE "{column}" = ANY(?::text[])', many=False)
            self._statements.append((both, (*values, list(chosen))))

    async def run(self, connection: Connection) -> None:
        """Execute the statements in order, inside the transaction of `connection`."""
        if is_postgres(connection):
            await self._run_together(connection)
        else:
            async with connection.acquire_connection() as raw:
                await _on_thread(raw, self._run_in_turn)

    async def run_alone(self, connection: Connection) -> None:
        """Execute the statements as one transaction of SQLite's, begun and ended in one hop to its thread."""
        async with connection.acquire_connection() as raw:
            await _on_thread(raw, self._transact)

    def _transact(self, raw: sqlite3.Connection) -> None:
        raw.execute("BEGIN IMMEDIATE")
        try:
            self._run_in_turn(raw)
            raw.execute("COMMIT")
        except BaseException:
            if raw.in_transaction:  # a full disk has rolled it back already
                raw.execute("ROLLBACK")
            raise

    def _insert(self, table: Table, rows: Sequence[Sequence[Any]], conflict: str) -> None:
        if rows:
            self._statements.append((_insert_sql(table, conflict), rows))

    def _run_in_turn(self, raw: sqlite3.Connection) -> None:
        for query, value in self._expected:
            _compare(raw.execute(query).fetchall(), value)
        for sql, values in self._statements:
            if sql.many:
                _insert_in_turn(raw, sql.sqlite, values)
            else:
                raw.execute(sql.sqlite, [encode(value).decode() if type(value) is list else value for value in values])

    async def _run_together(self, connection: Connection) -> None:
        """As parts of one WITH: PostgreSQL executes them all, whatever the SELECT behind them reads."""
        for query, value in self._expected:
            _compare(await fetch(connection, query), value)
        values: list[Any] = []
        parts: list[str] = []
        for place, (sql, given) in enumerate(self._statements):
            parts.append(f"s{place} AS ({sql.postgres})")
            values.extend([list(column) for column in zip(*given, strict=True)] if sql.many else given)
        if parts:
            await connection.execute_query(placed(connection, f"WITH {', '.join(parts)} SELECT 1"), values)


def _compare(found: Sequence[Any], value: str) -> None:
    if [tuple(row) for row in found] != [(value,)]:
        raise Unexpected(f"{value} is not what the database holds")


def _insert_in_turn(raw: sqlite3.Connection, sql: str, rows: Sequence[Sequence[Any]]) -> None:
    """Many rows a statement: SQLite gives the interpreter's lock up for each, and takes it back from a busy loop."""
    begin = 0
    for together in _ROWS_TOGETHER:
        many = sql.replace(_ROW_MARK, ",".join([_placeholders(len(rows[0]))] * together))
        while len(rows) - begin >= together:
            raw.execute(many, list(chain.from_iterable(rows[begin : begin + together])))
            begin += together


def _placeholders(columns: int) -> str:
    return f"({','.join('?' * columns)})"


async def put_rows(connection: Connection, table: Table, rows: Sequence[Sequence[Any]]) -> None:
    """Insert rows, or replace those with the same key. Values stand in the order of the table's columns."""
    batch = Batch()
    batch.put(table, rows)
    await batch.run(connection)


async def add_rows(connection: Connection, table: Table, rows: Sequence[Sequence[Any]]) -> None:
    """Insert rows. Raises tortoise IntegrityError when a key is taken."""
    batch = Batch()
    batch.add(table, rows)
    await batch.run(connection)


async def add_missing(connection: Connection, table: Table, rows: Sequence[Sequence[Any]]) -> None:
    """Insert the rows whose keys are free; the others stay as they are."""
    batch = Batch()
    batch.add_missing(table, rows)
    await batch.run(connection)


async def find_rows(connection: Connection, table: Table, keys: Iterable[Any], column: str = "") -> Sequence[Any]:
    """The rows whose key (or `column`) is one of `keys`, in no order; each a sequence in the order of the columns."""
    wanted = list(keys)
    if not wanted:
        return []
    postgres = is_postgres(connection)
    sql = _select_sql(table, column or table.key, postgres)
    return (await connection.execute_query(sql, [wanted if postgres else encode(wanted).decode()]))[1]


async def find_in_tables(connection: Connection, wanted: Mapping[Table, Sequence[str]]) -> list[Sequence[Any]]:
    """`find_rows` by key in several tables, in the order of the tables; on SQLite in one hop to its thread."""
    if is_postgres(connection):
        return [await find_rows(connection, table, keys) for table, keys in wanted.items()]
    questions = [(_select_sql(table, table.key, False), encode(list(keys)).decode()) for table, keys in wanted.items()]
    async with connection.acquire_connection() as raw:
        return await _on_thread(raw, lambda sqlite: [sqlite.execute(sql, [ids]).fetchall() for sql, ids in questions])


async def _on_thread(raw: Any, work: Callable[[sqlite3.Connection], T]) -> T:
    """Run `work` on the thread of an aiosqlite connection: each hop there and back costs up to 4 ms on a busy machine.

    `_execute` and `_conn` are what aiosqlite's own methods are made of.
    """
    try:
        return cast("T", await raw._execute(work, raw._conn))
    except sqlite3.OperationalError as error:
        raise OperationalError(error) from error
    except sqlite3.IntegrityError as error:
        raise IntegrityError(error) from error


@lru_cache(maxsize=512)
def _insert_sql(table: Table, conflict: str) -> _Sql:
    names = ",".join(f'"{column}"' for column in table.columns)
    into = f'INSERT INTO "{table.name}" ({names})'
    ending = _conflict_clause(table, conflict)
    arrays = ",".join(f"?::{kind}[]" for kind in table.types)
    postgres = f"{into} SELECT * FROM unnest({arrays}){ending}"  # noqa: S608 - names and types of our own models
    return _Sql(f"{into} VALUES {_ROW_MARK}{ending}", postgres, many=True)


def _conflict_clause(table: Table, conflict: str) -> str:
    if conflict == "refuse":
        return ""
    if conflict == "keep":
        return f' ON CONFLICT ("{table.key}") DO NOTHING'
    changes = ",".join(f'"{column}"=excluded."{column}"' for column in table.columns if column != table.key)
    return f' ON CONFLICT ("{table.key}") DO UPDATE SET {changes}'


@lru_cache(maxsize=512)
def _select_sql(table: Table, column: str, postgres: bool) -> str:
    names = ",".join(f'"{name}"' for name in table.columns)
    chosen = f"= ANY($1::{table.type_of(column)}[])" if postgres else "IN (SELECT value FROM json_each(?))"
    return f'SELECT {names} FROM "{table.name}" WHERE "{column}" {chosen}'  # noqa: S608 - names of our own models


def placed(connection: Connection, sql: str) -> str:
    """`sql` with its `?` as the connection's parameters: `$1`, `$2`, ... on PostgreSQL. No `?` may stand in a text."""
    if not is_postgres(connection):
        return sql
    parts = sql.split("?")
    return "".join(f"{part}${place}" for place, part in enumerate(parts[:-1], start=1)) + parts[-1]


async def fetch(connection: Connection, sql: str, *values: Any) -> Sequence[Any]:
    """The rows of a query written with `?`, each a sequence that also knows its columns by name."""
    return (await connection.execute_query(placed(connection, sql), list(values)))[1]


async def change(connection: Connection, sql: str, *values: Any) -> None:
    """Execute an update or deletion written with `?`."""
    await connection.execute_query(placed(connection, sql), list(values))
