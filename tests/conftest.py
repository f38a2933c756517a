"""What every test may ask for: private servers, a browser, the data that lies beside the project.

Servers are started once a worker by synchronous fixtures, so that no event loop outlives a test. What a machine lacks
is skipped, but fails where CI=true.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from multiprocessing.util import Finalize
from pathlib import Path
from typing import NoReturn

import pytest
from hypothesis import settings

import machine
from tests.postgres import PostgresServer, running_postgres
from tests.redis_server import RedisServer, running_redis

ROOT = Path(__file__).resolve().parents[1]

settings.register_profile("repeatable", derandomize=True, deadline=None, print_blob=True)
settings.register_profile("explore", derandomize=False, deadline=None, print_blob=True, max_examples=2_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))


def pytest_configure(config: pytest.Config) -> None:
    """Give the run a folder for what its programs leave when they are killed, as tests do; pytest's own stay outside.

    It goes when this process ends, also after a failure or Ctrl-C. Its path is short: a socket's may have 108 bytes.
    The workers of xdist inherit it and leave it alone.
    """
    if hasattr(config, "workerinput"):
        return
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", tempfile.gettempdir())
    scratch = Path(tempfile.mkdtemp(prefix="linli-tests-"))
    scratch.chmod(0o711)  # servers that run as another user look for their own folders in it
    # After multiprocessing has removed its own folder in there (priority -100), else it complains at the end.
    Finalize(None, shutil.rmtree, (scratch,), {"ignore_errors": True}, exitpriority=-200)
    os.environ["TMPDIR"] = tempfile.tempdir = str(scratch)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The tests of a file that share one event loop share a site as well: one worker runs them, in their order."""
    for item in items:
        shares_a_loop = any(mark.kwargs.get("loop_scope") == "module" for mark in item.iter_markers("asyncio"))
        if shares_a_loop and item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(item.path.stem))


def lack(what: str, programs: tuple[machine.Program, ...] = ()) -> NoReturn:
    """This machine lacks something: a skip with the reason and the remedy, but a failure in CI."""
    if programs:
        what = f"{what}: {machine.install_command(machine.find_missing(programs))}"
    if os.environ.get("CI") == "true":
        pytest.fail(f"CI needs {what}")
    pytest.skip(f"needs {what}")


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server of this worker alone."""
    programs = machine.find_postgresql()
    if programs is None:
        lack("PostgreSQL", machine.DATABASES)
    with running_postgres(programs) as server:
        yield server


@pytest.fixture
def postgres_url(postgres: PostgresServer) -> Iterator[str]:
    """The address of an empty database, dropped after the test."""
    name = postgres.create()
    yield postgres.url(name)
    postgres.drop(name)


@pytest.fixture
def postgres_clone(postgres: PostgresServer) -> Iterator[Callable[[str, Callable[[str], None]], str]]:
    """A function of a template's key and of what fills it from its url; each call returns the url of a fresh copy.

    The filling runs once a worker, outside of any event loop (`asyncio.run` is fine), and closes its connections.
    """
    names: list[str] = []

    def clone(key: str, prepare: Callable[[str], None]) -> str:
        names.append(postgres.create(postgres.template(key, prepare)))
        return postgres.url(names[-1])

    yield clone
    for name in names:
        postgres.drop(name)


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """A Redis server of this worker alone."""
    program = machine.find_redis()
    if program is None:
        lack("Redis", machine.DATABASES)
    with running_redis(program) as server:
        yield server


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """The address of an empty Redis."""
    redis_server.empty()
    return redis_server.url


@pytest.fixture(scope="session")
def chromium() -> Path:
    """The system's Chromium, on a machine that has Chinese letters. Under root it needs `--no-sandbox`."""
    program = machine.find_browser()
    if program is None or machine.find_chinese_font() is None:
        lack("a browser and Chinese letters", machine.BROWSERS)
    return program


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real files and independent vectors beside the project; it is not part of the repository."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        lack(f"the shared test data in {folder}")
    return folder
