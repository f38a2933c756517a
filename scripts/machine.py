"""The programs that this machine itself must provide: a database server, Redis, a browser, a Chinese font, venv.

Finds them, and installs what is missing with apt-get where the caller is root on Debian or Ubuntu; otherwise it says
the exact command. Standard library only. It must not know what the programs are used for, nor touch Python packages.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

APT_SECONDS_MAX = 1_200
"""The browser and the font are 250 MB; a slow mirror needs minutes, a dead one must not hold CI until its end."""
TIMED_OUT = 124
"""Exit code of `timeout` when the time was up."""
_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_FONT_FOLDERS = ("/usr/share/fonts", "/usr/local/share/fonts", "~/.fonts", "~/.local/share/fonts")


@dataclass(frozen=True)
class Program:
    """Something to find on the machine: its name in words, the Debian package that brings it, and how to find it."""

    name: str
    package: str
    find: Callable[[], Path | None]


def find_postgresql() -> Path | None:
    """The folder with `initdb`, `postgres` and `psql`: Debian keeps it off PATH. The newest version wins."""
    versions = Path("/usr/lib/postgresql").glob("*/bin")
    folders = sorted(versions, key=lambda path: _number(path.parent.name), reverse=True)
    on_path = shutil.which("initdb")
    candidates = [*folders, *([Path(on_path).resolve().parent] if on_path else [])]
    return next((path for path in candidates if (path / "initdb").exists() and (path / "postgres").exists()), None)


def find_redis() -> Path | None:
    """The Redis server, or Valkey's, which speaks the same protocol."""
    return _which("redis-server", "valkey-server")


def find_etcd() -> Path | None:
    """The etcd server."""
    return _which("etcd")


def find_browser() -> Path | None:
    """Chromium or Chrome, as the system packages it."""
    return _which(*_BROWSERS)


def find_chinese_font() -> Path | None:
    """A file of Noto CJK: without it a browser shows boxes, and pictures of pages prove nothing."""
    folders = (Path(folder).expanduser() for folder in _FONT_FOLDERS)
    return next((found for folder in folders for found in folder.rglob("Noto*CJK*")), None)


def find_venv_module() -> Path | None:
    """`ensurepip`, without which `python3 -m venv` makes an environment that has no pip."""
    found = importlib.util.find_spec("ensurepip")
    return Path(found.origin) if found is not None and found.origin else None


DATABASES = (Program("PostgreSQL", "postgresql", find_postgresql), Program("Redis", "redis-server", find_redis))
ETCD = Program("etcd", "etcd-server", find_etcd)
"""Only the bench asks for it, and goes on without it; neither tests nor a node need it."""
BROWSERS = (
    Program("Chromium", "chromium", find_browser),
    Program("Noto CJK fonts", "fonts-noto-cjk", find_chinese_font),
)
VENV_MODULE = Program(
    "Python's venv module", f"python{sys.version_info.major}.{sys.version_info.minor}-venv", find_venv_module
)


def provide(programs: Iterable[Program]) -> tuple[Program, ...]:
    """Install what is missing if this user may, else say how. Returns what is missing afterwards."""
    missing = find_missing(programs)
    if not missing:
        return ()
    names = ", ".join(program.name for program in missing)
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        print(f"Missing on this machine: {names}. An administrator can install it with:", flush=True)
        print(f"    {install_command(missing)}", flush=True)
        return missing
    print(f"Installing {names} with apt-get; this can take some minutes.", flush=True)
    _apt_get("update")
    _apt_get("install", "--yes", "--no-install-recommends", *(program.package for program in missing))
    importlib.invalidate_caches()
    return find_missing(missing)


def find_missing(programs: Iterable[Program]) -> tuple[Program, ...]:
    """Those of `programs` that are not on this machine."""
    return tuple(program for program in programs if program.find() is None)


def install_command(programs: Iterable[Program]) -> str:
    """The command that an administrator types."""
    packages = " ".join(program.package for program in programs)
    return f"sudo apt-get update && sudo apt-get install --yes {packages}"


def _apt_get(*arguments: str) -> None:
    """Run apt-get, telling how far it is; on failure say why and go on: the caller sees what is still missing."""
    # RUNLEVEL=1: without systemd the packages then start no service of their own; the tests start private ones.
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1", "LC_ALL": "C.UTF-8"}
    tail: deque[str] = deque(maxlen=12)
    with subprocess.Popen(
        ["timeout", f"{APT_SECONDS_MAX}", "apt-get", "--quiet", "-o", "DPkg::Lock::Timeout=300", *arguments],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    ) as process:
        assert process.stdout is not None
        for line in tell_progress(process.stdout):
            tail.append(line.rstrip())
    if process.returncode == TIMED_OUT:
        print(f"`apt-get {arguments[0]}` did not end within {APT_SECONDS_MAX // 60} minutes.", flush=True)
    elif process.returncode != 0:
        print(f"`apt-get {' '.join(arguments)}` failed:\n" + "\n".join(tail), flush=True)


def tell_progress(lines: Iterable[str]) -> Iterator[str]:
    """The same lines; on the way it says a few times how many of the announced packages are there."""
    total, done = 0, {"Unpacking": 0, "Setting up": 0}
    for line in lines:
        if announced := re.search(r"(\d+) upgraded, (\d+) newly installed", line):
            total = int(announced[1]) + int(announced[2])
        elif needed := re.match(r"Need to get (.*) of archives", line):
            print(f"  fetching {needed[1]}", flush=True)
        for word in done:
            if line.startswith(f"{word} "):
                done[word] += 1
                if done[word] % max(total // 3, 1) == 0 and total:
                    print(f"  {word.lower()} package {done[word]} of {total}", flush=True)
        yield line


def _which(*names: str) -> Path | None:
    found = next(filter(None, map(shutil.which, names)), None)
    return Path(found) if found else None


def _number(text: str) -> int:
    return int(text) if text.isdigit() else 0
