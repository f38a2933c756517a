"""The table of consensus.md 1.1, and what makes it safe and live."""

import pytest

from server.consensus.quorum import Quorum, primary_of

TABLE = [(1, 0, 1, 1), (2, 0, 2, 1), (3, 0, 2, 2), (4, 1, 3, 2), (5, 1, 4, 2), (6, 1, 4, 3), (7, 2, 5, 3)]


@pytest.mark.parametrize(("n", "f", "quorum", "weak"), TABLE)
def test_quorums_are_those_of_the_table(n: int, f: int, quorum: int, weak: int) -> None:
    quorums = Quorum(n)
    assert (quorums.f, quorums.quorum, quorums.weak) == (f, quorum, weak)


@pytest.mark.parametrize("n", range(1, 40))
def test_two_quorums_share_more_members_than_may_lie(n: int) -> None:
    quorums = Quorum(n)
    assert 2 * quorums.quorum - n > quorums.f


@pytest.mark.parametrize("n", range(1, 40))
def test_the_honest_alone_are_a_quorum(n: int) -> None:
    quorums = Quorum(n)
    assert n - quorums.f >= quorums.quorum


@pytest.mark.parametrize("n", range(1, 40))
def test_a_weak_quorum_meets_every_quorum_and_no_smaller_one_does(n: int) -> None:
    quorums = Quorum(n)
    assert quorums.weak + quorums.quorum > n >= quorums.weak - 1 + quorums.quorum


@pytest.mark.parametrize("n", [1, 3, 4, 7])
def test_strict_mode_asks_for_everybody(n: int) -> None:
    assert Quorum(n, "strict").quorum == n


def test_primaries_rotate_by_view_alone() -> None:
    members = ("owners", "property", "street")
    assert [primary_of(members, view) for view in range(5)] == ["owners", "property", "street", "owners", "property"]
