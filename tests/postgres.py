"""A private PostgreSQL server for tests: a Unix socket, no TCP, nothing durable, gone with the process that made it."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

USER = "linli-tests"
"""PostgreSQL refuses to run as root; under root it runs as this system user, which owns nothing else."""
START_SECONDS_MAX = 60
_SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "shared_buffers": "32MB",
    "autovacuum": "off",
}


class PostgresServer:
    """A running server. Databases are made from a template, which takes a tenth of making their tables anew."""

    def __init__(self, folder: Path, programs: Path) -> None:
        self.folder = folder
        self._programs = programs
        self._templates: dict[str, str] = {}

    def url(self, database: str) -> str:
        """The address of a database, as Tortoise takes it; more parameters may follow with `&`."""
        return f"asyncpg://postgres@/{database}?host={self.folder}"

    def create(self, template: str = "template0") -> str:
        """Make a database like `template`, which nobody may be connected to. Returns its name."""
        name = f"t{uuid.uuid4().hex}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
        return name

    def drop(self, name: str) -> None:
        """Remove a database, and whoever is still connected to it."""
        self.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def template(self, key: str, prepare: Callable[[str], None]) -> str:
        """The template called `key`; the first time it is made by `prepare(url)`, which must close its connections."""
        if key not in self._templates:
            name = self.create()
            try:
                prepare(self.url(name))
            except BaseException:
                self.drop(name)
                raise
            self._templates[key] = name
        return self._templates[key]

    def execute(self, statement: str, database: str = "postgres") -> str:
        """Run SQL and return what it printed, one row a line, columns parted by `|`."""
        options = ["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1"]
        command = [str(self._programs / "psql"), *options, f"--host={self.folder}", "--username=postgres"]
        done = subprocess.run([*command, database, f"--command={statement}"], capture_output=True, text=True)
        assert done.returncode == 0, f"{statement}: {done.stderr}"
        return done.stdout.strip()

    def answers(self) -> bool:
        """Whether it accepts connections by now."""
        ready = [str(self._programs / "pg_isready"), "--quiet", f"--host={self.folder}", "--username=postgres"]
        return subprocess.run(ready).returncode == 0


@contextlib.contextmanager
def running_postgres(programs: Path) -> Iterator[PostgresServer]:
    """A server started from the programs in this folder, stopped and wiped at the end, whatever happens."""
    folder = Path(tempfile.mkdtemp(prefix="linli-postgres-"))  # not under pytest's, which other users cannot enter
    try:
        rights = _as_test_user(folder)
        data = folder / "data"
        initdb = [str(programs / "initdb"), f"--pgdata={data}", "--auth=trust", "--username=postgres", "--no-sync"]
        _run([*rights, *initdb, "--encoding=UTF8", "--locale=C.UTF-8"])
        settings = [f"-c{name}={value}" for name, value in {**_SETTINGS, "unix_socket_directories": folder}.items()]
        command = [str(programs / "postgres"), "-D", str(data), *settings]
        with (folder / "log").open("wb") as log, dies_with_parent([*rights, *command], "INT", log.fileno()) as process:
            server = PostgresServer(folder, programs)
            await_start(process, server.answers, folder / "log")
            yield server
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def dies_with_parent(command: list[str], signal_name: str, output: int) -> Iterator[subprocess.Popen[bytes]]:
    """A child process that Linux ends even if this process is killed; ended here otherwise."""
    if command[0] == "setpriv":
        command = ["setpriv", f"--pdeathsig={signal_name}", *command[1:]]
    elif shutil.which("setpriv"):
        command = ["setpriv", f"--pdeathsig={signal_name}", *command]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
    try:
        yield process
    finally:
        process.send_signal(signal.Signals[f"SIG{signal_name}"])  # INT: PostgreSQL does not wait for its clients
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def await_start(process: subprocess.Popen[bytes], answers: Callable[[], bool], log: Path) -> None:
    """Wait until the server answers; if it ends or takes too long, fail with what it logged."""
    deadline = time.monotonic() + START_SECONDS_MAX
    while not answers():
        ended = process.poll() is not None
        assert not ended and time.monotonic() < deadline, f"{process.args} did not start:\n{log.read_text()}"
        time.sleep(0.02)


def _as_test_user(folder: Path) -> list[str]:
    """As root: give the folder to the tests' user and return the start of a command that becomes that user."""
    if os.geteuid() != 0:
        return []
    _make_user()
    shutil.chown(folder, USER, USER)
    return ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups"]


def _make_user() -> None:
    """Two test workers may do so at once: the loser finds the user there, or the file locked for a moment."""
    command = ["useradd", "--system", "--user-group", "--no-create-home", "--shell=/usr/sbin/nologin", USER]
    said = ""
    for _ in range(50):
        with contextlib.suppress(KeyError):
            pwd.getpwnam(USER)
            return
        said = subprocess.run(command, capture_output=True, text=True).stderr
        time.sleep(0.1)
    raise AssertionError(f"cannot make the system user {USER}: {said}")


def _run(command: list[str]) -> None:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, cwd="/")
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
