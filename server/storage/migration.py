"""Numbered migrations of what is not derived: the ledger's own tables and the private ones.

Tortoise's own migrations lose unique constraints on SQLite, so each step is a plain SQL file for each dialect, applied
in a transaction of its own and never changed afterwards: its hash is kept and compared.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from server.storage.statements import Connection, change, fetch
from server.storage.uow import UnitsOfWork

FOLDER = Path(__file__).parent / "migrations"
_FILE = re.compile(r"([0-9]{4})_([a-z0-9_]+)\.sql")
_REGISTER = """CREATE TABLE IF NOT EXISTS "schema_migration" (
    "number" BIGINT NOT NULL PRIMARY KEY, "name" VARCHAR(255) NOT NULL, "sha256" VARCHAR(64) NOT NULL)"""


class MigrationFault(Exception):
    """The database was not made by this program's migrations."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One step: its number, its name, and its statements as they stand in the file."""

    number: int
    name: str
    text: str

    @property
    def sha256(self) -> str:
        """Hash of the file, in hex."""
        return sha256(self.text.encode()).hexdigest()

    @property
    def statements(self) -> list[str]:
        """The statements; each ends with a semicolon at the end of its line, and nothing else does."""
        lines = [line for line in self.text.splitlines() if not line.startswith("--")]
        return [part.strip() for part in "\n".join(lines).split(";\n") if part.strip().strip(";")]


def read_migrations(dialect: str) -> list[Migration]:
    """The migrations of a dialect (`sqlite`, `postgres`), in order. Raises MigrationFault when a number is missing."""
    found = []
    for path in sorted((FOLDER / dialect).glob("*.sql")):
        match = _FILE.fullmatch(path.name)
        if match is None:
            raise MigrationFault(f"{path.name} is not named NNNN_name.sql")
        found.append(Migration(int(match[1]), match[2], path.read_text(encoding="utf-8") + "\n"))
    if [step.number for step in found] != list(range(1, len(found) + 1)):
        raise MigrationFault(f"the {dialect} migrations are not numbered 1, 2, 3, ...")
    return found


async def migrate(units: UnitsOfWork, dialect: str) -> None:
    """Bring the database to the newest step. Raises MigrationFault when it is newer, or made by other files."""
    steps = read_migrations(dialect)
    await units.run(lambda connection: change(connection, _REGISTER))
    applied = await units.run(_applied)
    if len(applied) > len(steps):
        raise MigrationFault("the database is newer than this program: run the newer release")
    for step, (name, digest) in zip(steps, applied, strict=False):
        if (step.name, step.sha256) != (name, digest):
            raise MigrationFault(f"migration {step.number:04d}_{step.name} is not the one that made this database")
    for step in steps[len(applied) :]:
        await _apply(units, step)


async def _applied(connection: Connection) -> list[tuple[str, str]]:
    rows = await fetch(connection, 'SELECT "name", "sha256" FROM "schema_migration" ORDER BY "number"')
    return [(name, digest) for name, digest in rows]


async def _apply(units: UnitsOfWork, step: Migration) -> None:
    async def work(connection: Connection) -> None:
        for statement in step.statements:
            await connection.execute_query(statement)
        insert = 'INSERT INTO "schema_migration" ("number", "name", "sha256") VALUES (?, ?, ?)'
        await change(connection, insert, step.number, step.name, step.sha256)

    await units.run(work)
