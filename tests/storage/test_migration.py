"""Tables that migrations and derived statements make are the tables that the models describe."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from tortoise.models import Model

from server.storage import ledger_tables, private_tables
from server.storage.database import Database
from server.storage.migration import Migration, MigrationFault, _apply, read_migrations
from server.storage.statements import Connection, fetch, is_postgres, table_of
from server.storage.tables import ROW_TABLES

Columns = dict[str, tuple[str, bool]]
_KINDS = {
    "integer": "int",
    "bigint": "int",
    "int": "bool",
    "boolean": "bool",
    "blob": "bytes",
    "bytea": "bytes",
    "text": "text",
    "varchar": "text",
    "character varying": "text",
}
_MODEL_KINDS = {"bigint": "int", "boolean": "bool", "bytea": "bytes", "text": "text"}


def models_of(module: object) -> list[type[Model]]:
    found = [value for value in vars(module).values() if isinstance(value, type) and issubclass(value, Model)]
    return [model for model in found if model is not Model]


def expected(model: type[Model]) -> tuple[Columns, set[tuple[str, ...]]]:
    table = table_of(model)
    columns = {
        name: (_MODEL_KINDS[kind], name == table.key) for name, kind in zip(table.columns, table.types, strict=True)
    }
    indexes = {tuple(getattr(index, "fields", index)) for index in model._meta.indexes}
    assert not model._meta.unique_together
    assert not any(field.unique and not field.pk for field in model._meta.fields_map.values())
    return columns, indexes


async def sqlite_shape(connection: Connection, name: str) -> tuple[Columns, set[tuple[str, ...]]]:
    info = await fetch(connection, f'PRAGMA table_info("{name}")')
    columns = {row["name"]: (_KINDS[row["type"].split("(")[0].lower()], row["pk"] == 1) for row in info}
    assert all(row["notnull"] for row in info), name
    indexes = set()
    for row in await fetch(connection, f'PRAGMA index_list("{name}")'):
        if row["origin"] == "c":
            parts = await fetch(connection, f'PRAGMA index_info("{row["name"]}")')
            indexes.add(tuple(part["name"] for part in parts))
    return columns, indexes


async def postgres_shape(connection: Connection, name: str) -> tuple[Columns, set[tuple[str, ...]]]:
    sql = """SELECT column_name, data_type, is_nullable FROM information_schema.columns WHERE table_name = ?"""
    info = await fetch(connection, sql, name)
    sql = """SELECT i.indisprimary, array(SELECT a.attname FROM unnest(i.indkey) WITH ORDINALITY AS k(n, place)
        JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.n ORDER BY k.place)::text[]
        FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid WHERE c.relname = ?"""
    found = await fetch(connection, sql, name)
    [key] = [tuple(names) for primary, names in found if primary]
    columns = {row[0]: (_KINDS[row[1]], (row[0],) == key) for row in info}
    assert all(row[2] == "NO" for row in info), name
    return columns, {tuple(names) for primary, names in found if not primary}


def all_models() -> Iterable[type[Model]]:
    yield from models_of(ledger_tables)
    yield from models_of(private_tables)
    yield from (table.model for table in ROW_TABLES.values())


async def test_tables_are_what_the_models_say(database: Database) -> None:
    async def work(connection: Connection) -> dict[str, Any]:
        shape = postgres_shape if is_postgres(connection) else sqlite_shape
        return {table_of(model).name: await shape(connection, table_of(model).name) for model in all_models()}

    found = await database.read(work)
    assert found == {table_of(model).name: expected(model) for model in all_models()}
    assert len(found) == len(list(all_models())), "two models share a table"


async def test_there_is_no_table_without_a_model(database: Database) -> None:
    async def work(connection: Connection) -> set[str]:
        if is_postgres(connection):
            sql = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
        else:
            sql = "SELECT name FROM sqlite_master WHERE type = 'table'"
        return {row[0] for row in await fetch(connection, sql)}

    known = {table_of(model).name for model in all_models()}
    assert await database.read(work) == known | {"schema_migration"}


async def test_migration_that_fails_leaves_nothing(database: Database) -> None:
    text = 'CREATE TABLE "half" ("id" BIGINT NOT NULL PRIMARY KEY);\nCREATE TABLE "block" ("id" BIGINT);\n'
    with pytest.raises(Exception, match="block"):
        await _apply(database._units, Migration(3, "broken", text))
    with pytest.raises(Exception, match="half"):
        await database.read(lambda connection: fetch(connection, 'SELECT * FROM "half"'))


def test_both_dialects_have_the_same_steps() -> None:
    steps = [[(step.number, step.name) for step in read_migrations(name)] for name in ("sqlite", "postgres")]
    assert steps[0] == steps[1] != []


def test_missing_migration_is_noticed(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sqlite").mkdir()
    (tmp_path / "sqlite" / "0002_second.sql").write_text("SELECT 1;\n")
    monkeypatch.setattr("server.storage.migration.FOLDER", tmp_path)
    with pytest.raises(MigrationFault, match="not numbered"):
        read_migrations("sqlite")
