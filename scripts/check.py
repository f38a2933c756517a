"""Checks everything that needs no running program: format, lint, types, layers, declared packages, generated files.

One line a check with its time; a check that fails prints what its tool said, and the program ends with 1.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import build
import environment
from environment import ROOT, SetupError

CODE = ("server", "scripts", "tests")
GENERATORS = {"generated": "scripts/generate.py", "vectors": "scripts/vectors.py"}
"""Programs that write committed files; with `--check` they compare instead."""
LOCKED = ("requirements", "requirements-dev", "requirements-node")


@dataclass(frozen=True)
class Check:
    """A name and what to run for it: returns whether it holds, and the tool's own text."""

    name: str
    run: Callable[[], tuple[bool, str]]


@dataclass(frozen=True)
class Finding:
    """What a check said: `output` is the tool's own text."""

    check: Check
    holds: bool
    output: str
    seconds: float


def main() -> None:
    """Run what the command line asks for; ends the program with 1 when a check fails."""
    parser = argparse.ArgumentParser(description="Check format, lint, types, layers, packages and generated files.")
    parser.add_argument("--fix", action="store_true", help="format the code and repair what the linter can, then check")
    parser.add_argument(
        "--lock", action="store_true", help="write requirements*.txt anew from requirements*.in, and end"
    )
    parser.add_argument("--only", metavar="NAME", help="run one check: " + ", ".join(check_names()))
    options = parser.parse_args()
    environment.ensure("dev")
    if options.lock:
        lock_requirements()
        return
    if options.fix:
        repair()
    checks = [check for check in list_checks() if options.only in (None, check.name)]
    if not checks:
        parser.error(f"no check is called {options.only}")
    sys.exit(0 if run_checks(checks) else 1)


def check_names() -> list[str]:
    """The names that `--only` takes. Known without an environment, so that `--help` always answers."""
    return ["format", "lint", "types", "layers", "packages", "miniapp", *GENERATORS]


def list_checks() -> list[Check]:
    """Every check, the slowest first."""
    checks = [
        Check("types", _run_python("-m", "mypy", "--no-error-summary")),
        Check("layers", _run_python("-c", "from importlinter.cli import lint_imports_command as run; run()")),
        Check("miniapp", _check_miniapp),
        Check("format", _run_python("-m", "ruff", "format", "--check", "--output-format=concise", *CODE)),
        Check("lint", _run_python("-m", "ruff", "check", "--quiet", "--output-format=concise", *CODE)),
        Check("packages", _run_python("-W", "ignore", "-m", "deptry", ".", "scripts", "--no-ansi")),
    ]
    for name, program in GENERATORS.items():
        if (ROOT / program).exists():
            checks.append(Check(name, _run_python(program, "--check")))
    return checks


def run_checks(checks: Sequence[Check]) -> bool:
    """Run two at a time, print a line each as it ends in the given order; whether all hold."""
    with ThreadPoolExecutor(max_workers=2) as pool:
        findings = []
        for finding in pool.map(run_check, checks):
            findings.append(finding)
            print(
                f"{'ok  ' if finding.holds else 'FAIL'} {finding.check.name:<10} {finding.seconds:6.1f} s", flush=True
            )
            if not finding.holds:
                print(finding.output, flush=True)
    failed = [finding.check.name for finding in findings if not finding.holds]
    print("All checks hold." if not failed else f"Checks that fail: {', '.join(failed)}.", flush=True)
    return not failed


def run_check(check: Check) -> Finding:
    """Run one check to its end; a tool that cannot be set up is a check that fails."""
    started = time.monotonic()
    try:
        holds, output = check.run()
    except SetupError as error:
        holds, output = False, str(error)
    return Finding(check, holds, output.strip(), time.monotonic() - started)


def repair() -> None:
    """Format, and apply the linter's safe repairs; what remains is then found by the checks."""
    for arguments in (("check", "--fix", "--quiet", "--exit-zero"), ("format", "--quiet")):
        subprocess.run(_python("-m", "ruff", *arguments, *CODE), cwd=ROOT, check=True)


def lock_requirements() -> None:
    """Compile every requirements*.in to exact versions with hashes, for every platform; keeps pins that still fit."""
    options = ["--universal", "--python-version=3.11", "--generate-hashes", "--no-emit-index-url", "--quiet"]
    note = "--custom-compile-command=python3 scripts/check.py --lock"
    for name in LOCKED:
        command = [str(_UV), "pip", "compile", *options, note, f"{name}.in", "--output-file", f"{name}.txt"]
        if subprocess.run(command, cwd=ROOT, check=False).returncode != 0:
            raise SetupError(f"Cannot compile {name}.in: see above. {name}.txt is as it was.")
        print(f"{name}.txt")


def _run_python(*arguments: str) -> Callable[[], tuple[bool, str]]:
    return lambda: _run(_python(*arguments), dict(os.environ), ROOT)


def _check_miniapp() -> tuple[bool, str]:
    build.install_packages()
    command, variables = build.npm_command(["run", "--silent", "check"])
    return _run(command, variables, build.MINIAPP)


def _run(command: Sequence[str], variables: Mapping[str, str], folder: Path) -> tuple[bool, str]:
    plain = {name: value for name, value in variables.items() if name != "FORCE_COLOR"}
    done = subprocess.run(
        command,
        cwd=folder,
        env={**plain, "NO_COLOR": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.returncode == 0, done.stdout


def _python(*arguments: str) -> list[str]:
    return [str(ROOT / ".venv" / "bin" / "python"), *arguments]


_UV = ROOT / ".venv" / "bin" / "uv"

if __name__ == "__main__":
    main()
