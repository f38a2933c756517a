"""A disk or database that fails ends the node with one clear failure; nothing leaves it that was not durable."""

from __future__ import annotations

import asyncio
import errno
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from server.consensus.frames import decode_frame, encode_frame
from server.consensus.messages import PrePrepareMessage, Status
from server.node.driver import NodeFailed
from server.node.node import Stopped, Submission
from server.node.opening import open_node
from tests.node.alone import Alone, make_pair, reach, silent_peer

STANDS_AT_THE_BEGINNING = Status(
    accused=(), attachments_missing=False, commits=(), cosigned=(), executed=(), height=0, mode="normal",
    prepares=(), size=0, tip="", view=0, voted="",
)  # fmt: skip


def break_disk(patch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Have every further sync of the journal fail as on a full disk. Returns what mends it."""
    whole = os.fdatasync

    def fail(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    patch.setattr(os, "fdatasync", fail)
    return lambda: patch.setattr(os, "fdatasync", whole)


async def fail_at(alone: Alone, damage: Callable[[], object]) -> asyncio.Task[Submission]:
    """Run a node, damage what lies under it, and submit a record. Returns the submission, which has ended."""
    submitting: list[asyncio.Task[Submission]] = []
    async with open_node(alone.config()) as node:
        assert (await alone.submit(node)).state == "ordered"
        work = await alone.admit(node)
        damage()
        submitting.append(asyncio.create_task(node.submit(work, (), wait_ms=60_000)))
        try:
            await asyncio.sleep(60)
        finally:
            assert node.stop is not None
            with pytest.raises(Stopped):
                await node.submit(await alone.admit(node), (), wait_ms=1)
            alone.count -= 1
            await asyncio.wait(submitting, timeout=5)
            alone.folder.joinpath("state").write_text(submitting[0].result().state)
    raise AssertionError("the node went on")


async def test_a_full_disk_ends_the_node_and_tells_whoever_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = Alone(tmp_path)
    with pytest.raises(NodeFailed, match="No space left on device"):
        await fail_at(alone, lambda: break_disk(monkeypatch))
    assert (tmp_path / "state").read_text() == "waiting"


async def test_after_a_full_disk_the_node_begins_again_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = Alone(tmp_path)
    mend: list[Callable[[], None]] = []
    with pytest.raises(NodeFailed):
        await fail_at(alone, lambda: mend.append(break_disk(monkeypatch)))
    mend[0]()
    async with open_node(alone.config()) as node:
        before = node.ledger.tip.size
        assert (await alone.submit(node)).index >= before > 0


async def test_a_database_that_fails_an_idle_node_ends_it_as_it_ends_a_busy_one(tmp_path: Path) -> None:
    """Signatures of the last block are written when the node is idle: on a full disk that is what fails first."""
    alone = Alone(tmp_path)

    with pytest.raises(NodeFailed, match="no such table: cosignature"):
        await idle_without(alone, "cosignature")


async def idle_without(alone: Alone, table: str) -> None:
    """A node orders one record and has nothing more to do; one of its tables is gone."""
    async with open_node(alone.config()) as node:
        with closing(sqlite3.connect(alone.data / "node.db")) as database, database:
            database.execute(f"DROP TABLE {table}")
        assert (await alone.submit(node)).state == "ordered"
        try:
            await asyncio.sleep(60)
        finally:
            assert node.stop is not None, "it signs nothing more"


async def test_a_database_that_another_wrote_to_ends_the_node(tmp_path: Path) -> None:
    alone = Alone(tmp_path)

    def write_beside() -> None:
        with closing(sqlite3.connect(alone.data / "node.db")) as database, database:
            database.execute("DELETE FROM block WHERE height = (SELECT MAX(height) FROM block)")

    with pytest.raises(NodeFailed, match="no longer ends where this node left it"):
        await fail_at(alone, write_beside)


async def test_a_proposal_that_is_not_durable_never_leaves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same record, at the same moment, with a disk that works and with one that does not."""
    heard: list[bytes] = []
    await propose_to(heard, tmp_path / "whole", lambda: None)
    assert any(isinstance(decode_frame(frame), PrePrepareMessage) for frame in heard)
    heard.clear()
    with pytest.raises(NodeFailed):
        await propose_to(heard, tmp_path / "broken", lambda: break_disk(monkeypatch))
    assert heard, "the peer was connected"
    assert not any(isinstance(decode_frame(frame), PrePrepareMessage) for frame in heard)


async def propose_to(heard: list[bytes], folder: Path, damage: Callable[[], object]) -> None:
    """A primary has a record to propose to a peer that says where it stands, and answers nothing."""
    alone = make_pair(folder)
    async with silent_peer(alone, heard.append), open_node(alone.config()) as node:
        await reach(node)
        async with asyncio.timeout(5):
            while not node.driver.replica.state.may_sign:
                node.receive("street", encode_frame(STANDS_AT_THE_BEGINNING))
                await asyncio.sleep(0.05)
        work = await alone.admit(node)
        damage()
        await node.submit(work, (), wait_ms=1_000)
