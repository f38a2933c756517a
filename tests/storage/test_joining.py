"""A snapshot and the log below it enter a database at once, on SQLite and on PostgreSQL alike: all of it or nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from server.domain import RULEBOOK
from server.domain.joining import History, JoinRefused, OldBlock, Page
from server.domain.state_root import Manifest
from server.ledger.genesis import estate_of
from server.record.canonical import b64u_encode
from server.record.rows import Row
from server.storage.database import Database
from server.storage.joining import Committed, JoiningFolder, load_snapshot
from server.storage.ledger import Ledger
from server.storage.replay import open_ledger, row_differences
from server.storage.rows import read_all
from server.storage.tables import ROW_TABLES
from server.storage.vault import Vault
from tests.storage.conftest import NewUrl
from tests.storage.estate import VAULT_KEY, Estate, make_genesis
from tests.storage.test_snapshots import state_now

PAGE_BLOCKS = 2
HEADS = 6


async def open_empty(database: Database) -> Ledger:
    genesis, cluster_id = make_genesis()
    return await open_ledger(database, genesis, cluster_id, Vault(VAULT_KEY))


async def fill(estate: Estate) -> None:
    """Devices, roles, a roll, a motion with ballots whose openings are private."""
    motion = await estate.add_motion(HEADS)
    for position in range(HEADS - 1):
        await estate.accept(estate.ballot(motion, position))
    await estate.add()


async def read_pages(source: Ledger, end: int, after: int = 0) -> list[Page]:
    pages = []
    [last] = await source.blocks(end, limit=1)
    for begin in range(after + 1, end + 1, PAGE_BLOCKS):
        blocks = []
        found = await source.blocks(begin, min(PAGE_BLOCKS, end - begin + 1))
        for stored in found:
            entries = await source.entries(range(stored.first_index, stored.size))
            held = await source.openings.of_records([entry.record for entry in entries])
            openings = {name: b64u_encode(data) for of in held.values() for name, data in of.items()}
            texts = tuple(entry.content.decode() for entry in entries)
            certificate = b64u_encode(stored.certificate)
            blocks.append(OldBlock(certificate=certificate, entries=texts, openings=openings))
        proof = await source.consistency_proof(found[-1].size, last.size)
        pages.append(Page(blocks=tuple(blocks), proof=tuple(map(b64u_encode, proof))))
    return pages


def take(pages: Sequence[Page], manifest: Manifest, target: Ledger) -> Iterator[list[Committed]]:
    genesis, cluster_id = make_genesis()
    tip = target.tip
    history = History(
        cluster_id,
        estate_of(genesis, cluster_id),
        RULEBOOK,
        manifest,
        tip.height,
        tip.block_id,
        tip.state_digest,
        tip.frontier(),
    )
    for page in pages:
        yield [Committed(past, 0, "") for past in history.take(page)]
    assert history.is_whole


async def rows_of(source: Ledger) -> list[list[Row]]:
    return [
        await source.database.read(lambda connection, name=table: read_all(connection, name))  # type: ignore[misc]
        for table in ROW_TABLES
    ]


async def assert_same(one: Ledger, other: Ledger) -> None:
    size = one.tip.size
    assert one.tip == other.tip
    assert await one.contents(0, size) == await other.contents(0, size)
    assert await row_differences(one.database, other.database) == []
    entries = await one.entries(range(size))
    assert entries == await other.entries(range(size))
    for entry in entries:
        assert await one.inclusion_proof(entry.index, size) == await other.inclusion_proof(entry.index, size)
        assert await one.find(entry.record) == await other.find(entry.record)
    records = [entry.record for entry in entries if entry.author]
    openings = await one.openings.of_records(records)
    assert openings == await other.openings.of_records(records)
    assert len(openings) >= HEADS - 1
    blocks = range(1, one.tip.height + 1)
    assert [await one.block(height) for height in blocks] == [await other.block(height) for height in blocks]


async def test_a_loaded_ledger_is_the_one_it_was_taken_from_and_goes_on(new_url: NewUrl) -> None:
    async with await Database.open(new_url()) as source, await Database.open(new_url()) as target:
        estate = Estate(await open_empty(source))
        await fill(estate)
        manifest, empty = await state_now(estate.ledger), await open_empty(target)
        pages = await read_pages(estate.ledger, manifest.height)
        await load_snapshot(
            target, empty.openings, empty.tip, take(pages, manifest, empty), await rows_of(estate.ledger)
        )
        joined = await open_empty(target)
        await assert_same(joined, estate.ledger)
        executed, works = await estate.execute([estate.bind(400, "m-400")])
        await estate.store(executed, works)
        own, own_works = await Estate(joined).execute([works[0].envelope.jws.encode()], executed.header.time_ms)  # type: ignore[union-attr]
        assert own == executed
        assert len(own_works) == 1


async def test_a_ledger_that_has_blocks_keeps_them_and_takes_the_rest(new_url: NewUrl) -> None:
    async with await Database.open(new_url()) as source, await Database.open(new_url()) as target:
        estate, empty = Estate(await open_empty(source)), await open_empty(target)
        await fill(estate)
        manifest, half = await state_now(estate.ledger), estate.ledger.tip.height // 2
        after_half = await estate.ledger.block(half)
        assert after_half is not None
        first = await read_pages(estate.ledger, half)
        until_half = Manifest(
            after_half.block_id, (), half, b64u_encode(after_half.root), 0, 1, after_half.size,
            after_half.state_digest, after_half.header.time_ms,
        )  # fmt: skip
        await load_snapshot(target, empty.openings, empty.tip, take(first, until_half, empty), [])
        ledger = await open_empty(target)
        assert ledger.tip.height == half
        rest = await read_pages(estate.ledger, manifest.height, half)
        state = await rows_of(estate.ledger)
        await load_snapshot(target, ledger.openings, ledger.tip, take(rest, manifest, ledger), state)
        await assert_same(await open_empty(target), estate.ledger)


async def test_what_fails_in_the_middle_leaves_nothing_behind(new_url: NewUrl) -> None:
    async with await Database.open(new_url()) as source, await Database.open(new_url()) as target:
        estate, empty = Estate(await open_empty(source)), await open_empty(target)
        await fill(estate)
        manifest, tip = await state_now(estate.ledger), empty.tip
        pages, state = await read_pages(estate.ledger, manifest.height), await rows_of(estate.ledger)
        before = await rows_of(empty)

        def broken_state() -> Iterator[list[Row]]:
            yield from state[:3]
            raise JoinRefused("another chunk")

        with pytest.raises(JoinRefused, match="another chunk"):
            await load_snapshot(target, empty.openings, tip, take(pages, manifest, empty), broken_state())
        again = await open_empty(target)
        assert again.tip == tip
        assert await rows_of(again) == before
        assert await again.contents(0, 10) == []
        moved = await open_empty(target)
        other_tip = estate.ledger.tip
        with pytest.raises(JoinRefused, match="no longer ends"):
            await load_snapshot(target, moved.openings, other_tip, [], state)
        assert await rows_of(moved) == before


def test_the_folder_keeps_pieces_until_another_snapshot_begins(tmp_path: Path) -> None:
    folder = JoiningFolder(tmp_path / "joining")
    assert (folder.shown(), folder.chunk(0), folder.page(1)) == (None, None, None)
    folder.begin(b"one")
    folder.keep_chunk(0, b"rows")
    folder.keep_page(1, b"blocks")
    again = JoiningFolder(tmp_path / "joining")
    assert (again.shown(), again.chunk(0), again.page(1), again.page(2)) == (b"one", b"rows", b"blocks", None)
    again.begin(b"two")
    assert (folder.shown(), folder.chunk(0), folder.page(1)) == (b"two", None, None)
    folder.clear()
    assert not (tmp_path / "joining").exists()
