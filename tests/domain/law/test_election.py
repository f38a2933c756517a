"""Elections with several seats: more than half by heads and by area, and no lots."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from server.domain.law.count import Count
from server.domain.law.election import Elected, elect

TOOK_PART = Count(100, 10_000)


def test_who_has_more_than_half_by_heads_and_by_area_is_elected_the_most_heads_first() -> None:
    totals = {"a": Count(60, 6_000), "b": Count(51, 5_001), "c": Count(80, 5_100), "d": Count(90, 5_000)}
    assert elect(3, TOOK_PART, totals) == Elected(("c", "a", "b"))


def test_seats_stay_empty_rather_than_go_to_who_lacks_a_majority() -> None:
    assert elect(3, TOOK_PART, {"a": Count(50, 9_000), "b": Count(51, 9_000)}) == Elected(("b",))


def test_with_more_majorities_than_seats_the_most_heads_win_then_the_most_area() -> None:
    totals = {"a": Count(60, 6_000), "b": Count(60, 6_100), "c": Count(61, 5_500)}
    assert elect(2, TOOK_PART, totals) == Elected(("c", "b"))


def test_who_is_even_at_the_last_seat_is_not_elected_and_the_seat_stays_open() -> None:
    totals = {"a": Count(70, 7_000), "b": Count(60, 6_000), "c": Count(60, 6_000)}
    assert elect(2, TOOK_PART, totals) == Elected(("a",), ("b", "c"))
    assert elect(3, TOOK_PART, totals) == Elected(("a", "b", "c"))


TOTALS = st.dictionaries(
    st.sampled_from("abcdef"), st.builds(Count, st.integers(0, 20), st.integers(0, 30)), min_size=1
)


@given(st.integers(1, 4), TOTALS)
def test_a_naive_count_of_an_election_agrees(seats: int, totals: dict[str, Count]) -> None:
    part = Count(20, 30)
    half = Fraction(1, 2)
    able = {
        one
        for one, total in totals.items()
        if Fraction(total.heads, part.heads) > half and Fraction(total.area_cm2, part.area_cm2) > half
    }
    elected = elect(seats, part, totals)
    assert set(elected.members) <= able and len(elected.members) <= seats
    better = {
        one: sum(
            (totals[other].heads, totals[other].area_cm2) > (totals[one].heads, totals[one].area_cm2) for other in able
        )
        for one in able
    }
    alike = {one: sum(totals[other] == totals[one] for other in able) for one in able}
    assert set(elected.members) == {one for one in able if better[one] + alike[one] <= seats}
    assert set(elected.even) == {one for one in able if better[one] < seats < better[one] + alike[one]}
