"""`select` is a pure function of what the VIEW-CHANGEs claim: property tests over orders, supersets and histories."""

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from server.consensus.quorum import Quorum
from server.consensus.select import Claim, Selection, select

BLOCKS = st.sampled_from(["blockA", "blockB", "blockC"])
CLAIMS = st.one_of(
    st.builds(Claim, st.integers(0, 3)),
    st.builds(Claim, st.integers(0, 3), st.integers(0, 5), BLOCKS),
)


@given(st.lists(CLAIMS, min_size=1, max_size=7), st.randoms(use_true_random=False))
def test_the_order_of_view_changes_does_not_matter(claims: list[Claim], random) -> None:  # type: ignore[no-untyped-def]
    shuffled = list(claims)
    random.shuffle(shuffled)
    assert select(shuffled) == select(claims)


@given(st.lists(CLAIMS, min_size=1, max_size=7))
def test_the_same_view_change_twice_changes_nothing(claims: list[Claim]) -> None:
    assert select(claims + claims) == select(claims)


@given(st.lists(CLAIMS, min_size=1, max_size=6), CLAIMS)
def test_one_more_view_change_never_lowers_the_base(claims: list[Claim], more: Claim) -> None:
    assert select([*claims, more]).base_height >= select(claims).base_height


@given(st.lists(CLAIMS, min_size=1, max_size=6), CLAIMS)
def test_one_more_view_change_changes_the_block_only_by_a_higher_base_or_view(claims: list[Claim], more: Claim) -> None:
    before, after = select(claims), select([*claims, more])
    if after != before:
        assert more.last_height >= before.base_height
        assert after.base_height == more.last_height > before.base_height or after.block_id == more.prepared_block


@given(st.sampled_from([3, 4, 7]), st.data())
def test_a_block_that_may_be_committed_is_always_chosen(n: int, data: st.DataObject) -> None:
    """A quorum prepared X in view v and no other block was prepared in a later view (PBFT 4.5.1's invariant): then
    every quorum of VIEW-CHANGEs, honest members telling the truth, chooses X, or a base that already contains it."""
    quorum = Quorum(n).quorum
    view = data.draw(st.integers(1, 4))
    preparers = data.draw(st.lists(st.integers(0, n - 1), min_size=quorum, max_size=n, unique=True))
    claims = []
    for member in range(n):
        if member in preparers:
            stored = data.draw(st.booleans())
            claims.append(Claim(6) if stored else Claim(5, data.draw(st.integers(view, 5)), "X"))
        else:
            older = data.draw(st.booleans())
            claims.append(Claim(5, data.draw(st.integers(0, view - 1)), "other") if older else Claim(5))
    for chosen in combinations(claims, quorum):
        assert select(chosen) in (Selection(5, "X"), Selection(6, ""))


def test_a_block_prepared_below_the_base_is_not_proposed_again() -> None:
    assert select([Claim(4, 3, "old"), Claim(5)]) == Selection(5, "")


def test_of_blocks_prepared_at_the_base_the_highest_view_wins() -> None:
    assert select([Claim(4, 1, "low"), Claim(4, 2, "high"), Claim(4)]) == Selection(4, "high")


def test_nothing_prepared_means_a_free_choice_for_the_new_primary() -> None:
    assert select([Claim(4), Claim(3)]) == Selection(4, "")
