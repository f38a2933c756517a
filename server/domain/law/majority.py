"""Quorum, majority and result, as integer formulas, and what is still missing.

Civil Code 278 and 1259: 以上 includes the number, 过半数 does not. Nothing here compares a rounded percentage. It must
not know rows, records or the ledger.
"""

from __future__ import annotations

import enum

from server.domain.law.count import Count


class Majority(enum.Enum):
    """What the participating owners must agree with."""

    ORDINARY = "ordinary"
    """More than half (Civil Code 278, items 1 to 5 and 9)."""
    SPECIAL = "special"
    """Three quarters or more (Civil Code 278, items 6 to 8)."""
    ALL = "all"
    """Every interested owner, taking part or not: a home for business use (Civil Code 279; interpretation art. 10)."""


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
    pairs = ((agreeing.heads, participating.heads), (agreeing.area_cm2, participating.area_cm2))
    return all(_is_enough(majority, part, whole) for part, whole in pairs)


def _is_enough(majority: Majority, part: int, whole: int) -> bool:
    if majority is Majority.ALL:
        return 0 < whole == part
    return is_more_than_half(part, whole) if majority is Majority.ORDINARY else is_three_quarters(part, whole)


def result_of(majority: Majority, electorate: Count, participating: Count, agreeing: Count) -> Result:
    """The result of a question; a total of 0 in the electorate means that it is not known.

    Where all must agree, who did not take part did not agree.
    """
    if electorate.heads <= 0 or electorate.area_cm2 <= 0:
        return Result.UNDETERMINED
    if not has_quorum(electorate, participating):
        return Result.NO_QUORUM
    of_whom = electorate if majority is Majority.ALL else participating
    return Result.PASSED if has_majority(majority, of_whom, agreeing) else Result.NOT_PASSED


def quorum_min(whole: int) -> int:
    """The least part that is two thirds or more."""
    return -(-2 * whole // 3)


def majority_min(majority: Majority, whole: int) -> int:
    """The least part that is enough of `whole` participating (of the whole electorate where all must agree)."""
    if majority is Majority.ALL:
        return whole
    return whole // 2 + 1 if majority is Majority.ORDINARY else -(-3 * whole // 4)
