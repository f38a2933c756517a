"""Starting a simulator as the demo does: a process of its own that ends with the tests."""

from __future__ import annotations

import contextlib
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.postgres import await_start, dies_with_parent

FOLDER = Path(__file__).parents[2] / "scripts" / "simulators"


@contextlib.contextmanager
def running_simulator(name: str, *options: str) -> Iterator[str]:
    """A running simulator, by the name of its file; yields its address."""
    with tempfile.TemporaryDirectory(prefix="linli-simulator-") as folder:
        log = Path(folder) / "log"
        command = [sys.executable, str(FOLDER / f"{name}.py"), *options]
        with log.open("wb") as output, dies_with_parent(command, "TERM", output.fileno()) as process:
            await_start(process, lambda: log.read_text().endswith("\n"), log)
            yield log.read_text().strip()
