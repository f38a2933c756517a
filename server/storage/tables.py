"""One table for each row shape of the domain, derived from its Struct: nothing is said twice.

Rows are a cache of the ledger: change a shape, and the node drops these tables and replays. It must not know any rule.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Any, cast, get_args, get_origin, get_type_hints

import msgspec
from tortoise import fields
from tortoise.indexes import Index
from tortoise.models import Model

from server.domain import ROWS
from server.record.canonical import encode
from server.record.rows import Row
from server.storage.statements import Table, table_of

ID_LENGTH_MAX = 255
"""Ids and indexed texts: the longest joins two digests and a name, far below."""
FORGET_COLUMN = "forget_ms"
"""A row with this column has no meaning once the block's time has reached it, and is then deleted."""

_decode_texts = msgspec.json.Decoder(tuple[str, ...]).decode


class RowTable:
    """How the rows of one shape stand in their table."""

    __slots__ = ("_booleans", "_make", "_tuples", "forgets", "model", "shape", "table")

    def __init__(self, shape: type[Row]) -> None:
        hints = column_types(shape)
        self.shape = shape
        self._make = cast("Callable[..., Row]", shape)
        self.model = _model_of(shape, hints)
        self.table: Table = table_of(self.model)
        self.forgets = FORGET_COLUMN in hints
        self._tuples = [place for place, hint in enumerate(hints.values()) if hint is tuple]
        self._booleans = [place for place, hint in enumerate(hints.values()) if hint is bool]

    def values(self, row: Row) -> Sequence[Any]:
        """The row as its columns: tuples of texts as canonical JSON."""
        values = msgspec.structs.astuple(row)
        if not self._tuples:
            return values
        listed = list(values)
        for place in self._tuples:
            listed[place] = encode(listed[place]).decode()
        return listed

    def row(self, record: Sequence[Any]) -> Row:
        """The row of a database record that has the table's columns in order."""
        if not self._tuples and not self._booleans:
            return self._make(*record)
        values = list(record)
        for place in self._tuples:
            values[place] = _decode_texts(values[place])
        for place in self._booleans:
            values[place] = bool(values[place])
        return self._make(*values)


def creation_statements(row_table: RowTable, *, postgres: bool) -> list[str]:
    """The statements that make a table of rows, and its indexes.

    Tortoise's own would give SQLite two B-trees for a text key; and texts must sort as bytes on every machine.
    """
    columns = ",\n".join(f"    {line}" for line in _column_lines(row_table.table, postgres=postgres))
    ending = ")" if postgres else ") WITHOUT ROWID"
    statements = [f'CREATE TABLE "{row_table.table.name}" (\n{columns}\n{ending}']
    for names in row_table.shape.indexes:
        listed = ",".join(f'"{name}"' for name in names)
        name = _index_name(row_table.table.name, names)
        statements.append(f'CREATE INDEX "{name}" ON "{row_table.table.name}" ({listed})')
    return statements


def _column_lines(table: Table, *, postgres: bool) -> list[str]:
    text = 'TEXT COLLATE "C"' if postgres else "TEXT"
    kinds = {"text": text, "bigint": "BIGINT", "boolean": "BOOLEAN" if postgres else "INT"}
    return [
        f'"{column}" {kinds[kind]} NOT NULL{" PRIMARY KEY" if column == table.key else ""}'
        for column, kind in zip(table.columns, table.types, strict=True)
    ]


def column_types(shape: type[Row]) -> dict[str, type]:
    """Columns of a row shape in order, each int, bool, str or tuple (of texts). TypeError for any other."""
    hints = get_type_hints(shape)
    found: dict[str, type] = {}
    for name in shape.__struct_fields__:
        hint = hints[name]
        if get_origin(hint) is tuple and get_args(hint) == (str, ...):
            found[name] = tuple
        elif hint in (int, bool, str):
            found[name] = hint
        else:
            raise TypeError(f"{shape.__name__}.{name}: a row holds integers, booleans, texts and tuples of texts")
    return found


def fingerprint(shape: type[Row]) -> str:
    """Changes whenever the table of a shape does: its name, columns, types or indexes."""
    columns = [[name, hint.__name__] for name, hint in column_types(shape).items()]
    return sha256(encode([shape.table, columns, shape.indexes])).hexdigest()


def _field(name: str, hint: type, indexed: bool) -> fields.Field[Any]:
    if name == "id":
        return fields.CharField(max_length=ID_LENGTH_MAX, primary_key=True)
    if hint is int:
        return fields.BigIntField()
    if hint is bool:
        return fields.BooleanField()
    if hint is str and indexed:
        return fields.CharField(max_length=ID_LENGTH_MAX)
    return fields.TextField()


def _model_of(shape: type[Row], hints: dict[str, type]) -> type[Model]:
    indexed = {name for index in shape.indexes for name in index}
    assert not any(hints[name] is tuple for name in indexed), f"{shape.table}: a list cannot be searched by"
    columns = {name: _field(name, hint, name in indexed) for name, hint in hints.items()}
    indexes = [Index(fields=names, name=_index_name(shape.table, names)) for names in shape.indexes]
    meta = type("Meta", (), {"table": shape.table, "indexes": indexes})
    model = type(shape.__name__ + "Table", (Model,), {**columns, "Meta": meta, "__module__": __name__})
    setattr(sys.modules[__name__], model.__name__, model)
    return cast("type[Model]", model)


def _index_name(table: str, names: tuple[str, ...]) -> str:
    """PostgreSQL cuts names at 63 characters: a hash keeps them apart."""
    return f"idx_{table[:30]}_{sha256(encode([table, names])).hexdigest()[:12]}"


ROW_TABLES: dict[str, RowTable] = {table: RowTable(shape) for table, shape in sorted(ROWS.items())}
"""The tables of all row shapes, by name."""
FINGERPRINTS = {table: fingerprint(ROWS[table]) for table in ROW_TABLES}
