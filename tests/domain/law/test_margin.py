"""Margin sentences: the least that is missing, and whether doubtful ballots could change anything."""

from __future__ import annotations

from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from server.domain.law.count import Count
from server.domain.law.majority import Majority, Result, has_majority, result_of
from server.domain.law.margin import holds_whatever, holds_without, missing_to_majority

ORDINARY, SPECIAL = Majority.ORDINARY, Majority.SPECIAL


def homes(heads: int) -> Count:
    return Count(heads, heads * 100)


def test_fourteen_paper_ballots_of_the_case_change_the_result_where_the_quorum_needs_them() -> None:
    """35 online and 14 on paper, 47 yes: of 73 heads the quorum needs 49, of 50 it does not need the paper."""
    assert not holds_without(ORDINARY, homes(73), homes(49), homes(47), homes(14), homes(13))
    assert holds_without(ORDINARY, homes(50), homes(49), homes(47), homes(14), homes(13))


def test_a_narrow_result_does_not_hold_whatever_one_contested_ballot_chose() -> None:
    assert not holds_whatever(ORDINARY, homes(10), homes(9), homes(5), homes(1))
    assert holds_whatever(ORDINARY, homes(10), homes(9), homes(8), homes(1))


def test_where_all_must_agree_one_absent_owner_is_enough_to_fail() -> None:
    assert result_of(Majority.ALL, homes(3), homes(3), homes(3)) is Result.PASSED
    assert result_of(Majority.ALL, homes(3), homes(2), homes(2)) is Result.NOT_PASSED


@given(st.sampled_from([ORDINARY, SPECIAL]), st.integers(0, 40), st.data())
def test_what_is_missing_to_a_majority_is_the_least_that_is_enough(
    majority: Majority, part: int, data: st.DataObject
) -> None:
    agree = data.draw(st.integers(0, part))
    missing = missing_to_majority(majority, homes(part), homes(agree))
    if part:
        reached = Count(agree + missing.heads, agree * 100 + missing.area_cm2)
        assert has_majority(majority, homes(part), reached)
        if missing.heads:
            assert not has_majority(majority, homes(part), Count(reached.heads - 1, reached.area_cm2))


@given(st.integers(1, 8), st.data())
def test_a_result_that_holds_whatever_holds_in_every_case(electorate: int, data: st.DataObject) -> None:
    """Every way in which the doubtful could have voted, and each counted or void."""
    part = data.draw(st.integers(0, electorate))
    agree = data.draw(st.integers(0, part))
    doubtful = data.draw(st.integers(0, min(part, 3)))
    before = result_of(ORDINARY, homes(electorate), homes(part), homes(agree))
    held = holds_whatever(ORDINARY, homes(electorate), homes(part), homes(agree), homes(doubtful))
    really_for = [one for one in range(doubtful + 1) if one <= agree and doubtful - one <= part - agree]
    cases = set()
    for agreed, void, turned in product(really_for, (False, True), range(doubtful + 1)):
        base = agree - agreed
        cases.add(
            result_of(ORDINARY, homes(electorate), homes(part - doubtful), homes(base))
            if void
            else result_of(ORDINARY, homes(electorate), homes(part), homes(base + turned))
        )
    if held:
        assert cases <= {before}
