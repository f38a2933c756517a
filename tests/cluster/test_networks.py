"""Three nodes in three networks and a cable that is really pulled: nobody acknowledges anything, and they find out."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("cluster"), pytest.mark.timeout(240)]

ROOT = Path(__file__).resolve().parents[2]
EXIT_LEFT_OUT = 2


async def test_a_node_whose_cable_is_pulled_is_missed_and_comes_back_by_itself() -> None:
    command = [sys.executable, "scripts/drill.py", "partition", "--networks"]
    done = await asyncio.to_thread(subprocess.run, command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode == EXIT_LEFT_OUT:
        pytest.skip(done.stdout.strip())
    print(done.stdout)
    assert done.returncode == 0, done.stderr
    assert "url=http://10.77.0.13:" in done.stdout, "each node has an address of its own"
    assert "street    readyz: 503 only 1 of 3 nodes are reached" in done.stdout
    assert "The record that it was handed meanwhile is in the log now" in done.stdout
    assert "All nodes hold the same log, signed by all" in done.stdout
