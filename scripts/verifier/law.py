"""The law of owners' votes: what a question's totals come to. Civil Code 278 and 1259 in whole numbers.

Written from the statute: two thirds or more (以上 includes the number) take part, by heads and by area; then more than
half (过半数) or three quarters or more (四分之三以上) of those who take part agree, again by both.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

FOR, AGAINST, ABSTAIN = "for", "against", "abstain"
SPECIAL = frozenset({"fund-raise", "rebuild", "common-use"})
"""Civil Code 278, items 6 to 8."""
ORDINARY = frozenset({"procedure-rules", "covenant", "committee", "manager", "fund-use", "other"})
"""Civil Code 278, items 1 to 5 and 9."""
ALL = frozenset({"home-business"})
"""Civil Code 279: every interested owner."""
_SHANGHAI_SPECIAL = SPECIAL | {"part-fund-raise", "part-rebuild"}
_SHANGHAI_ORDINARY = ORDINARY | {"area-change", "self-management", "part-fund-use", "part-other"}
_PACKS = {
    "beijing@2025-04-01": (ORDINARY, SPECIAL),
    "civil-code@2021-01-01": (ORDINARY, SPECIAL),
    "hangzhou@2025-04-01": (ORDINARY, SPECIAL),
    "rehearsal@2026-11-01": (_SHANGHAI_ORDINARY, _SHANGHAI_SPECIAL),
    "shanghai@2020-12-30": (_SHANGHAI_ORDINARY, _SHANGHAI_SPECIAL),
    "weifang@2025-04-01": (ORDINARY, SPECIAL),
}
NOTICE_DAYS = {reference: 0 if reference.startswith("rehearsal@") else 15 for reference in _PACKS}
"""Days between the announcement and the opening, the first not counted (Regulations art. 14; Civil Code 201)."""


class Count(NamedTuple):
    """Owners counted both ways."""

    heads: int = 0
    area_cm2: int = 0

    def plus(self, other: Count) -> Count:
        """The sum, each way by itself."""
        return Count(self.heads + other.heads, self.area_cm2 + other.area_cm2)

    def __str__(self) -> str:
        return f"{self.heads} heads, {self.area_cm2 / 10_000:,.2f} m2"


def result_of(
    matter: tuple[str, str], electorate: Count, totals: Mapping[str, Count], part: Count | None = None, seats: int = 0
) -> str:
    """The result in words. `matter`: rule pack and matter; `totals` by choice, void ballots left out (law.md 1).

    `part`: who took part, where ballots may be under several choices; `seats` of an election.
    """
    if part is None:
        part = Count(sum(one.heads for one in totals.values()), sum(one.area_cm2 for one in totals.values()))
    if 0 in electorate:
        return "undetermined"
    if not all(3 * some >= 2 * whole for some, whole in zip(part, electorate, strict=True)):
        return "no quorum"
    ordinary, special = _PACKS.get(matter[0], (frozenset(), frozenset()))
    if matter[1] not in ordinary | special | ALL:
        return f"NOT CHECKED: the majority for {'/'.join(matter)} is not known here"
    if seats:
        elected = _elect(seats, part, {one: total for one, total in totals.items() if one != ABSTAIN})
        return f"elected: {', '.join(elected)}" if elected else "nobody elected"
    candidates = [FOR] if FOR in totals else [choice for choice in totals if choice != ABSTAIN]
    if matter[1] in ALL:
        chosen = next((one for one in candidates if totals[one] == electorate), "")
    else:
        chosen = next((one for one in candidates if _agree(totals[one], part, matter[1] in special)), "")
    if not chosen:
        return "not passed"
    return "passed" if chosen == FOR else f"passed: {chosen}"


def with_silent(
    silence: str, totals: Mapping[str, Count], part: Count, silent: Count
) -> tuple[dict[str, Count], Count]:
    """The totals and who took part, with the silent in them ((2022) Hu 02 Min Chu 16): they take part, and where they
    follow they are with what more than half of those who voted chose, both ways."""
    winner = ""
    if silence == "follows":
        winner = next((one for one, total in totals.items() if _agree(total, part, False)), "")
    return {one: total.plus(silent) if one == winner else total for one, total in totals.items()}, part.plus(silent)


def _elect(seats: int, part: Count, totals: Mapping[str, Count]) -> list[str]:
    """Who has more than half both ways, the most heads first, then area; of those even at the last seat nobody."""
    able = [one for one in totals if _agree(totals[one], part, False)]
    in_order = sorted(able, key=lambda one: (-totals[one].heads, -totals[one].area_cm2))
    if len(in_order) <= seats or totals[in_order[seats - 1]] != totals[in_order[seats]]:
        return in_order[:seats]
    return [one for one in in_order if totals[one] > totals[in_order[seats]]]


def _agree(agreeing: Count, part: Count, is_special: bool) -> bool:
    pairs = list(zip(agreeing, part, strict=True))
    return all(4 * some >= 3 * whole for some, whole in pairs) if is_special else all(2 * a > b for a, b in pairs)
