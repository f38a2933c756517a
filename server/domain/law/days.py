"""Days as the law counts them (Civil Code 201 to 203), in China's time, which has had no summer time since 1991.

A day is its number since 1970-01-01. It must not know which days are holidays: the caller says.
"""

from __future__ import annotations

from collections.abc import Collection

from server.limits import DAY_MS, HOUR_MS

CHINA_MS = 8 * HOUR_MS
SATURDAY, DAYS_A_WEEK = 2, 7
"""1970-01-01 was a Thursday, so that day numbers 2 and 3 of each week are Saturday and Sunday."""


def day_of(time_ms: int) -> int:
    """The day in which a moment lies."""
    return (time_ms + CHINA_MS) // DAY_MS


def begin_of(day: int) -> int:
    """The first millisecond of a day."""
    return day * DAY_MS - CHINA_MS


def last_day(begin: int, days: int) -> int:
    """The last day of a term of `days`: the day on which it begins does not count (Civil Code 201; V16)."""
    return begin + days


def is_weekend(day: int) -> bool:
    """Is it a Saturday or a Sunday?"""
    return day % DAYS_A_WEEK in (SATURDAY, SATURDAY + 1)


def postponed(day: int, holidays: Collection[int], worked: Collection[int] = ()) -> int:
    """A last day on a public holiday is the next working day (Civil Code 203).

    `holidays` are public holidays, `worked` weekend days that are worked in exchange.
    """
    while day in holidays or (is_weekend(day) and day not in worked):
        day += 1
    return day


def is_noticed(announced_ms: int, opens_ms: int, days: int) -> bool:
    """Have `days` of notice passed when voting opens? The earliest opening is on the last day of the term (V16)."""
    return days == 0 or day_of(opens_ms) >= last_day(day_of(announced_ms), days)


def is_noticed_amply(announced_ms: int, opens_ms: int, days: int) -> bool:
    """Is the whole last day over? Below that a careful committee is warned (V16)."""
    return day_of(opens_ms) > last_day(day_of(announced_ms), days)
