"""A really full disk: the node ends and says so, does not begin without room, and begins where it was with room."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


def test_a_full_disk_ends_the_node_which_begins_again_when_there_is_room(tmp_path: Path) -> None:
    if subprocess.run(["unshare", "-rm", "true"], check=False).returncode != 0:
        pytest.skip("this machine gives no mount namespace")
    command = ["unshare", "-rm", sys.executable, "-m", "tests.node.crowded_node", str(tmp_path)]
    root = Path(__file__).resolve().parents[2]
    ended = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=90, check=False)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines() == ["no room to go on", "no room to begin: 75", "goes on where it was"]
