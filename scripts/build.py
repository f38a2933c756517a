"""Builds the mini-app: `web` (what a node serves) or `weapp` (what WeChat's tools open), into miniapp/dist.

A build whose sources have not changed is not repeated. Node.js is taken from PATH, else installed into .venv.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import environment
from environment import ROOT, SetupError, say

MINIAPP = ROOT / "miniapp"
TARGETS = ("web", "weapp")
NODE_MAJOR_MIN = 20
_SOURCES = ("miniapp/src", "miniapp/web", "miniapp/build", "schemas")
_SETTINGS = ("miniapp/package.json", "miniapp/package-lock.json", "miniapp/tsconfig.json")


def main() -> None:
    """Build what the command line names."""
    parser = argparse.ArgumentParser(description="Build the mini-app into miniapp/dist.")
    parser.add_argument("target", nargs="?", choices=[*TARGETS, "all"], default="web", help="which build (web)")
    parser.add_argument("--force", action="store_true", help="build even if no source has changed")
    parser.add_argument("--estate", type=Path, metavar="FILE", help="for weapp: a node's answer to GET /api/v1/estate")
    options = parser.parse_args()
    targets = TARGETS if options.target == "all" else (options.target,)
    if "weapp" in targets and options.estate is None:
        parser.error("weapp needs --estate FILE; save it with: curl -o estate.json http://NODE/api/v1/estate")
    for target in targets:
        print(build(target, force=options.force, estate=options.estate if target == "weapp" else None))


def build(target: str, *, force: bool = False, estate: Path | None = None) -> Path:
    """The folder with the finished build of `target`, built now if a source has changed. Raises SetupError.

    `estate` is compiled in as the first trust; the WeChat build cannot do without it.
    """
    with environment.held(MINIAPP, "building the mini-app") as lock:
        return _build(target, lock, estate, force=force)


def _build(target: str, lock: int, estate: Path | None, *, force: bool) -> Path:
    output = MINIAPP / "dist" / target
    stamp = MINIAPP / "dist" / f".{target}.stamp"
    digest = _digest_sources(estate)
    if not force and output.is_dir() and _read(stamp) == digest:
        return output
    _install_packages(lock)
    say(f"Building the mini-app for {target}.")
    named = ["--", "--estate", str(estate.resolve())] if estate else []
    run_npm(["run", "--silent", f"build:{target}", *named], lock)
    if not output.is_dir():
        raise SetupError(f"The build of the mini-app ended well but left no {output}.")
    stamp.write_text(digest)
    return output


def install_packages() -> None:
    """`npm ci` in miniapp, unless node_modules is of this very package-lock.json."""
    with environment.held(MINIAPP, "installing the mini-app's packages") as lock:
        _install_packages(lock)


def _install_packages(lock: int) -> None:
    stamp = MINIAPP / "node_modules" / ".linli-lock"
    digest = hashlib.sha256((MINIAPP / "package-lock.json").read_bytes()).hexdigest()
    if _read(stamp) == digest:
        return
    say("Installing the mini-app's packages with npm.")
    started = time.monotonic()
    run_npm(["ci", "--no-audit", "--no-fund"], lock)
    stamp.write_text(digest)
    say(f"Installed in {time.monotonic() - started:.0f} s.")


def run_npm(arguments: Sequence[str], lock: int) -> None:
    """Run npm in miniapp, which holds the lock until it ends. Raises SetupError with what it said when it fails."""
    command, variables = npm_command(arguments)
    done = subprocess.run(
        command,
        cwd=MINIAPP,
        env=variables,
        stdin=subprocess.DEVNULL,
        pass_fds=(lock,),
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    if done.returncode != 0:
        lines = [line for line in (done.stdout + done.stderr).splitlines() if not line.startswith("npm warn")]
        raise SetupError(f"`npm {' '.join(arguments)}` failed in {MINIAPP}:\n" + "\n".join(lines[:40]))


def npm_command(arguments: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """The command line of npm and its environment variables: for callers that want npm's own output on the screen."""
    folder = find_node()
    variables = {**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ.get('PATH', '')}"}
    return [str(folder / "npm"), *arguments], variables


def find_node() -> Path:
    """The folder with `node` and `npm`: of PATH if new enough, else of .venv, where they are installed when missing."""
    found = shutil.which("node")
    if found and shutil.which("npm", path=str(Path(found).parent)) and _major(found) >= NODE_MAJOR_MIN:
        return Path(found).parent
    folder = environment.ROOT / ".venv" / "bin"
    if not (folder / "npm").exists() or not environment.Environment().is_current("node"):
        say(f"This machine has no Node.js {NODE_MAJOR_MIN} or newer: installing one into .venv.")
        environment.ensure("node")
    return folder


def _major(node: str) -> int:
    done = subprocess.run([node, "--version"], capture_output=True, text=True, check=False)
    number = re.match(r"v(\d+)\.", done.stdout)
    return int(number[1]) if number else 0


def _digest_sources(estate: Path | None) -> str:
    """One digest over the names and bytes of everything that a build reads. Raises SetupError for a missing estate."""
    total = hashlib.sha256()
    if estate is not None:
        if not estate.is_file():
            raise SetupError(f"There is no {estate}.")
        total.update(estate.read_bytes())
    for path in _source_files():
        total.update(json.dumps([str(path.relative_to(ROOT)), path.stat().st_size]).encode())
        total.update(path.read_bytes())
    return total.hexdigest()


def _source_files() -> Iterator[Path]:
    for name in _SETTINGS:
        yield ROOT / name
    for name in _SOURCES:
        yield from sorted(path for path in (ROOT / name).rglob("*") if path.is_file())


def _read(path: Path) -> str:
    return path.read_text() if path.exists() else ""


if __name__ == "__main__":
    environment.finish(main)
