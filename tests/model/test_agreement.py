"""Every state of one height: with a liar too few it never forks; three members, one of whom lies, may."""

import pytest

from server.consensus.quorum import Mode
from tests.model.judges import judge_agreement
from tests.model.mutants import MUTANTS, Mutant
from tests.model.protocol import Model, Node, Rules, State
from tests.model.search import Found, Order, Search


def look(model: Model, order: Order = "breadth first") -> Found:
    """Judge every state by agreement."""
    return Search(model).run(lambda state: judge_agreement(model, state), order)


def reachable(model: Model) -> set[State]:
    """Every state of a model."""
    seen = {model.start}
    waiting = [model.start]
    while waiting:
        fresh = {state for state in model.successors(waiting.pop()) if state not in seen}
        seen |= fresh
        waiting += fresh
    return seen


@pytest.mark.parametrize("liar", range(4))
def test_four_members_agree_whoever_of_them_lies(liar: int) -> None:
    found = look(Model(4, (liar,), views=2))
    assert found.complaint == ""
    assert found.states > 5_000


@pytest.mark.parametrize("liar", range(3))
def test_three_strict_members_agree_whoever_of_them_lies(liar: int) -> None:
    found = look(Model(3, (liar,), views=3, mode="strict"))
    assert found.complaint == ""
    assert found.states > 1_000


def test_three_members_agree_while_nobody_lies() -> None:
    found = look(Model(3, (), views=2))
    assert found.complaint == ""
    assert found.states > 1_000


@pytest.mark.parametrize(("n", "mode", "views"), [(4, "available", 2), (3, "strict", 3)])
def test_agreement_does_not_rest_on_who_leads_a_view(n: int, mode: Mode, views: int) -> None:
    """Two members may even take different members for the primary, as when one of them has not yet stored the block
    that bars a culprit: every primary here proposes two blocks and shows everyone another NEW-VIEW."""
    assert look(Model(n, (n - 1,), views, mode, Rules(trusts_primaries=False))).complaint == ""


@pytest.mark.parametrize("liar", range(3))
def test_three_members_one_of_whom_lies_can_fork_what_is_committed(liar: int) -> None:
    """consensus.md 1.1: at n=3 a quorum of two shares one member, who may be the liar. Two members then hold blocks."""
    model = Model(3, (liar,), views=2)
    assert look(model).complaint.startswith("fork: ")
    held = Search(model).run(lambda state: "both hold one" if len(held_blocks(state)) > 1 else "")
    assert held.complaint == "both hold one"


def held_blocks(state: State) -> set[str]:
    """What honest members have committed, by their own ledgers."""
    return {node.committed.block for node in state if node and node.committed}


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_fork_shows_when_a_rule_is_left_out(mutant: Mutant) -> None:
    assert look(mutant.model, "depth first").complaint.startswith("fork: ")


@pytest.mark.parametrize(
    ("n", "liar", "views", "mode"), [(3, 1, 2, "available"), (3, 0, 3, "strict"), (4, 3, 2, "available")]
)
def test_what_is_forgotten_makes_states_equal_and_changes_nothing_else(
    n: int, liar: int, views: int, mode: Mode
) -> None:
    thrifty = Model(n, (liar,), views, mode)
    everything = reachable(Model(n, (liar,), views, mode, forgets=False))
    assert {thrifty.forget(state) for state in everything} == reachable(thrifty)


def test_the_states_are_those_of_a_height_in_which_something_happens() -> None:
    """The model is not vacuous: views are left, blocks are named by NEW-VIEWs and committed in later views."""
    states = reachable(Model(4, (3,), views=2, forgets=False))
    nodes: list[Node] = [node for state in states for node in state if node]
    assert any(node.view == 1 and node.commits and node.commits[-1] == (1, "0a") for node in nodes)
    assert any(node.committed == (1, "1a") for node in nodes)
    assert any(change.committed for node in nodes for _, change in node.changes)
    assert any(new_view.base == 1 for node in nodes for _, new_view in node.installed)
