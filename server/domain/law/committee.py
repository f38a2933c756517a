"""The owners' committee: its size, its meetings, its signatures, and what it may not do while it changes over.

Shanghai provisions art. 20, 26, 28, 29; other places are alike.
"""

from __future__ import annotations

from server.domain.law.majority import is_more_than_half
from server.limits import DAY_MS

SIZE_MIN, SIZE_MIN_SMALL = 5, 3
SMALL_ESTATE_CM2 = 10_000 * 10_000
"""10,000 m2: up to here three members are enough."""
HAND_OVER_MS = 10 * DAY_MS
"""Seals, accounts and files are handed over within ten days (art. 29)."""
BARRED_IN_CHANGE_OVER = frozenset({"manager", "fee", "fund-use", "fund-raise", "rebuild", "common-use", "other"})
"""From the change-over group until the new committee: no hiring or firing, no fee change, no major repair, no other
major vote (art. 28). The election itself, rules of procedure and covenant are what the change-over is for."""


def is_valid_size(members: int, estate_cm2: int) -> bool:
    """Odd, and five at least; three where the estate has 10,000 m2 or less (art. 20; V17)."""
    least = SIZE_MIN_SMALL if estate_cm2 <= SMALL_ESTATE_CM2 else SIZE_MIN
    return members % 2 == 1 and members >= least


def is_quorate(present: int, members: int) -> bool:
    """A meeting needs more than half of the members present; nobody stands in for another (art. 26)."""
    return is_more_than_half(present, members)


def is_signed(signatures: int, members: int) -> bool:
    """A decision needs signatures of more than half of *all* members (art. 26; V17)."""
    return is_more_than_half(signatures, members)


def is_barred_in_change_over(matter: str, *, is_emergency: bool = False) -> bool:
    """May this not be put to the owners while the committee changes over? Emergencies may (art. 28, 73; V18)."""
    return matter.removeprefix("part-") in BARRED_IN_CHANGE_OVER and not is_emergency
