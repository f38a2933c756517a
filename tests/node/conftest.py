"""One running node for all tests of a module, where each makes its own people; keys for desks that are connected."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

import keys
from server.record.canonical import b64u_decode
from tests.api.running import Site, running_site


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """A node of an estate with one organisation."""
    async with running_site(tmp_path_factory.mktemp("site")) as running:
        yield running


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, bytes]]:
    """Key folders of two organisations; their certificates by member."""
    folder = tmp_path_factory.mktemp("keys")
    made = {
        name: keys.make_organisation(folder / name, name, name, [f"officer-{name}"], bytes(32))
        for name in ("owners", "street")
    }
    return folder, {name: b64u_decode(one.transport_certificate) for name, one in made.items()}
