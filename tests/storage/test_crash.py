"""Killed at any moment, a node wakes up with whole blocks: none acknowledged is lost, none is there in part."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from pathlib import Path

from server.ledger.merkle import root_of
from server.storage.database import Database, DatabaseFault
from server.storage.ledger import Ledger
from server.storage.replay import replay_into, row_differences
from server.storage.vault import Vault
from tests.storage.conftest import NewUrl
from tests.storage.estate import VAULT_KEY, Estate, make_genesis

ROOT = Path(__file__).resolve().parents[2]
KILLS = 4


def run_and_kill(url: str, delay_s: float) -> int:
    """Start a node, kill it some time after its first block. Returns the last height it said was durable."""
    command = [sys.executable, "-m", "tests.storage.crashing_node", url]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "open\n"
        acknowledged = int(process.stdout.readline())
        time.sleep(delay_s)
    finally:
        process.kill()
        rest, _ = process.communicate()
    return max([acknowledged, *(int(line) for line in rest.split("\n")[:-1])])


async def open_after_kill(url: str) -> Database:
    """PostgreSQL notices only after a moment that its client is dead and lets go of the lock."""
    for _ in range(100):
        try:
            return await Database.open(url)
        except DatabaseFault:
            await asyncio.sleep(0.05)
    return await Database.open(url)


async def test_killed_node_wakes_up_with_whole_blocks(new_url: NewUrl) -> None:
    genesis, cluster_id = make_genesis()
    url = new_url()
    height = 0
    for turn in range(KILLS):
        acknowledged = run_and_kill(url, 0.013 * turn)
        async with await open_after_kill(url) as database:
            ledger = (await Estate.open(database)).ledger
            assert ledger.tip.height >= acknowledged > height
            height = ledger.tip.height
            entries = await ledger.contents(0, ledger.tip.size + 100)
            assert len(entries) == ledger.tip.size == 11 * height
            assert root_of(entries) == ledger.tip.root
            await ledger.inclusion_proof(ledger.tip.size - 1, ledger.tip.size)
    async with await Database.open(url) as database, await Database.open(new_url()) as fresh:
        ledger = (await Estate.open(database)).ledger
        target = await Ledger.open(fresh, genesis, cluster_id, Vault(VAULT_KEY))
        await replay_into(ledger, target, genesis, cluster_id)
        assert await row_differences(database, fresh) == []
        assert target.tip == ledger.tip
