"""A plan of troubles follows from its seed alone, meets every kind soon, and stays within its time."""

from __future__ import annotations

from drills.troubles import CLOCK_MS, SYNC_MS, WEIGHTS, WORDS, plan_troubles

NODES = ("owners", "property", "street")


def test_a_plan_follows_from_its_seed() -> None:
    one, again, other = (plan_troubles(seed, 60, NODES, frozenset()) for seed in (4, 4, 5))
    assert one == again != other


def test_every_kind_of_trouble_befalls_before_any_comes_a_third_time() -> None:
    for seed in range(20):
        kinds = [trouble.kind for trouble in plan_troubles(seed, 120, NODES, frozenset())]
        assert set(kinds[: len(WEIGHTS)]) == set(WEIGHTS)


def test_troubles_lie_within_the_run_and_name_two_nodes() -> None:
    for trouble in plan_troubles(7, 90, NODES, frozenset()):
        assert 0 < trouble.begin_s < trouble.begin_s + trouble.seconds <= 90.01
        assert {trouble.node, trouble.other} < set(NODES)
        assert trouble.clock_ms in CLOCK_MS
        assert trouble.sync_ms in SYNC_MS


def test_what_a_machine_cannot_do_is_left_out_and_changes_nothing_else() -> None:
    whole = plan_troubles(3, 90, NODES, frozenset())
    without = plan_troubles(3, 90, NODES, frozenset({"disk"}))
    assert without == [trouble for trouble in whole if trouble.kind != "disk"] != whole


def test_several_troubles_befall_at_a_time() -> None:
    plan = plan_troubles(1, 120, NODES, frozenset())
    ends = [one.begin_s + one.seconds for one in plan]
    assert sum(end > following.begin_s for end, following in zip(ends, plan[1:], strict=False)) > len(plan) // 3


def test_every_trouble_has_its_words() -> None:
    assert WORDS.keys() == WEIGHTS.keys()
