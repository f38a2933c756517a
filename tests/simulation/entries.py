"""What the audits read in the log, and how they compare their books with the rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from server.record.rows import Row

Tables = Mapping[str, Mapping[str, Row]]
"""Rows by table and id."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An accepted record as the audit reads it."""

    id: str
    kid: str
    time_ms: int
    index: int
    author: str
    kind: str
    body: dict[str, Any]


@dataclass(slots=True)
class Key:
    """Mutable. A device: who it belongs to, who tied it to him, from when it votes."""

    member: str
    attested: set[str]
    votes_from_ms: int
    revoked: bool = False


def differences(table: str, rows: Mapping[str, Any], books: Mapping[str, Any]) -> Iterator[str]:
    """Rows that are not what the books say."""
    for name in sorted({*rows, *books}):
        if rows.get(name) != books.get(name):
            yield f"{table} {name}: the rows say {rows.get(name)}, the books {books.get(name)}"


def rows_of(tables: Tables, row: type[Row]) -> list[Any]:
    """The rows of a table."""
    return list(tables.get(row.table, {}).values())
