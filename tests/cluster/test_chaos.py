"""Bad networks, stopped and killed processes, jumping clocks and full disks under all three jobs: every promise holds.

The long runs are `python3 scripts/drill.py chaos --seconds 600`; this is the same drill, as others call it.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from drills.troubles import NETWORK

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("cluster"), pytest.mark.timeout(420)]

ROOT = Path(__file__).resolve().parents[2]


async def run_chaos(*arguments: str) -> dict[str, Any]:
    command = [sys.executable, "scripts/drill.py", "chaos", "--json", *arguments]
    done = await asyncio.to_thread(subprocess.run, command, cwd=ROOT, capture_output=True, text=True)
    assert done.stdout, done.stderr
    report = dict(json.loads(done.stdout))
    print(done.stderr)
    assert done.returncode == len(report["faults"][:1]), done.stderr
    return report


def assert_all_jobs_went_on(report: dict[str, Any]) -> None:
    assert report["faults"] == []
    assert report["acknowledged"].keys() == {"ballots", "tickets", "points"}
    assert min(report["acknowledged"].values()) > 20
    assert report["photos"] > 10


async def test_three_nodes_keep_every_promise_through_a_minute_of_chaos() -> None:
    report = await run_chaos("--seed", "11", "--seconds", "60")
    assert_all_jobs_went_on(report)
    kinds = {trouble["kind"] for trouble in report["troubles"]}
    assert kinds | report["left_out"].keys() == NETWORK | {"pause", "kill", "clock", "sync", "disk"}
    assert all(report["left_out"].values()), "what is left out has a reason"


async def test_four_nodes_keep_every_promise_through_chaos() -> None:
    report = await run_chaos("--seed", "12", "--seconds", "40", "--nodes", "4")
    assert_all_jobs_went_on(report)
    assert report["nodes"] == 4
