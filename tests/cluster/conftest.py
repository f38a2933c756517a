"""One cluster for all tests of a module: each leaves three running nodes behind."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.cluster.running import Town, running_town

VOTERS = 16


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Town]:
    """Three node processes with sixteen voters."""
    async with running_town(tmp_path_factory.mktemp("town"), VOTERS) as town:
        yield town


@pytest_asyncio.fixture(loop_scope="module")
async def town(running: Town) -> Town:
    """The cluster of the module with every node up: a test that failed leaves the next one nothing to mend."""
    await running.start(*running.cluster.nodes)
    return running
