"""Run by `test_full_disk.py` in a mount namespace: a node on a small disk that is filled under it, and freed."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

from drills.small_disk import SmallDisk
from server.__main__ import configure_logging, run_to_end
from server.node.driver import NodeFailed
from server.node.opening import open_node
from server.node.room import lacks_room
from tests.node.alone import Alone


async def fill_under(alone: Alone, disk: SmallDisk) -> None:
    """Submit records on a disk that becomes full, until the node ends."""
    async with open_node(alone.config()) as node:
        assert (await alone.submit(node)).state == "ordered"
        disk.fill()
        for _ in range(1_000):
            await node.submit(await alone.admit(node), (), wait_ms=100)


async def go_on(alone: Alone) -> None:
    """The node orders again."""
    async with open_node(alone.config()) as node:
        assert node.ledger.tip.size > 0
        assert (await alone.submit(node)).state == "ordered"


def main(folder: Path) -> None:
    """Say on the output what happened, a line each."""
    configure_logging()
    alone = Alone(folder)
    disk = SmallDisk(alone.data)
    disk.mount()
    try:
        asyncio.run(fill_under(alone, disk))
    except NodeFailed as error:
        if lacks_room(alone.data, str(error)):
            print("no room to go on")
    disk.fill()
    print(f"no room to begin: {run_to_end(alone.config())}")
    disk.free()
    alone.count += 1_000
    asyncio.run(go_on(alone))
    print("goes on where it was")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
