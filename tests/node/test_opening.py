"""How a node begins and ends: it refuses what it must not start with in words, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import socket
import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from keys import adopt_keys, renew_keys
from server.config import TransportSettings
from server.node.keyring import read_secret
from server.node.opening import open_node
from server.node.standing import StartRefused
from server.record.canonical import b64u_encode
from server.record.signature import NodeSigner
from server.storage.database import DatabaseFault
from server.storage.journal import JournalCorrupt
from server.storage.signer import SignerRefused
from tests.node.alone import Alone, make_pair, reach, silent_peer


async def run_once(alone: Alone) -> int:
    """Run the node for one record. Returns the size of its log."""
    async with open_node(alone.config()) as node:
        assert (await alone.submit(node)).state == "ordered"
        return node.ledger.tip.size


def forget_signatures(alone: Alone) -> None:
    with closing(sqlite3.connect(alone.data / "node.db")) as database, database:
        database.execute("DELETE FROM cosignature")


def count_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


async def test_a_node_goes_on_where_it_ended(tmp_path: Path) -> None:
    alone = Alone(tmp_path)
    size = await run_once(alone)
    assert await run_once(alone) > size


async def test_tasks_and_files_are_gone_at_the_end(tmp_path: Path) -> None:
    alone = Alone(tmp_path)
    await run_once(alone)
    files, tasks = count_files(), len(asyncio.all_tasks())
    await run_once(alone)
    await asyncio.sleep(0)
    assert len(asyncio.all_tasks()) == tasks
    assert count_files() <= files


async def test_without_its_journal_a_node_with_blocks_does_not_start(tmp_path: Path) -> None:
    alone = Alone(tmp_path)
    await run_once(alone)
    (alone.data / "journal").unlink()
    with pytest.raises(JournalCorrupt, match="the file is missing"):
        await run_once(alone)


async def test_keys_that_have_voted_do_not_start_with_an_empty_folder(tmp_path: Path) -> None:
    alone = Alone(tmp_path)
    await run_once(alone)
    alone.data.rename(tmp_path / "lost")
    with pytest.raises(StartRefused, match="has voted before"):
        await run_once(alone)
    (alone.keys / "voted").unlink()
    await run_once(alone)


async def test_keys_that_have_voted_in_a_later_epoch_do_not_even_follow_with_an_empty_folder(tmp_path: Path) -> None:
    """Who follows from the first block on with keys of a later epoch would be a member again when it comes to that."""
    alone = Alone(tmp_path)
    renewed = renew_keys(alone.keys)
    adopt_keys(alone.keys)
    config = alone.config()
    follower = msgspec.structs.replace(config, node=msgspec.structs.replace(config.node, observes=True))
    (alone.keys / "voted").write_text(f"{renewed.consensus_key}\n")
    with pytest.raises(StartRefused, match="has voted before"):
        async with open_node(follower):
            pass


async def test_keys_that_have_voted_nowhere_start_with_an_empty_folder(tmp_path: Path) -> None:
    """New keys of a node that lost its disk, beside the mark of the old ones."""
    alone = Alone(tmp_path)
    (alone.keys / "voted").write_text(f"{'A' * 43}\n")
    await run_once(alone)
    own = b64u_encode(NodeSigner(read_secret(alone.keys / "consensus.key")).public)
    assert (alone.keys / "voted").read_text().split() == ["A" * 43, own]


async def test_without_its_signers_file_a_node_that_has_signed_does_not_start(tmp_path: Path) -> None:
    alone = Alone(tmp_path)
    await run_once(alone)
    await run_once(alone)
    (alone.data / "signer").unlink()
    with pytest.raises(SignerRefused, match="missing"):
        await run_once(alone)


async def test_a_node_that_ended_before_its_first_signature_starts_again(tmp_path: Path) -> None:
    """Killed between the transaction of its first block and the signer's file."""
    alone = Alone(tmp_path)
    size = await run_once(alone)
    (alone.data / "signer").unlink()
    forget_signatures(alone)
    assert await run_once(alone) > size


async def test_a_second_node_on_the_same_folder_is_refused(tmp_path: Path) -> None:
    alone = Alone(tmp_path)
    async with open_node(alone.config()):
        with pytest.raises(DatabaseFault, match="never run twice"):
            await run_once(alone)
    await run_once(alone)


async def test_a_port_in_use_is_refused_in_words(tmp_path: Path) -> None:
    alone = Alone(tmp_path)
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        config = msgspec.structs.replace(alone.config(), transport=TransportSettings(port=port))
        with pytest.raises(StartRefused, match=f"cannot listen for peers on 127.0.0.1:{port}"):
            async with open_node(config):
                raise AssertionError("it started")


async def test_a_failure_of_whoever_opened_the_node_comes_out_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(KeyError, match="mine"):
        async with open_node(Alone(tmp_path).config()):
            raise KeyError("mine")


async def test_a_node_is_not_ready_before_it_has_heard_from_the_others(tmp_path: Path) -> None:
    alone, heard = make_pair(tmp_path), list[bytes]()
    async with open_node(alone.config()) as node:
        assert node.ready() == (False, "only 1 of 2 nodes are reached")
        async with silent_peer(alone, heard.append):
            await reach(node)
            assert node.ready() == (False, "the other nodes have not said yet how far they are")


async def test_requests_that_wait_are_let_go_at_the_end(tmp_path: Path) -> None:
    alone = make_pair(tmp_path)
    async with open_node(alone.config()) as node:
        waiting = asyncio.create_task(node.submit(await alone.admit(node), (), wait_ms=60_000))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        node.release()
        assert (await waiting).state == "waiting"
