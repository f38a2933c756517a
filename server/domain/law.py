"""The law of owners' votes as integer formulas: who counts, quorum, majority, result, and what is still missing.

Civil Code 278 and 1259 (以上 includes the number, 过半数 does not), Judicial interpretation on partitioned ownership
art. 8 and 9. Nothing here compares a rounded percentage. It must not know rows, records or the ledger.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence

import msgspec


class Count(msgspec.Struct, frozen=True):
    """Owners counted both ways: heads, and the area of their exclusive parts in square centimetres."""

    heads: int = 0
    area_cm2: int = 0

    def plus(self, other: Count) -> Count:
        """The sum, each way by itself."""
        return Count(self.heads + other.heads, self.area_cm2 + other.area_cm2)


class Majority(enum.Enum):
    """What the participating owners must agree with."""

    ORDINARY = "ordinary"
    """More than half (Civil Code 278, items 1 to 5 and 9)."""
    SPECIAL = "special"
    """Three quarters or more (Civil Code 278, items 6 to 8)."""


class Result(enum.Enum):
    """What became of a question. A missed quorum is told apart from a missed majority."""

    PASSED = "passed"
    NOT_PASSED = "not_passed"
    NO_QUORUM = "no_quorum"
    UNDETERMINED = "undetermined"
    """The number of heads or the total area of the electorate is not known: never "passed"."""


def is_two_thirds(part: int, whole: int) -> bool:
    """三分之二以上: 3 part >= 2 whole."""
    return 3 * part >= 2 * whole


def is_more_than_half(part: int, whole: int) -> bool:
    """过半数: 2 part > whole."""
    return 2 * part > whole


def is_three_quarters(part: int, whole: int) -> bool:
    """四分之三以上: 4 part >= 3 whole."""
    return 4 * part >= 3 * whole


def has_quorum(electorate: Count, participating: Count) -> bool:
    """Did two thirds or more take part, by heads and by area?"""
    return is_two_thirds(participating.heads, electorate.heads) and is_two_thirds(
        participating.area_cm2, electorate.area_cm2
    )


def has_majority(majority: Majority, participating: Count, agreeing: Count) -> bool:
    """Do enough of the participating owners agree, by heads and by area? Abstentions take part and do not agree."""
    enough = is_more_than_half if majority is Majority.ORDINARY else is_three_quarters
    return enough(agreeing.heads, participating.heads) and enough(agreeing.area_cm2, participating.area_cm2)


def result_of(majority: Majority, electorate: Count, participating: Count, agreeing: Count) -> Result:
    """The result of a question; a total of 0 in the electorate means that it is not known."""
    if electorate.heads <= 0 or electorate.area_cm2 <= 0:
        return Result.UNDETERMINED
    if not has_quorum(electorate, participating):
        return Result.NO_QUORUM
    return Result.PASSED if has_majority(majority, participating, agreeing) else Result.NOT_PASSED


def quorum_min(whole: int) -> int:
    """The least part that is two thirds or more."""
    return -(-2 * whole // 3)


def majority_min(majority: Majority, whole: int) -> int:
    """The least part that is an ordinary or a special majority of `whole` participating."""
    return whole // 2 + 1 if majority is Majority.ORDINARY else -(-3 * whole // 4)


def missing_to_quorum(electorate: Count, participating: Count) -> Count:
    """How many heads and how much area must still take part; both 0 once there is a quorum."""
    return Count(
        max(0, quorum_min(electorate.heads) - participating.heads),
        max(0, quorum_min(electorate.area_cm2) - participating.area_cm2),
    )


class Rounding(enum.Enum):
    """How a percentage is shown; exports name it, because sources differ (law.md V1, V2). Never used to decide."""

    DOWN = "ROUND_DOWN"
    HALF_UP = "ROUND_HALF_UP"


def percentage(part: int, whole: int, rounding: Rounding = Rounding.DOWN, places: int = 2) -> str:
    """A share for display, such as `95.91%`; `-` when the whole is 0. `part` and `whole` are not negative."""
    if whole == 0:
        return "-"
    scaled = part * 100 * 10**places
    half = whole if rounding is Rounding.HALF_UP else 0
    units = (2 * scaled + half) // (2 * whole)
    whole_percent, fraction = divmod(units, 10**places)
    return f"{whole_percent}.{fraction:0{places}d}%" if places else f"{whole_percent}%"


class Unit(msgspec.Struct, frozen=True):
    """An exclusive part and its owners' ids: registered, or in lawful possession by purchase."""

    id: str
    owners: tuple[str, ...]
    area_cm2: int


class OwnerHead(msgspec.Struct, frozen=True):
    """One head: a distinct set of buyers, with all the units it owns and their area."""

    owners: tuple[str, ...]
    units: tuple[str, ...]
    area_cm2: int


def heads_of(units: Iterable[Unit]) -> tuple[OwnerHead, ...]:
    """The heads of units, in the order of their first unit's id, whatever order the units come in.

    One head a buyer set: a buyer of several parts is one, a developer with all unsold parts is one (interpretation
    art. 9), co-owners of a part are one together (Guiding rules art. 25). Raises ValueError for a unit that stands
    twice, has no owner, or a negative area.
    """
    owned: dict[tuple[str, ...], list[Unit]] = {}
    seen: set[str] = set()
    for unit in sorted(units, key=lambda unit: unit.id):
        if unit.id in seen:
            raise ValueError(f"unit {unit.id} stands twice")
        if not unit.owners or unit.area_cm2 < 0:
            raise ValueError(f"unit {unit.id} has no owner, or its area is negative")
        seen.add(unit.id)
        owned.setdefault(tuple(sorted(set(unit.owners))), []).append(unit)
    return tuple(
        OwnerHead(owners, tuple(unit.id for unit in parts), sum(unit.area_cm2 for unit in parts))
        for owners, parts in owned.items()
    )


def count_heads(heads: Iterable[OwnerHead]) -> Count:
    """Heads and area of an electorate."""
    areas = [head.area_cm2 for head in heads]
    return Count(len(areas), sum(areas))


def owners_of_several_heads(heads: Sequence[OwnerHead]) -> tuple[str, ...]:
    """Owners who stand in more than one head (A owns one part, A and B another): for the committee's ruling."""
    times: dict[str, int] = {}
    for head in heads:
        for owner in head.owners:
            times[owner] = times.get(owner, 0) + 1
    return tuple(sorted(owner for owner, number in times.items() if number > 1))
