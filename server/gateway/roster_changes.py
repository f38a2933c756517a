"""What a new roster changes against an old one: the preview that is shown before anything is applied. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from server.gateway.roster_homes import Roster
from server.gateway.roster_line import RosterLine


class ChangeKind(StrEnum):
    """What happened to a home or to one of its owners."""

    HOME_ADDED = "home_added"
    HOME_REMOVED = "home_removed"
    AREA_CHANGED = "area_changed"
    OWNER_ADDED = "owner_added"
    OWNER_REMOVED = "owner_removed"
    NAME_CHANGED = "name_changed"
    SHARE_CHANGED = "share_changed"
    PHONE_CHANGED = "phone_changed"
    DOCUMENT_KIND_CHANGED = "document_kind_changed"


@dataclass(frozen=True, slots=True)
class Change:
    """One difference. Exactly the lines it concerns: `old` is None for something added, `new` for something removed."""

    kind: ChangeKind
    room: str
    old: RosterLine | None
    new: RosterLine | None


def compare_rosters(old: Roster, new: Roster) -> tuple[Change, ...]:
    """Return all differences between the good lines of two rosters, by room, then owner.

    An owner is the same when room and document number are. Notes, and the order of lines, are no difference.
    """
    before, after = _by_room(old), _by_room(new)
    return tuple(
        change
        for room in sorted(before.keys() | after.keys())
        for change in _compare_homes(room, before.get(room, {}), after.get(room, {}))
    )


def _by_room(roster: Roster) -> dict[str, dict[str, RosterLine]]:
    rooms: dict[str, dict[str, RosterLine]] = {}
    for line in roster.good:
        rooms.setdefault(line.room, {})[line.id_number] = line
    return rooms


def _compare_homes(room: str, old: dict[str, RosterLine], new: dict[str, RosterLine]) -> Iterator[Change]:
    if not old:
        yield Change(ChangeKind.HOME_ADDED, room, None, next(iter(new.values())))
    elif not new:
        yield Change(ChangeKind.HOME_REMOVED, room, next(iter(old.values())), None)
    else:
        yield from _compare_area(room, next(iter(old.values())), next(iter(new.values())))
    for number in sorted(old.keys() | new.keys()):
        yield from _compare_owners(room, old.get(number), new.get(number))


def _compare_area(room: str, old: RosterLine, new: RosterLine) -> Iterator[Change]:
    if old.area_cm2 != new.area_cm2:
        yield Change(ChangeKind.AREA_CHANGED, room, old, new)


def _compare_owners(room: str, old: RosterLine | None, new: RosterLine | None) -> Iterator[Change]:
    if old is None or new is None:
        yield Change(ChangeKind.OWNER_ADDED if old is None else ChangeKind.OWNER_REMOVED, room, old, new)
        return
    differences = {
        ChangeKind.NAME_CHANGED: old.owner != new.owner,
        ChangeKind.SHARE_CHANGED: old.share != new.share,
        ChangeKind.PHONE_CHANGED: old.phone != new.phone,
        ChangeKind.DOCUMENT_KIND_CHANGED: old.id_kind != new.id_kind,
    }
    yield from (Change(kind, room, old, new) for kind, differs in differences.items() if differs)
