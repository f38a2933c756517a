"""Runs a program under several PYTHONHASHSEEDs: what depends on the order of a set then differs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SEEDS = ("0", "1", "4711")


def differing_outputs(program: str) -> set[str]:
    """What Python prints for this program, each different text once. Raises CalledProcessError when it fails."""
    return {
        subprocess.run(
            [sys.executable, "-c", program],
            cwd=ROOT,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": f"{ROOT}:{ROOT / 'scripts'}"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in SEEDS
    }
