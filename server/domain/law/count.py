"""Who counts: owners by heads and by the area of their exclusive parts.

Judicial interpretation on partitioned ownership art. 8 and 9, Guiding rules art. 24 and 25. It must not know rows,
records or the ledger.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec


class Count(msgspec.Struct, frozen=True):
    """Owners counted both ways: heads, and the area of their exclusive parts in square centimetres."""

    heads: int = 0
    area_cm2: int = 0

    def plus(self, other: Count) -> Count:
        """The sum, each way by itself."""
        return Count(self.heads + other.heads, self.area_cm2 + other.area_cm2)


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


def sum_of(counts: Iterable[Count]) -> Count:
    """The sum of counts."""
    total = Count()
    for one in counts:
        total = total.plus(one)
    return total
