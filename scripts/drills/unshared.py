"""Running a program anew in a namespace of its own, so that what it mounts or wires up is seen by nobody else.

It takes root, or a machine that lets everybody have a user namespace. What was made ends with the program, however that
ends. Where it cannot be had, the caller goes on without and says so.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import Literal

Kind = Literal["mount", "net"]
PROBES: dict[Kind, str] = {
    "mount": "mount -t tmpfs none /mnt",
    "net": "ip link add probe0 type bridge && ip link add probe1 type veth peer name probe2 && ip link set lo up",
}
"""What must succeed in such a namespace."""


def is_unshared(kind: Kind) -> bool:
    """Does this program run in a namespace of its own?"""
    return _mark(kind) in os.environ


def reexec_unshared(kind: Kind) -> None:
    """Run this program anew in a namespace of its own, if the machine allows it; else return."""
    prefix = None if is_unshared(kind) else _find_command(kind)
    if prefix is not None:
        os.environ[_mark(kind)] = "1"
        os.execvp(prefix[0], [*prefix, sys.executable, *sys.argv])  # noqa: S606 - the same program, in a namespace


def _mark(kind: Kind) -> str:
    return f"LINLI_UNSHARED_{kind.upper()}"


def _find_command(kind: Kind) -> list[str] | None:
    program = shutil.which("unshare")
    if program is None:
        return None
    command = [program, f"--{kind}", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    done = subprocess.run([*command, "sh", "-c", PROBES[kind]], capture_output=True, check=False)
    return command if done.returncode == 0 else None
