"""Silence: what the served who did not vote count as (law.md V12)."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.domain.law.count import Count, sum_of
from server.domain.law.deemed import Silence, count_silent
from server.domain.law.majority import Majority, Result, result_of
from server.domain.law.share import percentage

ORDINARY = Majority.ORDINARY


def homes(heads: int) -> Count:
    """So many homes of 100 m2."""
    return Count(heads, heads * 1_000_000)


def decide(silence: Silence, yes: int, no: int, silent: int) -> tuple[Result, str]:
    """The result of V12's estate of 100 homes, and the share that agrees."""
    totals = {"for": homes(yes), "against": homes(no)}
    deemed = count_silent(silence, homes(yes + no), totals, homes(silent))
    agreeing = deemed.totals["for"]
    share = percentage(agreeing.heads, deemed.participating.heads)
    return result_of(ORDINARY, homes(100), deemed.participating, agreeing), share


def test_v12_without_a_clause_the_silent_are_absent() -> None:
    assert decide(Silence.ABSENT, 25, 15, 50)[0] is Result.NO_QUORUM


def test_v12_with_both_clauses_the_served_follow_the_majority_of_those_who_voted() -> None:
    """Delivered 90, cast 40: 25 + 50 of 90."""
    assert decide(Silence.FOLLOWS, 25, 15, 50) == (Result.PASSED, "83.33%")


def test_v12_with_the_first_clause_alone_they_take_part_and_agree_with_nothing() -> None:
    assert decide(Silence.PARTICIPATES, 25, 15, 50) == (Result.NOT_PASSED, "27.77%")


def test_v12_where_no_choice_has_a_majority_the_silent_follow_nobody() -> None:
    assert decide(Silence.FOLLOWS, 20, 20, 50)[0] is Result.NOT_PASSED


def test_v12_a_majority_of_heads_that_area_does_not_have_is_none() -> None:
    totals = {"for": Count(25, 10_000_000), "against": Count(15, 30_000_000)}
    deemed = count_silent(Silence.FOLLOWS, Count(40, 40_000_000), totals, homes(50))
    assert (deemed.followed, deemed.totals) == ("", totals)
    assert deemed.participating == Count(90, 90_000_000)


def test_v12_a_home_without_proof_of_delivery_is_never_deemed() -> None:
    """The caller counts only the served among the silent: with none of them nothing changes."""
    totals = {"for": homes(25), "against": homes(15)}
    assert count_silent(Silence.FOLLOWS, homes(40), totals, Count()).totals == totals


COUNTS = st.builds(Count, st.integers(0, 50), st.integers(0, 10**6))


@given(st.sampled_from(Silence), st.lists(COUNTS, min_size=2, max_size=4), COUNTS)
def test_a_naive_recount_of_the_silent_agrees(silence: Silence, counts: list[Count], silent: Count) -> None:
    totals = {f"c{number}": count for number, count in enumerate(counts)}
    cast = sum_of(counts)
    deemed = count_silent(silence, cast, totals, silent)
    wins = [
        choice
        for choice, count in totals.items()
        if cast.heads and cast.area_cm2
        and Fraction(count.heads, cast.heads) > Fraction(1, 2)
        and Fraction(count.area_cm2, cast.area_cm2) > Fraction(1, 2)
    ]  # fmt: skip
    follows = wins[0] if wins and silence is Silence.FOLLOWS and silent != Count() else ""
    assert deemed.followed == follows
    extra = Count() if silence is Silence.ABSENT else silent
    assert deemed.participating == cast.plus(extra)
    assert deemed.totals == {one: total.plus(silent) if one == follows else total for one, total in totals.items()}


@pytest.mark.parametrize("silence", Silence)
def test_nobody_silent_changes_nothing(silence: Silence) -> None:
    totals = {"for": homes(3), "against": homes(1)}
    assert count_silent(silence, homes(4), totals, Count()) == count_silent(Silence.ABSENT, homes(4), totals, Count())
