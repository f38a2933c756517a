"""The law's formulas: the worked examples of real votes, and a naive recount with fractions."""

from __future__ import annotations

import itertools
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.domain.law.count import Count, OwnerHead, Unit, count_heads, heads_of, owners_of_several_heads
from server.domain.law.majority import (
    Majority,
    Result,
    has_majority,
    has_quorum,
    is_two_thirds,
    majority_min,
    quorum_min,
    result_of,
)
from server.domain.law.margin import missing_to_quorum
from server.domain.law.share import Rounding, percentage

ORDINARY, SPECIAL = Majority.ORDINARY, Majority.SPECIAL


def equal_homes(heads: int) -> Count:
    """So many owners of 100 m2 each."""
    return Count(heads, heads * 1_000_000)


def test_v1_a_press_report_is_undetermined_without_the_electorate() -> None:
    """景城品雅苑: 35 online and 14 on paper, 47 of 49 agree; the press prints the truncated percentage."""
    participating, agreeing = Count(35 + 14, 0), Count(47, 0)
    assert result_of(ORDINARY, Count(), participating, agreeing) is Result.UNDETERMINED
    assert [percentage(yes, 49) for yes in (46, 47, 48)] == ["93.87%", "95.91%", "97.95%"]
    assert percentage(47, 49, Rounding.HALF_UP) == "95.92%"
    assert is_two_thirds(49, 73)
    assert not is_two_thirds(49, 74)


def test_v2_a_city_report_rounds_half_up() -> None:
    """上海: 905 of 1,152 owners and 93,449.08 of 124,799.30 m2 returned a ballot."""
    electorate, participating = Count(1_152, 1_247_993_000), Count(905, 934_490_800)
    assert percentage(905, 1_152, Rounding.HALF_UP) == "78.56%"
    assert percentage(905, 1_152) == "78.55%"
    assert percentage(participating.area_cm2, electorate.area_cm2, Rounding.HALF_UP) == "74.88%"
    assert percentage(participating.area_cm2, electorate.area_cm2) == "74.87%"
    assert has_quorum(electorate, participating)
    assert quorum_min(1_152) == 768


@pytest.mark.parametrize(("garages_cm2", "holds"), [(153_743_200, True), (153_743_300, False)])
def test_v2b_garages_that_do_not_vote_can_cost_the_quorum(garages_cm2: int, holds: bool) -> None:
    electorate = Count(1_152, 1_247_993_000 + garages_cm2)
    assert has_quorum(electorate, Count(905, 934_490_800)) is holds


def test_v3_an_unknown_area_leaves_the_result_open() -> None:
    """链通万家: 36 of 44 voted, 35 agree, 1 abstains; the area is not known."""
    assert result_of(ORDINARY, Count(44, 0), Count(36, 0), Count(35, 0)) is Result.UNDETERMINED
    assert (percentage(36, 44), percentage(35, 36)) == ("81.81%", "97.22%")


@pytest.mark.parametrize(
    ("took_part", "agree", "result"),
    [(66, 66, Result.NO_QUORUM), (67, 34, Result.PASSED), (67, 33, Result.NOT_PASSED)],
)
def test_v4_a_hundred_owners(took_part: int, agree: int, result: Result) -> None:
    assert result_of(ORDINARY, equal_homes(100), equal_homes(took_part), equal_homes(agree)) is result


@pytest.mark.parametrize(("agree", "result"), [(33, Result.NOT_PASSED), (34, Result.PASSED)])
def test_v5_exactly_two_thirds_is_a_quorum_and_exactly_half_is_no_majority(agree: int, result: Result) -> None:
    assert result_of(ORDINARY, equal_homes(99), equal_homes(66), equal_homes(agree)) is result


@pytest.mark.parametrize(("agree", "result"), [(60, Result.PASSED), (59, Result.NOT_PASSED)])
def test_v6_exactly_three_quarters_is_a_special_majority(agree: int, result: Result) -> None:
    assert result_of(SPECIAL, equal_homes(100), equal_homes(80), equal_homes(agree)) is result


@pytest.mark.parametrize(
    ("shop_m2", "majority", "result"),
    [(300, ORDINARY, Result.PASSED), (300, SPECIAL, Result.NOT_PASSED), (500, ORDINARY, Result.NOT_PASSED)],
)
def test_v7_heads_alone_do_not_carry_it(shop_m2: int, majority: Majority, result: Result) -> None:
    """Nine homes of 50 m2 agree, one shop is against."""
    everyone = Count(10, (450 + shop_m2) * 10_000)
    assert result_of(majority, everyone, everyone, Count(9, 450 * 10_000)) is result


def test_v8_a_developer_with_forty_unsold_homes_is_one_head() -> None:
    sold = [Unit(f"{number:03d}", (f"buyer-{number}",), 1_000_000) for number in range(60)]
    unsold = [Unit(f"{number:03d}", ("developer",), 1_000_000) for number in range(60, 100)]
    heads = heads_of([*sold, *unsold])
    electorate = count_heads(heads)
    assert electorate == Count(61, 100 * 1_000_000)
    all_buyers = count_heads([head for head in heads if head.owners != ("developer",)])
    assert all_buyers == Count(60, 60 * 1_000_000)
    assert result_of(ORDINARY, electorate, all_buyers, all_buyers) is Result.NO_QUORUM


def test_v9_a_buyer_of_three_homes_is_one_head_with_their_area() -> None:
    homes = [Unit("1", ("chen",), 800_000), Unit("2", ("chen",), 900_000), Unit("3", ("chen",), 1_000_000)]
    assert heads_of(homes) == (OwnerHead(("chen",), ("1", "2", "3"), 2_700_000),)


