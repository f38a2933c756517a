"""scripts/simulate.py as others call it."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def simulate(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the script."""
    command = [sys.executable, "scripts/simulate.py", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_it_exits_0_when_no_oracle_fired() -> None:
    done = simulate("--nodes", "3", "--seeds", "1..4")
    assert done.returncode == 0, done.stderr
    assert "4 seeds of 3 nodes" in done.stdout
    assert "no oracle fired" in done.stdout


def test_a_failing_seed_is_told_with_commit_options_and_the_command_that_replays_it() -> None:
    done = simulate("--nodes", "3", "--seeds", "1..2", "--skip", "vote")
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert len(lines) == 5
    assert lines[0].startswith("seed 1: output-commit: ")
    assert lines[0].endswith("replay: python3 scripts/simulate.py --nodes 3 --seeds 1..1 --skip vote --trace")
    assert "; commit " in lines[0]
    assert lines[1].strip().startswith("Options(nodes=3, seed=1, ")


def test_the_rules_of_the_platform_can_be_run() -> None:
    done = simulate("--nodes", "1", "--seeds", "1..2", "--rules")
    assert done.returncode == 0, done.stderr
    assert "2 seeds of 1 nodes with the platform's rules" in done.stdout


def test_json_is_one_object() -> None:
    done = simulate("--nodes", "1", "--seeds", "1..2", "--json")
    found = json.loads(done.stdout)
    assert found["seeds"] == 2
    assert found["failed"] == []


@pytest.mark.parametrize("seeds", ["5", "9..3", "a..b", "-1..3"])
def test_a_wrong_range_is_explained(seeds: str) -> None:
    done = simulate("--seeds", seeds)
    assert done.returncode == 2
    assert "A..B" in done.stderr


def test_a_trace_tells_one_seed_as_a_story() -> None:
    done = simulate("--nodes", "3", "--seeds", "1..1", "--trace")
    assert done.returncode == 0
    assert re.search(r"-> all: PRE-PREPARE view \d+ height 1 block \S{6} with \d+ items", done.stdout)


def test_one_member_can_be_made_to_lie() -> None:
    done = simulate("--nodes", "4", "--liar", "stranger", "--seeds", "1..2")
    assert done.returncode == 0, done.stdout
    assert "2 with a liar" in done.stdout


def test_a_liar_that_nobody_knows_is_explained() -> None:
    done = simulate("--liar", "fibber")
    assert done.returncode == 2
    assert "equivocating-primary" in done.stderr


def test_mixed_seeds_choose_the_cluster_too() -> None:
    done = simulate("--mixed", "--seeds", "1..6", "--json")
    found = json.loads(done.stdout)
    assert found["nodes"] == "mixed"
    assert found["failed"] == []
    assert found["commit"]
