"""The neighbourhood that the tests of the rules live in."""

from __future__ import annotations

import pytest

from tests.domain.world import World, settled_world


@pytest.fixture
def world() -> World:
    """A settled neighbourhood of its own for each test."""
    return settled_world()
