"""Runs every test of the project; on a fresh machine it first sets up all that they need.

Stages: the mini-app's build, check.py, pytest on two workers, the mini-app's own tests. All stages run even if one
fails; a table of what ran closes the output, and the program ends with 1 unless every stage held.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import build
import check
import environment
from environment import ROOT, SetupError

WORKERS = 2
"""Each worker has a database server of its own; two fit the smallest machine that we support."""

END_S = 60
"""What the test runners may take to end their servers and processes after Ctrl-C."""

SHARED_DATA = ROOT.parent / "shared" / "data"
"""Real files and independent vectors, beside the project where they are at hand; not part of the repository."""


@dataclass(frozen=True)
class Stage:
    """A part of the run: `run` does it and says whether it holds, with a word about what it counted."""

    name: str
    run: Callable[[], tuple[bool, str]]


@dataclass(frozen=True)
class Result:
    """What became of a stage."""

    name: str
    holds: bool
    word: str
    seconds: float


def main() -> None:
    """Run what the command line asks for; ends the program with 1 when a stage fails."""
    parser = argparse.ArgumentParser(description="Set up what the tests need, and run them all.")
    parser.add_argument(
        "--only", metavar="PATTERN", help="only the Python tests of this path, or whose names match (as pytest -k)"
    )
    parser.add_argument("--no-browser", action="store_true", help="leave out the tests that drive a browser")
    options = parser.parse_args()
    started = time.monotonic()
    results = [run_stage(Stage("environment", lambda: _prepare(browser=not options.no_browser)))]
    if results[0].holds:
        with tempfile.TemporaryDirectory(prefix="linli-reports-") as folder:
            stages = list_stages(options.only, Path(folder), browser=not options.no_browser)
            results += [run_stage(stage) for stage in stages]
    sys.exit(0 if report(results, time.monotonic() - started) else 1)


def list_stages(only: str | None, folder: Path, *, browser: bool) -> list[Stage]:
    """The stages after the environment; reports of the test runners go to `folder`."""
    python_tests = Stage("pytest", lambda: _run_pytest(only, folder / "pytest.xml", browser=browser))
    if only is not None:
        return [python_tests]
    return [
        Stage("build", _build_miniapp),
        Stage("check", lambda: (check.run_checks(check.list_checks()), "")),
        python_tests,
        Stage("vitest", lambda: _run_vitest(folder / "vitest.xml")),
    ]


def run_stage(stage: Stage) -> Result:
    """Run one stage; what cannot be set up is a stage that fails, and its reason is printed."""
    print(f"\n--- {stage.name}", flush=True)
    started = time.monotonic()
    try:
        holds, word = stage.run()
    except SetupError as error:
        print(error, flush=True)
        holds, word = False, "could not be set up"
    return Result(stage.name, holds, word, time.monotonic() - started)


def report(results: Sequence[Result], seconds: float) -> bool:
    """Print the table of what ran; whether everything holds."""
    print("\nstage        result  time       what", flush=True)
    for result in results:
        state = "ok" if result.holds else "FAILED"
        print(f"{result.name:<12} {state:<7} {result.seconds:7.1f} s  {result.word}")
    failed = [result.name for result in results if not result.holds]
    closing = f"Failed: {', '.join(failed)}" if failed else "Everything holds"
    print(f"{closing}, after {seconds // 60:.0f} min {seconds % 60:.0f} s.", flush=True)
    return not failed


def count_cases(path: Path) -> str:
    """What a JUnit report counted, in words; empty when there is no test in it, or no report."""
    text = path.read_text("utf-8", "replace") if path.exists() else ""
    # Not parsed as XML: vitest writes control characters of test names as they are, which XML forbids.
    suites = [dict(re.findall(r'(\w+)="(\d+)"', tag)) for tag in re.findall(r"<testsuite ([^>]*)>", text)]
    counts = [sum(int(suite.get(name, "0")) for suite in suites) for name in ("tests", "failures", "errors", "skipped")]
    total, failures, errors, skipped = counts
    words = {"passed": total - failures - errors - skipped, "failed": failures + errors, "skipped": skipped}
    return ", ".join(f"{count} {word}" for word, count in words.items() if count) if total else ""


def _prepare(*, browser: bool) -> tuple[bool, str]:
    environment.ensure("dev", browser=browser, database=True)
    return True, ""


def _build_miniapp() -> tuple[bool, str]:
    return True, str(build.build("web").relative_to(ROOT))


def _run_pytest(only: str | None, xml: Path, *, browser: bool) -> tuple[bool, str]:
    command = [str(environment.Environment().python), "-m", "pytest", f"--junitxml={xml}"]
    if only is None:
        command += [f"--numprocesses={WORKERS}", "--dist=loadgroup", "--max-worker-restart=2"]
    else:
        command += [only] if (ROOT / only.partition("::")[0]).exists() else ["-k", only]
    if not browser:
        command += ["-m", "not browser"]
    code = _run_patiently(command, ROOT, dict(os.environ))
    counted = count_cases(xml)
    return code == 0 and bool(counted), counted or "no test ran"


def _run_vitest(xml: Path) -> tuple[bool, str]:
    build.install_packages()
    arguments = ["run", "--silent", "test", "--", "--reporter=default", "--reporter=junit", f"--outputFile.junit={xml}"]
    command, variables = build.npm_command(arguments)
    if SHARED_DATA.is_dir():
        variables["LINLI_SHARED_DATA"] = str(SHARED_DATA)
    code = _run_patiently(command, build.MINIAPP, variables)
    counted = count_cases(xml)
    return code == 0 and bool(counted), counted or "no test ran"


def _run_patiently(command: Sequence[str], folder: Path, variables: dict[str, str]) -> int:
    """Run a command on this screen and return its exit code; on Ctrl-C it has time to end the servers it started."""
    with subprocess.Popen(command, cwd=folder, env=variables, stdin=subprocess.DEVNULL) as process:
        try:
            return process.wait()
        except BaseException:
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired, KeyboardInterrupt):
                process.wait(END_S)
            process.kill()
            raise


if __name__ == "__main__":
    environment.finish(main)