def test_v10_a_couple_is_one_head() -> None:
    assert heads_of([Unit("1", ("zhao", "wang"), 1_000_000)]) == (OwnerHead(("wang", "zhao"), ("1",), 1_000_000),)


def test_v11_who_owns_alone_and_with_another_is_in_two_heads_and_is_pointed_out() -> None:
    heads = heads_of([Unit("1", ("a",), 1), Unit("2", ("b", "a"), 1)])
    assert [head.owners for head in heads] == [("a",), ("a", "b")]
    assert owners_of_several_heads(heads) == ("a",)


@pytest.mark.parametrize(
    ("electorate", "least", "ordinary", "special"),
    [
        (44, 30, 16, 23),
        (49, 33, 17, 25),
        (60, 40, 21, 30),
        (99, 66, 34, 50),
        (100, 67, 34, 51),
        (500, 334, 168, 251),
        (1_152, 768, 385, 576),
    ],
)
def test_v14_the_least_that_is_enough(electorate: int, least: int, ordinary: int, special: int) -> None:
    assert quorum_min(electorate) == least
    assert majority_min(ORDINARY, least) == ordinary
    assert majority_min(SPECIAL, least) == special


def test_the_missing_part_of_a_quorum_is_named_by_heads_and_area() -> None:
    electorate = Count(1_152, 1_247_993_000)
    assert missing_to_quorum(electorate, Count(765, 810_072_200)) == Count(3, 21_923_134)
    assert missing_to_quorum(electorate, Count(905, 934_490_800)) == Count(0, 0)


@pytest.mark.parametrize(
    "units",
    [
        [Unit("1", ("a",), 1), Unit("1", ("b",), 1)],
        [Unit("1", (), 1)],
        [Unit("1", ("a",), -1)],
    ],
)
def test_units_that_cannot_be_counted_are_named(units: list[Unit]) -> None:
    with pytest.raises(ValueError, match="unit 1"):
        heads_of(units)


def test_heads_do_not_depend_on_the_order_of_units_and_owners() -> None:
    units = [Unit("1", ("a", "b"), 1), Unit("2", ("b", "a"), 2), Unit("3", ("c",), 4), Unit("4", ("a",), 8)]
    expected = heads_of(units)
    assert len(expected) == 3
    assert all(heads_of(order) == expected for order in itertools.permutations(units))


counts = st.builds(Count, st.integers(0, 400), st.integers(0, 4_000))


@st.composite
def polls(draw: st.DrawFn) -> tuple[Count, Count, Count]:
    """(electorate, participating, agreeing), each within the one before; small, so that limits are met."""
    electorate = draw(counts)
    participating = Count(draw(st.integers(0, electorate.heads)), draw(st.integers(0, electorate.area_cm2)))
    agreeing = Count(draw(st.integers(0, participating.heads)), draw(st.integers(0, participating.area_cm2)))
    return electorate, participating, agreeing


def naive_result(majority: Majority, electorate: Count, participating: Count, agreeing: Count) -> str:
    """The statute in fractions, written a second time."""
    shares = []
    for way in ("heads", "area_cm2"):
        whole, part, yes = (getattr(count, way) for count in (electorate, participating, agreeing))
        if whole == 0:
            return "undetermined"
        shares.append((Fraction(part, whole), Fraction(yes, part) if part else Fraction(0)))
    if min(taking_part for taking_part, _ in shares) < Fraction(2, 3):
        return "no_quorum"
    least = min(agreed for _, agreed in shares)
    enough = least > Fraction(1, 2) if majority is ORDINARY else least >= Fraction(3, 4)
    return "passed" if enough else "not_passed"


@given(polls(), st.sampled_from(Majority))
def test_a_recount_with_fractions_agrees(poll: tuple[Count, Count, Count], majority: Majority) -> None:
    assert result_of(majority, *poll).value == naive_result(majority, *poll)


@given(st.integers(1, 3_000))
def test_one_less_than_the_least_is_not_enough(whole: int) -> None:
    assert is_two_thirds(quorum_min(whole), whole)
    assert not is_two_thirds(quorum_min(whole) - 1, whole)
    for majority in Majority:
        everyone, least = Count(whole, whole), majority_min(majority, whole)
        assert has_majority(majority, everyone, Count(least, least))
        assert not has_majority(majority, everyone, Count(least - 1, least))
        assert not has_majority(majority, everyone, Count(least, least - 1))


@given(polls())
def test_with_what_is_missing_there_is_a_quorum_and_with_less_there_is_not(poll: tuple[Count, Count, Count]) -> None:
    electorate, participating, _ = poll
    missing = missing_to_quorum(electorate, participating)
    assert has_quorum(electorate, participating.plus(missing))
    if missing.heads:
        assert not has_quorum(electorate, participating.plus(Count(missing.heads - 1, missing.area_cm2)))
    if missing.area_cm2:
        assert not has_quorum(electorate, participating.plus(Count(missing.heads, missing.area_cm2 - 1)))


@given(st.integers(0, 10_000), st.integers(1, 10_000), st.integers(0, 4))
def test_percentages_are_the_exact_share_rounded_as_named(part: int, whole: int, places: int) -> None:
    exact = Fraction(part, whole) * 100
    step = Fraction(1, 10**places)
    down = Fraction(percentage(part, whole, Rounding.DOWN, places).removesuffix("%"))
    half_up = Fraction(percentage(part, whole, Rounding.HALF_UP, places).removesuffix("%"))
    assert 0 <= exact - down < step
    assert -step / 2 <= exact - half_up < step / 2


def test_a_share_of_nothing_is_no_number() -> None:
    assert percentage(0, 0) == "-"
