"""`python3 -m tests.model` as others call it."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def model(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the program."""
    command = [sys.executable, "-m", "tests.model", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_it_exits_0_and_tells_how_many_states_it_saw() -> None:
    done = model("--nodes", "3", "--strict", "--views", "2", "--liars", "0")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("n=3 strict, 0 lying, 2 views: agreement: ")


def test_a_fork_is_told_step_by_step() -> None:
    done = model("--nodes", "3", "--views", "2", "--liars", "2")
    assert done.returncode == 1
    assert "fork: 0a and 1a are committed" in done.stdout
    assert done.stdout.count("\n  0: Node(") + done.stdout.count("\n  1: Node(") > 5


def test_who_is_named_is_counted() -> None:
    done = model("--nodes", "3", "--views", "2", "--liars", "2", "--attribution")
    assert done.returncode == 0, done.stdout
    assert "nobody is named in 0" in done.stdout
