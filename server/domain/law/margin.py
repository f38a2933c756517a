"""How far a vote is from its goal, and how firm a result is: the numbers behind the sentences that people read (N3).

"再有 3 户且 212.50㎡ 参与即达到三分之二", "即使 14 张纸票全部作废，结果不变". The words are the mini-app's.
"""

from __future__ import annotations

from server.domain.law.count import Count
from server.domain.law.majority import Majority, majority_min, quorum_min, result_of


def missing_to_quorum(electorate: Count, participating: Count) -> Count:
    """How many heads and how much area must still take part; both 0 once there is a quorum."""
    return Count(
        max(0, quorum_min(electorate.heads) - participating.heads),
        max(0, quorum_min(electorate.area_cm2) - participating.area_cm2),
    )


def missing_to_majority(majority: Majority, participating: Count, agreeing: Count) -> Count:
    """How many of those who took part would have had to agree instead, by heads and by area."""
    return Count(
        max(0, majority_min(majority, participating.heads) - agreeing.heads),
        max(0, majority_min(majority, participating.area_cm2) - agreeing.area_cm2),
    )


def holds_without(
    majority: Majority, electorate: Count, participating: Count, agreeing: Count, doubtful: Count, doubtful_for: Count
) -> bool:
    """Is the result the same if `doubtful` ballots (of which `doubtful_for` agree) are all void?"""
    before = result_of(majority, electorate, participating, agreeing)
    return before is result_of(majority, electorate, _less(participating, doubtful), _less(agreeing, doubtful_for))


def holds_whatever(
    majority: Majority, electorate: Count, participating: Count, agreeing: Count, doubtful: Count
) -> bool:
    """Is the result the same whatever `doubtful` ballots chose, and whether they count or not?

    For contested ballots whose choice nobody may tell. Worst cases: all of them agreed and are void, or none agreed
    and are void, or they did the other thing.
    """
    before = result_of(majority, electorate, participating, agreeing)
    left = _less(participating, doubtful)
    most, least = _at_most(agreeing, left), _less(agreeing, doubtful)
    cases = [
        result_of(majority, electorate, left, most),
        result_of(majority, electorate, left, least),
        result_of(majority, electorate, participating, least),
        result_of(majority, electorate, participating, _at_most(agreeing.plus(doubtful), participating)),
    ]
    return all(case is before for case in cases)


def _less(count: Count, other: Count) -> Count:
    return Count(max(0, count.heads - other.heads), max(0, count.area_cm2 - other.area_cm2))


def _at_most(count: Count, bound: Count) -> Count:
    return Count(min(count.heads, bound.heads), min(count.area_cm2, bound.area_cm2))
