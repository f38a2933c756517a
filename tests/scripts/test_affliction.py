"""An afflicted process has another clock and a slower disk from one moment to the next; others notice nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from drills.affliction import Affliction

ANSWER = """
import json, os, sys, time
descriptor = os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY)
for _ in sys.stdin:
    begin = time.monotonic()
    os.fdatasync(descriptor)
    os.fsync(descriptor)
    seconds = time.monotonic() - begin
    print(json.dumps({"time": time.time(), "time_ns": time.time_ns(), "sync_s": seconds}), flush=True)
"""
HOUR_MS = 3_600_000
NEAR_S = 5.0


@contextmanager
def answering(folder: Path, variables: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", ANSWER, str(folder / "synced")]
    environment = {**os.environ, **variables}
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()


def ask(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write("\n")
    process.stdin.flush()
    return dict(json.loads(process.stdout.readline()))


def test_a_clock_jumps_while_the_process_runs_and_jumps_back(tmp_path: Path) -> None:
    affliction = Affliction(tmp_path / "affliction")
    with answering(tmp_path, affliction.variables()) as process:
        for shift_ms in (0, HOUR_MS, -HOUR_MS, 0):
            affliction.set(clock_ms=shift_ms)
            told = ask(process)
            expected = time.time() + shift_ms / 1000
            assert abs(told["time"] - expected) < NEAR_S
            assert abs(told["time_ns"] / 1e9 - expected) < NEAR_S


def test_syncs_take_as_long_as_they_are_told(tmp_path: Path) -> None:
    affliction = Affliction(tmp_path / "affliction")
    with answering(tmp_path, affliction.variables()) as process:
        affliction.set(sync_ms=150)
        assert ask(process)["sync_s"] >= 0.3
        assert abs(ask(process)["time"] - time.time()) < NEAR_S


def test_a_process_without_the_variables_is_not_touched(tmp_path: Path) -> None:
    Affliction(tmp_path / "affliction").set(clock_ms=HOUR_MS)
    with answering(tmp_path, {}) as process:
        assert abs(ask(process)["time"] - time.time()) < NEAR_S
