"""One version of the rules, and all versions that this release knows (decisions 8, DESIGN.md D30).

A block is parsed, checked, executed and hashed by the version that its header names, whatever release does it, so a log
can be executed anew for ever. It must not know which version is in force: that stands in the rows (`activation`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from server.ledger.block import Header
from server.record.canonical import decode, encode
from server.record.kind import DerivedKind, RecordKind
from server.record.rows import Row, Rows

if TYPE_CHECKING:
    from server.domain.plan import Work

FIRST_VERSION = 1
"""The version of the first block (genesis names it)."""
BatchCheck = Callable[[Header, "Sequence[Work]", Rows], None]
"""(header, works, rows): raises BatchInvalid for a batch that no honest node proposes under a version."""


class RulesUnknown(ValueError):
    """A version that this release does not know. It is never guessed what it means."""

    def __init__(self, version: int, newest: int) -> None:
        super().__init__(f"this release is too old: it knows rules up to {newest}, not {version}")
        self.version, self.newest = version, newest


@dataclass(frozen=True, slots=True)
class Rules:
    """One version: what may stand in a block, what it does, and in which form its rows are hashed.

    A kind whose shape or rule changes has another class here under its name; the class of the version before stays.
    """

    version: int
    kinds: Mapping[str, type[RecordKind]]
    derived: Mapping[str, type[DerivedKind]]
    finals: Mapping[str, type[DerivedKind]]
    forms: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By table, the fields of its rows in this version, where they are not all that the row's class has by now."""
    checks: tuple[BatchCheck, ...] = ()
    """What this version asks of a batch beside what every version does."""

    def line(self, row: Row) -> bytes:
        """A row as this version's digests and states hold it: canonical `[table, id, row]` (DESIGN.md 2.4)."""
        form = self.forms.get(row.table)
        content = row if form is None else {name: getattr(row, name) for name in form}
        return encode([row.table, row.id, content])

    def line_of(self, line: bytes) -> bytes:
        """The same of a row that was written down with all its fields (`state_root.row_line`)."""
        table, name, row = decode(line)
        form = self.forms.get(table)
        return line if form is None else encode([table, name, {field: row[field] for field in form}])

    def has_made(self, body: RecordKind) -> bool:
        """Is the body parsed by this version? What waited while another one began must be parsed anew."""
        return self.kinds.get(body.kind) is type(body)


@dataclass(frozen=True, slots=True)
class Rulebook:
    """Every version that a release knows, from the first one on. A value: who needs it is given it."""

    versions: tuple[Rules, ...]

    def __post_init__(self) -> None:
        """Raise ValueError for a gap, or for a version that forgets what an earlier one has promised to do later."""
        numbers = [rules.version for rules in self.versions]
        if not numbers or numbers != list(range(FIRST_VERSION, FIRST_VERSION + len(numbers))):
            raise ValueError("a release knows every version of the rules from the first one on")
        for before, after in zip(self.versions, self.versions[1:], strict=False):
            lost = (before.derived.keys() - after.derived.keys()) | (before.finals.keys() - after.finals.keys())
            if lost:
                raise ValueError(f"timers and seals of version {before.version} still bring about {sorted(lost)}")

    @property
    def newest(self) -> int:
        """The highest version known."""
        return self.versions[-1].version

    def find(self, version: int) -> Rules:
        """The rules of a version. Raises RulesUnknown."""
        if not FIRST_VERSION <= version <= self.newest:
            raise RulesUnknown(version, self.newest)
        return self.versions[version - FIRST_VERSION]
