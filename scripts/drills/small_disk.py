"""A data folder that can be full: a file system of its own in memory, in a mount namespace that ends with the drill.

Where such a namespace cannot be had (`unshared.py`), `find_obstacle` says so, and drills leave the fault out with that
word. Nothing is ever mounted where other programs could see it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path

from drills.unshared import is_unshared

DISK_BYTES = 192 * 1024 * 1024
"""SQLite's WAL grows to 32 MB before it is moved; a drill's photos are some MB. Only what is kept takes memory."""
FREE_BYTES_MAX = 4 * 1024 * 1024
"""A node that lives on may give some space back meanwhile."""
_PIECES = (1024 * 1024, 4096, 1)


def find_obstacle() -> str:
    """Why no disk can be made full here; empty when one can."""
    if is_unshared("mount"):
        return ""
    return "mounting a small disk takes root, or a machine that gives everybody a user namespace (unshare -rm)"


class SmallDisk:
    """Mutable. The file system of one node's data folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ballast = folder / "ballast"

    def mount(self) -> None:
        """Mount over the folder, which is empty. Raises CalledProcessError."""
        self._folder.mkdir(parents=True, exist_ok=True)
        options = f"size={DISK_BYTES},mode=700"
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", str(self._folder)], check=True)

    def fill(self) -> None:
        """Leave not one byte free."""
        descriptor = os.open(self._ballast, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            for size in _PIECES:
                piece = bytes(size)
                with suppress(OSError):
                    while True:
                        os.write(descriptor, piece)
        finally:
            os.close(descriptor)
        assert shutil.disk_usage(self._folder).free < FREE_BYTES_MAX, "the disk is full"

    def free(self) -> None:
        """Give the space back."""
        self._ballast.unlink(missing_ok=True)

    def put_back(self) -> None:
        """Unmount, with the content left in the folder: what was there at the end can be looked at later."""
        if not self._folder.is_mount():
            return
        kept = self._folder.with_name(f"{self._folder.name}.kept")
        shutil.copytree(self._folder, kept, ignore=shutil.ignore_patterns(self._ballast.name))
        subprocess.run(["umount", "--lazy", str(self._folder)], check=True)
        self._folder.rmdir()
        kept.rename(self._folder)
