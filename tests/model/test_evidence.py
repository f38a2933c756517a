"""Three members, one of whom lies: the transcript rule names the liar and nobody else (consensus.md 1.3)."""

import pytest

from tests.model.evidence import Certificate, conflicts, culprits, hides
from tests.model.judges import Attribution
from tests.model.protocol import Change, Model, NewView, Node, Rules, State, Vote
from tests.model.search import Search

X, Y = Vote(0, "0a"), Vote(1, "1a")


@pytest.mark.parametrize("liar", range(3))
def test_for_every_two_certificates_the_liar_is_named_and_nobody_else(liar: int) -> None:
    attribution = Attribution(Model(3, (liar,), views=2, transcripts=True))
    assert Search(attribution.model).run(attribution.judge).complaint == ""
    assert attribution.forks > 100
    assert attribution.unattributed == 0


@pytest.mark.parametrize("liar", range(3))
def test_who_signed_both_certificates_may_be_honest(liar: int) -> None:
    """The hole of the naive rule: the intersection of two certificates of different views frames an honest member."""
    attribution = Attribution(Model(3, (liar,), views=2, transcripts=True))
    Search(attribution.model).run(attribution.judge)
    assert attribution.naive_frames > 0


def back_to_the_past() -> tuple[Model, State]:
    """consensus.md 1.3, H1: 0 committed X with 2, who lies, hides it, and so gets Y committed by 0 and 1."""
    change = Change()
    new_view = NewView(0, "", (), ((1, change), (2, change)))
    told = Change(prepared=X)
    honest = Node(1, (X, Y), (X, Y), changes=((1, told),), installed=((1, new_view),))
    other = Node(1, (Y,), (Y,), changes=((1, change),), installed=((1, new_view),))
    return Model(3, (2,), views=2, transcripts=True), (honest, other, None)


def test_back_to_the_past_is_blamed_on_who_hid_its_vote_not_on_who_signed_twice() -> None:
    model, state = back_to_the_past()
    low, high = Certificate(X, frozenset({0, 2})), Certificate(Y, frozenset({0, 1}))
    assert (low, high) in list(conflicts(model, state))
    assert low.signers & high.signers == {0}
    assert list(culprits(model, state, low, high)) == [frozenset({2})]


def test_back_to_the_past_is_a_story_of_the_model() -> None:
    model, state = back_to_the_past()
    found = Search(remembering(model)).run(lambda each: "found" if each == state else "")
    assert found.complaint == "found"


def remembering(model: Model) -> Model:
    """The same model, remembering everything."""
    return Model(model.n, model.liars, model.views, transcripts=True, forgets=False)


def test_without_the_transcript_nobody_is_named() -> None:
    """So clients go by cosigned checkpoints, whose quorums' intersection is always guilty (consensus.md 1.3, Fix B)."""
    model, (honest, other, liar) = back_to_the_past()
    assert honest and other
    state = (honest._replace(installed=()), other._replace(installed=()), liar)
    assert list(culprits(model, state, Certificate(X, frozenset({0, 2})), Certificate(Y, frozenset({0, 1})))) == []


@pytest.mark.parametrize(
    ("rules", "offence"),
    [
        (Rules(reports_prepared=False), "hidden_vote"),
        (Rules(keeps_to_view=False), "hidden_vote"),
        (Rules(votes_once=False), "double_vote"),
    ],
)
def test_who_breaks_a_rule_of_honest_members_is_named_by_its_own_signatures(rules: Rules, offence: str) -> None:
    model = Model(3, (0,), views=2, rules=rules, transcripts=True, forgets=False)
    found = Search(model).run(Attribution(model).judge, "depth first")
    assert found.complaint.endswith(f"its own signatures are evidence: {offence}")


@pytest.mark.parametrize(
    ("view", "change", "guilty"),
    [
        (1, Change(), True),
        (1, Change(prepared=X), False),
        (2, Change(prepared=Y), False),
        (1, Change(committed=Y), False),
        (0, Change(), False),
    ],
)
def test_a_vote_is_hidden_when_neither_it_nor_a_later_one_is_told(view: int, change: Change, guilty: bool) -> None:
    assert hides(X, view, change) is guilty


def test_an_earlier_vote_does_not_excuse_a_later_one() -> None:
    assert hides(Y, 2, Change(prepared=X))
