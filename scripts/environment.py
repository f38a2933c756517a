"""The environment in which every program of this project runs: `.venv` in the project's root, made from hashed lists.

`ensure("runtime")` or `ensure("dev")` makes it or brings it up to date; when it is current this costs milliseconds.
`reexec_in_environment()` is the first call of a script that needs packages. Standard library only, and no syntax newer
than needed to tell an old Python that it is too old. It must not know what the packages do, nor change the system's
Python.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NoReturn

import machine

ROOT = Path(__file__).resolve().parents[1]
LISTS = {"runtime": "requirements.txt", "dev": "requirements-dev.txt", "node": "requirements-node.txt"}
"""What can be installed: a node's packages; those and the tests' tools; Node.js where the machine has none."""
PYTHON_MIN = (3, 11)
FREE_BYTES_MIN = {"runtime": 400_000_000, "dev": 900_000_000, "node": 400_000_000}
"""Measured size of the environment, and as much again for what pip unpacks on the way."""
_REEXEC_MARK = "LINLI_REEXECUTED"
_REASONS = (
    (r"No space left on device|Errno 28\b", "The disk is full."),
    (
        r"CERTIFICATE_VERIFY_FAILED|SSLError|invalid peer certificate",
        "The package index shows a certificate that this machine does not trust: behind a proxy of your organisation,"
        " set PIP_CERT to the file of its certificate.",
    ),
    (
        r"name resolution|Name or service not known|Network is unreachable|NewConnectionError|Connection refused"
        r"|ConnectTimeout|Read timed out|ProxyError|error sending request|dns error|Could not find a version",
        "The package index did not answer: check the network, or set PIP_INDEX_URL to an index that you can reach.",
    ),
    (r"DO NOT MATCH THE HASHES|[Hh]ash mismatch", "A package is not the one that was recorded. Nothing was installed."),
)


class SetupError(SystemExit):
    """The environment cannot be made. Its text says what is wrong and what to do; uncaught, it ends the program."""


class Environment:
    """One virtual environment. Tests make others than the project's own."""

    def __init__(self, root: Path = ROOT) -> None:
        self.root = root
        self.folder = root / ".venv"
        self.python = self.folder / "bin" / "python"
        self._stamp = self.folder / "linli.json"

    def is_current(self, kind: str) -> bool:
        """Whether the list of this kind is installed, unchanged since, for the Python that still stands there."""
        try:
            stamp = json.loads(self._stamp.read_text())
        except (OSError, ValueError):
            return False
        same_python = stamp.get("python") == os.path.realpath(self.python) and self.python.exists()
        return same_python and stamp.get("lists", {}).get(kind) == self._digest(kind)

    def needed_programs(self) -> tuple[machine.Program, ...]:
        """What the machine must have to make this environment: nothing more once it stands."""
        stands = any(self.is_current(kind) for kind in LISTS) or self._is_usable()
        return () if stands else (machine.VENV_MODULE,)

    def update(self, kind: str) -> None:
        """Make the environment and install the list of this kind; waits for another process that does the same."""
        with held(self.root, "preparing the environment"):
            if self.is_current(kind):
                return
            self._make()
            self._install(kind)
            self._write_stamp(kind)

    def _digest(self, kind: str) -> str:
        return hashlib.sha256((self.root / LISTS[kind]).read_bytes()).hexdigest()

    def _make(self) -> None:
        inside = _same_file(Path(sys.prefix), self.folder)
        if inside or self._is_usable():
            return
        say(f"Making {self.folder} with Python {sys.version.split()[0]}.")
        output = run([sys.executable, "-m", "venv", "--clear", str(self.folder)])
        if output is not None:
            raise SetupError(f"Cannot make {self.folder}. {_explain(output)}")

    def _is_usable(self) -> bool:
        """Whether its Python starts, is new enough and has pip: an interrupted or outdated environment is made anew."""
        question = f"import pip, sys; sys.exit(sys.version_info < {PYTHON_MIN})"
        return self.python.exists() and run([str(self.python), "-I", "-c", question]) is None

    def _install(self, kind: str) -> None:
        names = self.root / LISTS[kind]
        total = len(re.findall(r"^[A-Za-z0-9].*==", names.read_text(), re.MULTILINE))
        free = shutil.disk_usage(self.root).free
        if free < FREE_BYTES_MIN[kind]:
            raise SetupError(f"{self.root} has {free >> 20} MiB free; {FREE_BYTES_MIN[kind] >> 20} MiB are needed.")
        say(f"Installing up to {total} packages of {names.name} into .venv; the first time this takes a minute or two.")
        started = time.monotonic()
        output: str | None = "not tried"
        for command in self._installers(names):
            output = run(command, total)
            if output is None:
                say(f"Installed in {time.monotonic() - started:.0f} s.")
                return
        raise SetupError(f"Cannot install {names.name}. {_explain(output or '')}")

    def _installers(self, names: Path) -> Iterator[list[str]]:
        """uv where the environment has it, for speed; then pip, which alone knows the machine's pip configuration."""
        uv = self.folder / "bin" / "uv"
        if uv.exists():
            yield [str(uv), "pip", "install", "--python", str(self.python), "--require-hashes", "-r", str(names)]
        pip = [str(self.python), "-m", "pip", "--disable-pip-version-check", "--no-input", "install"]
        yield [*pip, "--progress-bar=off", "--require-hashes", "-r", str(names)]

    def _write_stamp(self, kind: str) -> None:
        """Note what is installed. Lists share their pins (a test holds that), so those that were current stay so."""
        current = {other for other in LISTS if self.is_current(other)} | {kind}
        if kind == "dev":
            current.add("runtime")
        lists = {name: self._digest(name) for name in sorted(current)}
        temporary = self._stamp.with_suffix(".new")
        temporary.write_text(json.dumps({"python": os.path.realpath(self.python), "lists": lists}))
        temporary.replace(self._stamp)


