"""Silence: what owners who were served and did not vote count as, where the rules of procedure say so.

(2022) Hu 02 Min Chu 16: "whoever was served takes part, and who did not vote agrees with the majority of those who did"
holds if the ballot was really delivered, the topics and the consequence were told. Both clauses are the estate's own;
the statute has none. Without proof of delivery nobody is deemed to do anything (law.md V12).
"""

from __future__ import annotations

import enum
from collections.abc import Mapping

import msgspec

from server.domain.law.count import Count
from server.domain.law.majority import is_more_than_half


class Silence(enum.Enum):
    """What the rules of procedure say of an owner who was served and did not vote."""

    ABSENT = "absent"
    """He does not take part."""
    PARTICIPATES = "participates"
    """He takes part, and agrees with nothing."""
    FOLLOWS = "follows"
    """He takes part, and agrees with what most of those who voted chose, by heads and by area."""


class Deemed(msgspec.Struct, frozen=True):
    """A count with the silent in it: who took part, and what each choice has."""

    participating: Count
    totals: Mapping[str, Count]
    followed: str
    """The choice that the silent are counted with; empty where they are with none."""


def count_silent(silence: Silence, participating: Count, totals: Mapping[str, Count], silent: Count) -> Deemed:
    """Add the silent to what was cast. `silent`: owners with proof of delivery whose ballot was not cast.

    `participating` are those who voted; `totals` by choice. A majority that heads have and area has not is none.
    """
    if silence is Silence.ABSENT or silent == Count():
        return Deemed(participating, dict(totals), "")
    all_of_them = participating.plus(silent)
    followed = _majority_of(participating, totals) if silence is Silence.FOLLOWS else ""
    counted = {choice: total.plus(silent) if choice == followed else total for choice, total in totals.items()}
    return Deemed(all_of_them, counted, followed)


def _majority_of(participating: Count, totals: Mapping[str, Count]) -> str:
    """What more than half of those who voted chose, by heads and by area alike; empty where nothing did."""
    for choice, total in totals.items():
        by_heads = is_more_than_half(total.heads, participating.heads)
        if by_heads and is_more_than_half(total.area_cm2, participating.area_cm2):
            return choice
    return ""
