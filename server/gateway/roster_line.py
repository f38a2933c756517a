"""One line of a roster: from its cells to a typed line, or to everything that is wrong with it. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from fractions import Fraction
from typing import TypeVar

from server.gateway.identity_number import IdentityKind
from server.gateway.roster_cells import (
    Cell,
    Fault,
    Unreadable,
    read_area,
    read_home,
    read_identity,
    read_note,
    read_owner,
    read_phone,
    read_share,
)

Value = TypeVar("Value")


class Column(StrEnum):
    """The columns that a roster may have."""

    BUILDING = "building"
    UNIT = "unit"
    ROOM = "room"
    OWNER = "owner"
    ID_KIND = "id_kind"
    ID_NUMBER = "id_number"
    PHONE = "phone"
    AREA = "area"
    SHARE = "share"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class RosterLine:
    """One owner of one home. Area in cm2; the share in lowest terms; `phone` and `note` empty when not given."""

    line: int
    building: str
    room: str
    owner: str
    id_kind: IdentityKind
    id_number: str
    phone: str
    area_cm2: int
    share_numerator: int
    share_denominator: int
    note: str

    @property
    def share(self) -> Fraction:
        """The share of the home, 0 < share <= 1."""
        return Fraction(self.share_numerator, self.share_denominator)


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that cannot be taken, with everything that was found wrong, the first one first."""

    line: int
    faults: tuple[Fault, ...]

    @property
    def reason(self) -> str:
        """The sentence of the first fault."""
        return self.faults[0].value


def read_line(cells: Mapping[Column, Cell], line: int, today: date) -> RosterLine | BadLine:
    """Read one line of a roster.

    Args:
        cells: the line's cells by column; a column that the sheet has not is absent.
        line: the row of the sheet, counted from 1.
        today: decides which birth dates lie in the future.

    Returns: the line, or all its faults in the order of the columns.
    """
    faults: list[Fault] = []
    home = _attempt(faults, lambda: _read_home(cells))
    owner = _attempt(faults, lambda: read_owner(cells.get(Column.OWNER)))
    identity = _attempt(faults, lambda: read_identity(cells.get(Column.ID_KIND), cells.get(Column.ID_NUMBER), today))
    phone = _attempt(faults, lambda: read_phone(cells.get(Column.PHONE)))
    area_cm2 = _attempt(faults, lambda: read_area(cells.get(Column.AREA)))
    share = _attempt(faults, lambda: read_share(cells.get(Column.SHARE)))
    note = _attempt(faults, lambda: read_note(cells.get(Column.NOTE)))
    if faults:
        return BadLine(line, tuple(faults))
    # No fault, so every cell was read; the checker of types cannot see that.
    assert home
    assert owner
    assert identity
    assert area_cm2
    assert share
    return RosterLine(line, *home, owner, *identity, phone or "", area_cm2, *share.as_integer_ratio(), note or "")


def _read_home(cells: Mapping[Column, Cell]) -> tuple[str, str]:
    return read_home(
        cells.get(Column.BUILDING),
        cells.get(Column.UNIT),
        cells.get(Column.ROOM),
        building_expected=Column.BUILDING in cells,
    )


def _attempt(faults: list[Fault], read: Callable[[], Value]) -> Value | None:
    try:
        return read()
    except Unreadable as unreadable:
        faults.append(unreadable.fault)
        return None
