"""An abandoned branch leaves the database whole, into a folder, and the ledger is as it was before the fork."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import pytest

from server.consensus.restored import SignerMark
from server.ledger.merkle import EMPTY_ROOT, root_of
from server.record.canonical import encode
from server.storage.cosignatures import CosignatureLine
from server.storage.database import Database
from server.storage.journal import Journal
from server.storage.ledger import Ledger
from server.storage.replay import open_ledger, replay_into, row_differences
from server.storage.rewinding import BLOCKS, ENTRIES, BranchArchive, archives_in, read_records
from server.storage.signer import SignerFile
from server.storage.vault import Vault
from tests.storage.conftest import NewUrl
from tests.storage.estate import VAULT_KEY, Estate, make_genesis
from tests.storage.test_replay import live

GENESIS, CLUSTER_ID = make_genesis()
TEXTS = {"genesis.json": encode(GENESIS), "policy.txt": b"quorum committed\n"}
FORK = 4
"""The height at which the branch begins that is abandoned."""


async def open_again(database: Database) -> Ledger:
    """As a node opens it: rows that were marked as stale are built anew."""
    return await open_ledger(database, GENESIS, CLUSTER_ID, Vault(VAULT_KEY))


async def live_twice(one: Database, other: Database) -> tuple[Ledger, Ledger]:
    """Two databases with the same ledger."""
    estate = await Estate.open(one)
    await live(estate)
    copy = await Ledger.open(other, GENESIS, CLUSTER_ID, Vault(VAULT_KEY))
    await replay_into(estate.ledger, copy, GENESIS, CLUSTER_ID)
    return estate.ledger, copy


def begin_files(data: Path) -> None:
    """The journal and the signer's file of a node that has signed."""
    data.mkdir()
    Journal.open(data / "journal", expected=False).close()
    SignerFile.open(data / "signer").advance(SignerMark(0, 9, bytes(32), 1))
    (data / "snapshots" / "2").mkdir(parents=True)
    (data / "snapshots" / "8").mkdir()


@pytest.mark.parametrize("begin", [1, 2, FORK, 9])
async def test_the_ledger_grows_as_if_the_branch_had_never_been(new_url: NewUrl, tmp_path: Path, begin: int) -> None:
    data, url = tmp_path / "data", new_url()
    begin_files(data)
    async with await Database.open(new_url()) as one:
        async with await Database.open(url) as other:
            whole, ledger = await live_twice(one, other)
            archive = BranchArchive(data, 1)
            await archive.write(ledger, begin, TEXTS)
            await archive.rewind(ledger)
        async with await Database.open(url) as other:
            ledger = await open_again(other)
            before = await whole.block(begin - 1)
            assert ledger.tip.height == begin - 1
            assert ledger.tip.root == (EMPTY_ROOT if before is None else before.root)
            assert await ledger.entry(ledger.tip.size) is None
            await replay_into(whole, ledger, GENESIS, CLUSTER_ID)
            assert ledger.tip == whole.tip
            assert await row_differences(one, other) == []
            end = ledger.tip.size
            for size in range(1, end):
                assert await ledger.consistency_proof(size, end) == await whole.consistency_proof(size, end)
                assert await ledger.inclusion_proof(size, end) == await whole.inclusion_proof(size, end)


async def test_the_archive_holds_the_whole_log_and_what_the_node_had_signed(new_url: NewUrl, tmp_path: Path) -> None:
    data = tmp_path / "data"
    begin_files(data)
    async with await Database.open(new_url()) as one, await Database.open(new_url()) as other:
        whole, ledger = await live_twice(one, other)
        journal = (data / "journal").read_bytes()
        archive = BranchArchive(data, 1)
        assert not archive.is_begun
        await archive.write(ledger, FORK, TEXTS)
        assert (archive.is_begun, archive.is_done) == (True, False)
        lines = [msgspec.json.decode(line) for line in (archive.folder / ENTRIES).read_bytes().splitlines()]
        assert [line["index"] for line in lines] == list(range(whole.tip.size))
        assert root_of([line["entry"].encode() for line in lines]) == whole.tip.root
        assert len((archive.folder / BLOCKS).read_bytes().splitlines()) == whole.tip.height
        assert (archive.folder / "journal").read_bytes() == journal
        assert SignerFile.open(archive.folder / "signer").mark == SignerMark(0, 9, bytes(32), 1)
        base = await whole.block(FORK - 1)
        assert base is not None
        records = read_records(archive.folder, base.size)
        assert records
        assert len(records) < len(read_records(archive.folder, 0))
    assert [found.folder for found in archives_in(data)] == [archive.folder]


async def test_what_new_keys_sign_begins_anew_and_states_above_the_fork_go(new_url: NewUrl, tmp_path: Path) -> None:
    data = tmp_path / "data"
    begin_files(data)
    async with await Database.open(new_url()) as one, await Database.open(new_url()) as other:
        _, ledger = await live_twice(one, other)
        base = await ledger.frontier_at(FORK - 1)
        lines = [CosignatureLine(size, "owners", "r", "line") for size in (base.size, ledger.tip.size)]
        ledger.cosignatures.add(lines)
        await ledger.cosignatures.flush()
        archive = BranchArchive(data, 1)
        await archive.write(ledger, FORK, TEXTS)
        await archive.rewind(ledger)
        assert SignerFile.open(data / "signer", expected=True).mark is None
        opened = Journal.open(data / "journal", expected=True)
        assert opened.entries == ()
        opened.close()
        assert [path.name for path in (data / "snapshots").iterdir()] == ["2"]
        assert await ledger.cosignatures.newest_size(1) == base.size


async def test_a_node_that_is_killed_at_any_step_goes_on_with_it(new_url: NewUrl, tmp_path: Path) -> None:
    """The folder appears whole; the database is cut once; the mark that all is done comes last."""
    data, url = tmp_path / "data", new_url()
    begin_files(data)
    async with await Database.open(new_url()) as one, await Database.open(url) as other:
        _, ledger = await live_twice(one, other)
        archive = BranchArchive(data, 1)
        half = archive.folder.with_suffix(".part")
        half.mkdir(parents=True)
        (half / "left over").write_text("from a start that was killed")
        await archive.write(ledger, FORK, TEXTS)
        assert not half.exists()
        assert not (archive.folder / "left over").exists()
        kept = tmp_path / "kept"
        shutil.copytree(data, kept)
        await archive.rewind(ledger)
    # Killed between the database and the files: the same again, on what is left.
    shutil.rmtree(data)
    shutil.copytree(kept, data)
    async with await Database.open(url) as other:
        ledger = await open_again(other)
        assert ledger.tip.height == FORK - 1
        archive = BranchArchive(data, 1)
        assert (archive.is_begun, archive.is_done) == (True, False)
        await archive.rewind(ledger)
        assert archive.is_done
        assert ledger.tip.height == FORK - 1
        assert SignerFile.open(data / "signer", expected=True).mark is None
