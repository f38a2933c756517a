"""What shares a node, a site or the machine's patience is run by one worker: pytest-xdist honours its groups."""

import subprocess
import sys
from pathlib import Path

GROUPED = """
import pytest

@pytest.mark.xdist_group("one")
@pytest.mark.parametrize("number", range(6))
def test_group(number, worker_id):
    with open("workers.txt", "a") as file:
        file.write(worker_id + chr(10))
"""


def test_tests_of_one_group_run_in_one_worker(tmp_path: Path) -> None:
    for name in ("test_first.py", "test_second.py"):
        (tmp_path / name).write_text(GROUPED)
    command = [sys.executable, "-m", "pytest", "-q", "-c", "/dev/null", "--rootdir=.", "-n2", "--dist=loadgroup"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout
    workers = (tmp_path / "workers.txt").read_text().split()
    assert (len(workers), len(set(workers))) == (12, 1)
