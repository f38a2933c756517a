"""Three nodes get a later release one by one under all three jobs, and its rules begin: nothing is lost or doubled.

The older release is the product's own program; `python3 scripts/drill.py upgrade --old COMMIT` takes that of a commit.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("cluster"), pytest.mark.timeout(420)]

ROOT = Path(__file__).resolve().parents[2]


async def test_three_nodes_are_upgraded_one_by_one_under_load_and_the_new_rules_begin() -> None:
    command = [sys.executable, "scripts/drill.py", "upgrade", "--json"]
    done = await asyncio.to_thread(subprocess.run, command, cwd=ROOT, capture_output=True, text=True)
    assert done.stdout, done.stderr
    report = dict(json.loads(done.stdout))
    print(done.stderr)
    assert report["faults"] == [], done.stderr
    assert done.returncode == 0
    assert report["away_s"].keys() == {"owners", "property", "street"}
    assert report["acknowledged"].keys() == {"ballots", "tickets", "points"}
    assert min(report["acknowledged"].values()) > 20
    assert 0 < report["activation_height"] < report["height"]
    assert "this release is too old: it knows rules up to 1" in report["outdated"]
