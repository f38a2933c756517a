"""Elections with several seats: each voter approves of as many candidates as there are seats, or fewer.

Elected is who has more than half of those who took part, by heads and by area (Civil Code 278, item 3; ordinary
majority), the most heads first, then the most area. Who stands even at the last seat is not elected, and neither is the
other: the seat stays open for another vote, for no statute lets a lot decide (design).
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from server.domain.law.count import Count
from server.domain.law.majority import Majority, has_majority


class Elected(msgspec.Struct, frozen=True):
    """Who is elected, in order; and who stands even at the last seat, which then stays open."""

    members: tuple[str, ...]
    even: tuple[str, ...] = ()


def elect(seats: int, participating: Count, totals: Mapping[str, Count]) -> Elected:
    """Fill `seats`. `totals`: by candidate, who approves of him; `participating`: who took part at all."""
    able = [one for one, total in totals.items() if has_majority(Majority.ORDINARY, participating, total)]
    ranked = sorted(able, key=lambda one: (-totals[one].heads, -totals[one].area_cm2))
    if len(ranked) <= seats:
        return Elected(tuple(ranked))
    last = totals[ranked[seats - 1]]
    even = tuple(one for one in ranked if totals[one] == last)
    ahead = tuple(one for one in ranked if _is_ahead(totals[one], last))
    return Elected(tuple(ranked[:seats])) if len(ahead) + len(even) == seats else Elected(ahead, even)


def _is_ahead(total: Count, other: Count) -> bool:
    return (total.heads, total.area_cm2) > (other.heads, other.area_cm2)
