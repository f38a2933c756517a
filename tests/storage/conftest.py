"""Every test of storage runs on SQLite and on PostgreSQL; addresses are made by the tests' own servers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from server.storage.database import Database
from tests.postgres import PostgresServer
from tests.storage.estate import Estate

NewUrl = Callable[[], str]


def make_tables(url: str) -> None:
    """Bring an empty database to the newest tables, as the first start of a node does."""

    async def work() -> None:
        async with await Database.open(url) as opened:
            await opened.keep_derived()

    asyncio.run(work())


@pytest.fixture(params=["sqlite", "postgres"])
def dialect(request: pytest.FixtureRequest) -> str:
    """Which database a test runs on."""
    return str(request.param)


@pytest.fixture
def new_url(dialect: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[NewUrl]:
    """Addresses of new, empty databases."""
    made: list[str] = []
    server: PostgresServer | None = request.getfixturevalue("postgres") if dialect == "postgres" else None
    template = server.template("storage", make_tables) if server else ""

    def make() -> str:
        if server is None:
            made.append(f"node-{len(made)}.db")
            return f"sqlite://{tmp_path / made[-1]}"
        made.append(server.create(template))
        return server.url(made[-1])

    yield make
    if server is not None:
        for name in made:
            server.drop(name)


@pytest.fixture
def url(new_url: NewUrl) -> str:
    """The address of one new database."""
    return new_url()


@pytest_asyncio.fixture
async def database(url: str) -> AsyncIterator[Database]:
    """An open, empty database."""
    async with await Database.open(url) as opened:
        yield opened


@pytest_asyncio.fixture
async def estate(database: Database) -> Estate:
    """A new ledger on it."""
    return await Estate.open(database)
