"""One running node for all tests of a module: each test makes its own people, so none sees another's."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.api.running import Site, running_site


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """A node of an estate with one organisation."""
    async with running_site(tmp_path_factory.mktemp("site")) as running:
        yield running
