"""The rows that a block touches, held in memory while it executes. It must not know where rows are stored."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import ClassVar, NamedTuple, TypeVar, cast

import msgspec


class Row(msgspec.Struct, frozen=True):
    """One row: a frozen value with a table and an id. Its fields are integers, strings, booleans and tuples of strings.

    `indexes` names the columns that queries and timers search by.
    """

    table: ClassVar[str]
    indexes: ClassVar[tuple[tuple[str, ...], ...]] = ()

    id: str


R = TypeVar("R", bound=Row)


class Key(NamedTuple):
    """Names a row."""

    table: str
    id: str


def key(row: type[Row], *parts: str) -> Key:
    """The key of a row; composite ids join their parts with a slash."""
    return Key(row.table, "/".join(parts))


class Rows:
    """Mutable. Rows loaded before a block executes. Touching a row that was not declared is a bug.

    Between `begin` and `end` a record's changes are staged; a refused record changes nothing.
    """

    __slots__ = ("_declared", "_staged", "changed", "loaded")

    def __init__(self, loaded: Mapping[Key, Row | None]) -> None:
        self.loaded = loaded
        self.changed: dict[Key, Row] = {}
        self._declared: frozenset[Key] = frozenset()
        self._staged: dict[Key, Row] = {}

    def begin(self, declared: Iterable[Key]) -> None:
        """Open the unit of one record with the rows it may touch."""
        assert not self._staged, "the unit before was not ended"
        self._declared = frozenset(declared)

    def get(self, row: type[R], *parts: str) -> R | None:
        """The row as the records before left it, or None."""
        found = self.peek(key(row, *parts))
        return cast("R | None", found)

    def peek(self, wanted: Key) -> Row | None:
        """The row of a declared key."""
        assert wanted in self._declared, f"{wanted} was read but not declared in access()"
        if wanted in self._staged:
            return self._staged[wanted]
        if wanted in self.changed:
            return self.changed[wanted]
        return self.loaded[wanted]

    def put(self, row: Row) -> None:
        """Stage a row."""
        name = Key(row.table, row.id)
        assert name in self._declared, f"{name} was written but not declared in access()"
        self._staged[name] = row

    def end(self, *, keep: bool) -> None:
        """Close the unit: keep the staged rows, or drop them all."""
        if keep:
            self.changed.update(self._staged)
        self._staged = {}

    def changed_lines(self, line: Callable[[Row], bytes]) -> list[bytes]:
        """Every changed row in its canonical form, which `line` gives, in the order of their keys (decisions 8)."""
        return [line(row) for _, row in sorted(self.changed.items())]