def ensure(kind: str = "runtime", *, browser: bool = False, database: bool = False) -> Path:
    """Make everything ready and return the environment's Python.

    `kind` is a key of LISTS. `browser` and `database` also ask the machine for Chromium with Chinese fonts, and for
    PostgreSQL and Redis: without them the tests that need them are skipped, but where CI=true they are demanded.
    Raises SetupError with what to do.
    """
    if sys.version_info < PYTHON_MIN:
        raise SetupError(f"Python 3.11 or newer is needed; this is {sys.version.split()[0]} ({sys.executable}).")
    environment = Environment()
    wanted = (*(machine.DATABASES if database else ()), *(machine.BROWSERS if browser else ()))
    missing = machine.provide([*environment.needed_programs(), *wanted])
    if machine.VENV_MODULE in missing:
        raise SetupError(f"Without {machine.VENV_MODULE.name} nothing can be installed: first run the command above.")
    if missing and os.environ.get("CI") == "true":
        raise SetupError("CI needs everything: " + ", ".join(program.name for program in missing) + " is missing.")
    if missing:
        say("Going on without; tests that need it are skipped and counted.")
    if not environment.is_current(kind):
        try:
            environment.update(kind)
        except OSError as error:
            raise SetupError(f"Cannot prepare {environment.folder}. {_explain(str(error))}") from None
    return environment.python


def reexec_in_environment(kind: str = "runtime") -> None:
    """Continue this program inside the environment, and let it import `server`. The first call of a script.

    Returns at once inside the environment; outside it prepares the environment and replaces the process.
    """
    python = ensure(kind)
    if _same_file(Path(sys.prefix), python.parents[1]):
        if str(ROOT) not in sys.path:
            sys.path.insert(0, str(ROOT))
        return
    if os.environ.get(_REEXEC_MARK) == str(os.getpid()):
        raise SetupError(f"{python} does not run inside {python.parents[1]}: remove that folder and try again.")
    _replace_process(python, sys.orig_argv[1:])


def run(command: Sequence[str], total: int = 0) -> str | None:
    """Run an installer; None when it succeeded, else the end of what it printed. Tells how many of `total` it found."""
    unwanted = {"PYTHONPATH", "PYTHONHOME", "PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PIP_REQUIRE_VIRTUALENV"}
    clean = {name: value for name, value in os.environ.items() if name not in unwanted}
    tail: deque[str] = deque(maxlen=25)
    collected = 0
    with subprocess.Popen(
        command,
        env=clean,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    ) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                tail.append(line.rstrip())
                collected += line.startswith("Collecting ")
                if total and line.startswith("Collecting ") and collected % max(total // 5, 1) == 0:
                    say(f"  {collected} of {total} found")
        except BaseException:
            process.kill()
            raise
    return None if process.returncode == 0 else "\n".join(tail) or f"exit code {process.returncode}"


@contextlib.contextmanager
def held(folder: Path, what: str) -> Iterator[int]:
    """One process at a time does `what` in a folder, which must exist; others wait, and say so.

    Gives the lock's descriptor. A child that inherits it keeps the lock even if this process is killed.
    """
    descriptor = os.open(folder, os.O_RDONLY)  # the folder itself is the lock: no file to leave behind
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"Another process is {what}; waiting for it.")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


def finish(main: Callable[[], int | None]) -> NoReturn:
    """Run a program's `main` and exit with what it returns; Ctrl-C ends it with a word instead of a traceback.

    A terminal that has no Chinese letters shows question marks for them rather than ending the program.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        say("\nInterrupted.")
        sys.exit(128 + signal.SIGINT)


def say(sentence: str) -> None:
    """Tell the person in front of the screen what goes on; on the error stream, so that output stays clean."""
    print(sentence, file=sys.stderr, flush=True)


def _explain(output: str) -> str:
    """The likely reason in a sentence, then what the tool said."""
    reason = next((text for pattern, text in _REASONS if re.search(pattern, output)), "")
    return f"{reason}\n{output}".strip()


def _same_file(one: Path, other: Path) -> bool:
    return one.exists() and other.exists() and one.samefile(other)


def _replace_process(python: Path, arguments: Sequence[str]) -> NoReturn:
    sys.stdout.flush()
    sys.stderr.flush()
    mark = {_REEXEC_MARK: str(os.getpid())}  # the process id stays the same over exec, and no child shares it
    os.execve(python, [str(python), *arguments], {**os.environ, **mark})  # noqa: S606 - our own Python
