"""The lines of a roster seen together: repeated lines, contradictions within a home, shares that make one. Pure.

Order of the checks, each on what the one before has left: a home's area (the commonest one stands, the earliest on a
tie), an owner's name, repeated owners, and last the sum of the shares: only good owners count in it, so a home one of
whose owners cannot be read is not taken with the others alone.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from server.gateway.identity_number import IdentityKind, NumberFault, check_company_code
from server.gateway.roster_cells import CM2_IN_M2, LineFault
from server.gateway.roster_line import BadLine, RosterLine


@dataclass(frozen=True, slots=True)
class Notice:
    """Something odd about a good line that a person should look at; it hinders nothing."""

    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class Roster:
    """What a roster file says, every line of it in exactly one of good, duplicates and bad, each in sheet order."""

    good: tuple[RosterLine, ...]
    duplicates: tuple[int, ...]
    bad: tuple[BadLine, ...]
    notices: tuple[Notice, ...]

    @property
    def homes(self) -> int:
        """Number of different homes with good lines."""
        return len({line.room for line in self.good})

    @property
    def owners(self) -> int:
        """Number of different documents among the good lines: a person with two homes counts once."""
        return len({line.id_number for line in self.good})

    @property
    def total_area_cm2(self) -> int:
        """Area of all homes with good lines, each counted once."""
        return sum({line.room: line.area_cm2 for line in self.good}.values())

    def summary(self) -> dict[str, object]:
        """Return the JSON object of `scripts/roster.py check --json`; the area in m2 with two decimals, halves up."""
        hundredths = (self.total_area_cm2 * 2 + CM2_IN_M2 // 100) // (2 * (CM2_IN_M2 // 100))
        return {
            "good_lines": len(self.good),
            "duplicate_lines": len(self.duplicates),
            "bad_lines": [{"line": bad.line, "reason": bad.reason} for bad in self.bad],
            "homes": self.homes,
            "owners": self.owners,
            "total_area": f"{hundredths // 100}.{hundredths % 100:02d}",
        }


def check_homes(lines: Iterable[RosterLine | BadLine]) -> Roster:
    """Sort the lines of a roster, in sheet order, into good, duplicate and bad ones."""
    read: list[RosterLine] = []
    bad: list[BadLine] = []
    for line in lines:
        if isinstance(line, BadLine):
            bad.append(line)
        else:
            read.append(line)
    good = _keep_commonest(read, _room_of, lambda line: line.area_cm2, LineFault.AREA_DIFFERS, bad)
    good = _keep_commonest(good, lambda line: line.id_number, _owner_of, LineFault.OWNER_NAME_DIFFERS, bad)
    good, duplicates = _drop_repeated(good, bad)
    good = _keep_whole_homes(good, bad)
    bad.sort(key=lambda line: line.line)
    return Roster(tuple(good), duplicates, tuple(bad), tuple(_find_notices(good)))


def _room_of(line: RosterLine) -> str:
    return line.room


def _owner_of(line: RosterLine) -> str:
    return line.owner.casefold()


def _group(lines: Sequence[RosterLine], key: Callable[[RosterLine], str]) -> Mapping[str, list[RosterLine]]:
    groups: dict[str, list[RosterLine]] = defaultdict(list)
    for line in lines:
        groups[key(line)].append(line)
    return groups


def _keep_commonest(
    lines: Sequence[RosterLine],
    key: Callable[[RosterLine], str],
    value: Callable[[RosterLine], Hashable],
    fault: LineFault,
    bad: list[BadLine],
) -> list[RosterLine]:
    """Within the lines of one key keep those with the commonest value (the earliest on a tie); the others are bad."""
    commonest = {
        name: Counter(value(line) for line in group).most_common(1)[0][0] for name, group in _group(lines, key).items()
    }
    bad.extend(BadLine(line.line, (fault,)) for line in lines if value(line) != commonest[key(line)])
    return [line for line in lines if value(line) == commonest[key(line)]]


def _drop_repeated(lines: Sequence[RosterLine], bad: list[BadLine]) -> tuple[list[RosterLine], tuple[int, ...]]:
    """Keep the first line of an owner in a home; the same again is a duplicate, a different one a contradiction."""
    first: dict[tuple[str, str], RosterLine] = {}
    duplicates: list[int] = []
    for line in lines:
        kept = first.setdefault((line.room, line.id_number), line)
        if kept is line:
            continue
        if (kept.share, kept.phone) == (line.share, line.phone):
            duplicates.append(line.line)
        else:
            bad.append(BadLine(line.line, (LineFault.OWNER_REPEATED,)))
    return list(first.values()), tuple(duplicates)


def _keep_whole_homes(lines: Sequence[RosterLine], bad: list[BadLine]) -> list[RosterLine]:
    shares = {room: sum((line.share for line in group), Fraction(0)) for room, group in _group(lines, _room_of).items()}
    bad.extend(BadLine(line.line, (LineFault.SHARES_NOT_WHOLE,)) for line in lines if shares[line.room] != 1)
    return [line for line in lines if shares[line.room] == 1]


def _find_notices(good: Sequence[RosterLine]) -> list[Notice]:
    return [
        Notice(line.line, NumberFault.COMPANY_CHECK_DIGIT.value)
        for line in good
        if line.id_kind is IdentityKind.COMPANY and check_company_code(line.id_number)
    ]
