"""Shares as people read them. Sources round differently (law.md V1, V2), so an export names its way; nothing is decided
by a rounded number.
"""

from __future__ import annotations

import enum


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
