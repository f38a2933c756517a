"""Bench figures: systems take turns fairly, ratios are those of medians, gaps are the residents', growth goes on."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import pytest

import bench
import machine
from ballot_load import Acknowledged
from benches import growth, killed_primary
from benches.growth import Step, next_step, read_steps
from benches.killed_primary import WINDOW_S, judge_gap
from benches.peer import Peer
from benches.turn import Turn, Work, judge_turn, percentile
from benches.turns import RecordsLost, System, summarise, system_of, table_lines, take_turns
from benches.usage import Usage


def _turn(system: str, clients: int, rate: float) -> Turn:
    usage = Usage({1: 2.0}, 30.0), Usage({1: 3.0, 2: 1.0}, 40.0)
    return judge_turn(system, clients, Work(10 / rate, [1.0] * 10), usage, v_us=50.0)


def test_cost_is_the_cpu_of_all_processes_a_record_in_v() -> None:
    turn = _turn("one", 4, 100)
    assert (turn.records, turn.records_per_s, turn.cpu_us, turn.cost_v, turn.memory_mb) == (10, 100, 200_000, 4_000, 40)


def test_a_turn_without_a_record_has_no_figures() -> None:
    with pytest.raises(ValueError, match="no values"):
        judge_turn("one", 1, Work(1, []), (Usage({}, 0), Usage({}, 0)), 50)


@pytest.mark.parametrize(("part", "value"), [(0, 1), (0.5, 51), (0.99, 100), (1, 100)])
def test_a_percentile_is_one_of_the_values(part: float, value: float) -> None:
    assert percentile(list(range(100, 0, -1)), part) == value


async def test_each_round_gives_every_system_one_turn_and_another_one_begins() -> None:
    taken: list[tuple[str, int, int]] = []

    def system(name: str) -> System:
        async def turn(clients: int, records: int) -> Turn:
            taken.append((name, clients, records))
            return _turn(name, clients, 100)

        return System(name, name, turn)

    turns = await take_turns([system("a"), system("b")], [1, 8], 200, 2, lambda _: None)
    assert taken == [(name, 1, 20) for name in "abba"] + [(name, 8, 200) for name in "abba"]
    assert [turn.system for turn in turns] == list("abbaabba")


def test_the_table_divides_medians_by_medians() -> None:
    turns = [_turn("a", 8, rate) for rate in (100, 300, 200)] + [_turn("b", 8, rate) for rate in (400, 100, 5_000)]

    async def never(clients: int, records: int) -> Turn:
        raise AssertionError

    summaries = summarise(turns)
    assert [(one.system, one.rate, one.rate_min, one.rate_max) for one in summaries] == [
        ("a", 200, 100, 300),
        ("b", 400, 100, 5_000),
    ]
    text = "\n".join(table_lines(turns, [System("a", "ours", never), System("b", "theirs", never)]))
    assert "a / b: rate 0.50" in text


class _Forgetful:
    """A peer that acknowledges what it does not keep."""

    name, words = "forgetful", ""

    def pids(self) -> Sequence[int]:
        return ()

    async def append(self, clients: int, records: int) -> Work:
        return Work(1, [1.0] * records)

    async def count(self) -> int:
        return 0


async def test_a_peer_that_lost_what_it_acknowledged_has_no_figures() -> None:
    peer: Peer = _Forgetful()
    with pytest.raises(RecordsLost):
        await system_of(peer).turn(1, 5)


def test_the_gap_begins_with_the_kill_and_an_end_in_silence_counts() -> None:
    def at(moment_s: float) -> Acknowledged:
        return Acknowledged("id", 1, "accepted", moment_s, took_s=moment_s / 100)

    gap = judge_gap("owners", 2, [at(1), at(2), at(13), at(13.5)], begin_s=0, killed_s=10)
    assert gap.gap_s == WINDOW_S - 3.5
    assert (gap.calm_p99_ms, gap.window_p99_ms, gap.calm_per_s) == (20, 135, 0.2)
    assert killed_primary.table_lines([gap])[-1].startswith("gap: median 6.50 s")


@pytest.mark.parametrize(
    ("size", "aim"), [(0, 1_000), (1_000, 2_000), (1_031, 2_000), (2_100, 5_000), (9_999, 10_000), (600_000, 700_000)]
)
def test_growth_is_looked_at_in_every_decade_and_at_the_end(size: int, aim: int) -> None:
    assert next_step(size, 700_000) == aim


def test_growth_goes_on_with_the_steps_of_earlier_runs(tmp_path: Path) -> None:
    assert read_steps(tmp_path) == []
    steps = [Step(size, 64, 500, 90, 150, cost, 380, 100, 0.2, 0.7, 3) for size, cost in ((1_000, 20), (10_000, 22))]
    (tmp_path / growth.STEPS_FILE).write_text("".join(json.dumps(asdict(step)) + "\n" for step in steps))
    assert read_steps(tmp_path) == steps
    assert "at 10000 / at 1000: CPU 1.10" in growth.table_lines(steps)[-1]


async def test_a_peer_that_is_missing_is_left_out_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = machine.Program("etcd", "etcd-server", lambda: None)
    monkeypatch.setitem(bench.PEERS, "etcd", missing)
    async with contextlib.AsyncExitStack() as stack:
        assert await bench.enter_peer(stack, "etcd") is None
    assert "apt-get install --yes etcd-server" in capsys.readouterr().err


@pytest.mark.parametrize("wrong", [["--beside", "oracle"], ["--clients", "0"], ["--clients", "many"]])
def test_words_that_mean_nothing_are_refused(wrong: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        bench.main(wrong)
    assert ended.value.code == 2
