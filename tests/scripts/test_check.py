"""check.py and test.py: a failure is seen, shown and counted, also when a tool cannot be set up or runs nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import check
import environment

ROOT = environment.ROOT


def test_a_failing_check_fails_the_run_and_shows_what_the_tool_said(capsys: pytest.CaptureFixture[str]) -> None:
    checks = [check.Check("good", lambda: (True, "quiet")), check.Check("bad", lambda: (False, "line 7 is wrong"))]
    assert not check.run_checks(checks)
    said = capsys.readouterr().out
    assert "line 7 is wrong" in said
    assert "quiet" not in said
    assert said.endswith("Checks that fail: bad.\n")


def test_a_tool_that_cannot_be_set_up_is_a_failing_check() -> None:
    def fail() -> tuple[bool, str]:
        raise environment.SetupError("no network")

    finding = check.run_check(check.Check("miniapp", fail))
    assert not finding.holds
    assert finding.output == "no network"


def test_every_check_that_is_named_in_the_help_exists() -> None:
    named = {one.name for one in check.list_checks()}
    assert named | set(check.GENERATORS) == set(check.check_names())


def test_an_unknown_check_is_refused() -> None:
    command = [sys.executable, "scripts/check.py", "--only", "spelling"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert "no check is called spelling" in done.stderr


@pytest.mark.parametrize(
    ("suite", "words"),
    [
        ('tests="5" failures="1" errors="1" skipped="1"', "2 passed, 2 failed, 1 skipped"),
        ('tests="3" failures="0" errors="0" skipped="0"', "3 passed"),
        ('tests="0" failures="0" errors="0" skipped="0"', ""),
    ],
)
def test_a_report_is_counted_and_an_empty_one_counts_as_none(tmp_path: Path, suite: str, words: str) -> None:
    path = tmp_path / "report.xml"
    path.write_text(f'<testsuites tests="9"><testsuite name="\x00 2" {suite} time="0.5"></testsuite></testsuites>')
    assert count_cases(path) == words


def test_a_missing_report_counts_as_none(tmp_path: Path) -> None:
    assert count_cases(tmp_path / "absent.xml") == ""


def count_cases(path: Path) -> str:
    """`scripts/test.py` shares its name with a package of Python itself, so it is asked as a program would be."""
    code = """
import sys
from pathlib import Path
sys.path.insert(0, "scripts")
import test
print(test.count_cases(Path(sys.argv[1])))
"""
    done = subprocess.run([sys.executable, "-c", code, str(path)], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.rstrip("\n")


def test_a_pattern_that_matches_no_test_fails() -> None:
    command = [sys.executable, "scripts/test.py", "--no-browser", "--only", "no_test_is_called_so"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert "no test ran" in done.stdout
