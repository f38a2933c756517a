"""A block is stored whole, extends what is stored, and is read back byte for byte."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
from tortoise.exceptions import IntegrityError

from server.domain.plan import RecordWork
from server.ledger.block import genesis_tip
from server.ledger.merkle import leaf_hash, root_of, verify_consistency, verify_inclusion
from server.record.canonical import digest, encode
from server.storage.cosignatures import BLOCKS_KEPT, CosignatureLine, CosignatureStore, prune
from server.storage.database import Database, DatabaseFault
from server.storage.ledger import Ledger, WrongTip
from server.storage.ledger_tables import BLOCK
from server.storage.openings import OpeningStore
from server.storage.statements import Batch, add_rows, fetch
from server.storage.stored import Commitment, item_of
from server.storage.vault import Vault
from tests.storage.estate import NODES, VAULT_KEY, Estate, make_genesis


async def fill(estate: Estate, heads: int = 5) -> tuple[str, list[bytes]]:
    """A motion with ballots, a seal, and records that are refused. Returns the motion and the last batch."""
    motion = await estate.add_motion(heads)
    tip = estate.ledger.tip
    items = [estate.seal(tip.size, tip.root), *(estate.ballot(motion, place) for place in range(heads))]
    items.append(estate.ballot(motion, 0, "against", 1))
    executed = await estate.add(*items)
    assert executed.outcomes == ("accepted",) * (heads + 1) + ("ballot_already_cast",)
    return motion, items


async def count(database: Database, table: str) -> int:
    [(found,)] = await database.read(lambda connection: fetch(connection, f'SELECT COUNT(*) FROM "{table}"'))
    return int(found)


async def test_block_is_read_back_byte_for_byte(estate: Estate) -> None:
    _, items = await fill(estate)
    tip = estate.ledger.tip
    stored = await estate.ledger.block(tip.height)
    assert stored is not None
    assert list(stored.items) == items
    assert (stored.block_id, stored.size, stored.root, stored.state_digest) == (
        tip.block_id,
        tip.size,
        tip.root,
        tip.state_digest,
    )
    assert (stored.view, stored.certificate, stored.new_view) == (0, b"certificate %d" % tip.height, "")
    assert stored.header.entries_bytes == sum(map(len, items))


async def test_entry_leads_back_to_its_item(estate: Estate) -> None:
    _, items = await fill(estate)
    tip = estate.ledger.tip
    contents = await estate.ledger.contents(tip.size - len(items) - 1, len(items) + 1)
    assert [item_of(content) for content in contents] == [*items, None]


async def test_ledger_goes_on_after_a_restart(url: str) -> None:
    async with await Database.open(url) as database:
        estate = await Estate.open(database)
        motion, _ = await fill(estate)
        before = estate.ledger.tip
    async with await Database.open(url) as database:
        assert database.rows_current
        estate = await Estate.open(database)
        assert estate.ledger.tip == before
        executed = await estate.add(estate.ballot(motion, 1, "against", 2))
        assert executed.outcomes == ("ballot_already_cast",)
        entries = await estate.ledger.contents(0, before.size + 2)
        assert estate.ledger.tip.root == root_of(entries)


@pytest.mark.parametrize("change", ["height", "prev", "state_digest_prev"])
async def test_block_that_does_not_extend_the_tip_is_refused(estate: Estate, change: str) -> None:
    motion, _ = await fill(estate)
    executed, works = await estate.execute([estate.ballot(motion, 1, "against", 2)])
    value = executed.header.height + 1 if change == "height" else digest(b"another")
    header = msgspec.structs.replace(executed.header, **{change: value})
    before = (estate.ledger.tip, await count(estate.ledger.database, "entry"))
    with pytest.raises(WrongTip):
        await estate.store(msgspec.structs.replace(executed, header=header), works)
    assert (estate.ledger.tip, await count(estate.ledger.database, "entry")) == before


async def test_block_is_stored_once(estate: Estate) -> None:
    executed, works = await estate.execute([estate.bind(7, "m-7")])
    await estate.store(executed, works)
    with pytest.raises(WrongTip):
        await estate.store(executed, works)
    assert await count(estate.ledger.database, "entry") == 2


async def test_database_that_grew_behind_the_node_is_refused(estate: Estate) -> None:
    executed, works = await estate.execute([estate.bind(7, "m-7")])
    tip = estate.ledger.tip
    row = (tip.height + 1, digest(b"x"), b"", 0, "", b"", 0, 0, tip.root, b"", tip.state_digest, tip.time_ms)
    await estate.ledger.database.run(lambda connection: add_rows(connection, BLOCK, [row]))
    with pytest.raises(WrongTip, match="no longer ends"):
        await estate.store(executed, works)
    assert await count(estate.ledger.database, "entry") == 0


async def test_failure_in_the_middle_of_a_block_leaves_nothing_of_it(
    estate: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    motion, _ = await fill(estate)
    executed, works = await estate.execute([estate.ballot(motion, 1, "against", 2)])
    tables = ("block", "entry", "tile", "ballot", "nonce", "opening")
    before = [await count(estate.ledger.database, table) for table in tables]

    def break_last(batch: Batch, height: int) -> None:
        batch.change('UPDATE "block" SET "height" = ? WHERE "height" = 1', 0)

    with monkeypatch.context() as broken:
        broken.setattr("server.storage.ledger.prune", break_last)
        with pytest.raises(IntegrityError):
            await estate.store(executed, works)
    assert [await count(estate.ledger.database, table) for table in tables] == before
    await estate.store(executed, works)
    assert estate.ledger.tip.height == executed.header.height


async def test_cancelled_node_has_stored_the_block_or_not_but_knows_it(estate: Estate) -> None:
    for number in range(20):
        executed, works = await estate.execute([estate.bind(50 + number, f"m-{number}")])
        task = asyncio.create_task(estate.store(executed, works))
        for _ in range(number):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        async with estate.ledger.rows.guard:
            stored = await count(estate.ledger.database, "block")
        assert estate.ledger.tip.height == stored - 1


async def test_ledger_of_another_genesis_is_refused(estate: Estate) -> None:
    genesis, cluster_id = make_genesis()
    other = bytes(reversed(cluster_id))
    with pytest.raises(DatabaseFault, match="another genesis"):
        await Ledger.open(estate.ledger.database, genesis, other, Vault(VAULT_KEY))


async def test_new_ledger_begins_at_genesis(estate: Estate) -> None:
    tip = estate.ledger.tip
    assert (tip.height, tip.size, tip.block_id) == (0, 0, genesis_tip(estate.cluster_id))
    assert await estate.ledger.block(0) is None
    assert await estate.ledger.blocks(0) == []


async def test_every_entry_has_a_proof_in_every_larger_tree(estate: Estate) -> None:
    await fill(estate, 20)
    ledger = estate.ledger
    entries = await ledger.contents(0, ledger.tip.size)
    roots = {size: root_of(entries[:size]) for size in range(1, len(entries) + 1)}
    for size in range(1, len(entries) + 1):
        for index in range(size):
            proof = await ledger.inclusion_proof(index, size)
            verify_inclusion(leaf_hash(entries[index]), index, size, proof, roots[size])
        older = await ledger.consistency_proof(max(1, size // 2), size)
        verify_consistency(max(1, size // 2), size, older, roots[max(1, size // 2)], roots[size])


async def test_proofs_come_from_the_database_as_well(url: str) -> None:
    async with await Database.open(url) as database:
        estate = await Estate.open(database)
        await fill(estate, 40)
    async with await Database.open(url) as database:
        ledger = (await Estate.open(database)).ledger
        size = ledger.tip.size
        entries = await ledger.contents(0, size)
        for index in range(0, size, 7):
            verify_inclusion(
                leaf_hash(entries[index]), index, size, await ledger.inclusion_proof(index, size), ledger.tip.root
            )
        leaves = await ledger.tree_nodes(0, 0, size)
        assert leaves == [leaf_hash(entry) for entry in entries]
        assert await ledger.tree_nodes(4, 1, 2) == [root_of(entries[16:32])]
        with pytest.raises(ValueError, match="no such nodes"):
            await ledger.tree_nodes(4, 0, size // 16 + 1)
        with pytest.raises(ValueError, match="no such entry"):
            await ledger.inclusion_proof(0, size + 1)
        with pytest.raises(ValueError, match="no such sizes"):
            await ledger.consistency_proof(0, size)


async def test_record_is_found_by_its_id(estate: Estate) -> None:
    motion, items = await fill(estate)
    _, works = await estate.execute(items)
    last = works[-1]
    assert isinstance(last, RecordWork)
    found = await estate.ledger.find(last.signed.id)
    tip = estate.ledger.tip
    assert found is not None
    assert (found.index, found.height, found.boundary) == (tip.size - 2, tip.height, tip.size)
    assert (found.kid, found.outcome, found.time_ms) == (last.signed.kid, "ballot_already_cast", tip.time_ms)
    assert item_of(found.entry) == items[-1]
    assert await estate.ledger.find(digest(b"never")) is None
    by_author = await estate.ledger.entry_of_record(motion)
    assert by_author is not None
    assert (by_author.author, by_author.kind, by_author.outcome) == ("chair", "motion.propose", "accepted")


async def test_record_that_stands_twice_is_found_at_its_first_place(estate: Estate) -> None:
    item = estate.bind(7, "m-7")
    await estate.add(item)
    again = await estate.add(item)
    assert again.outcomes == ("nonce_conflict",)
    _, works = await estate.execute([item])
    assert isinstance(works[0], RecordWork)
    found = await estate.ledger.find(works[0].signed.id)
    assert found is not None
    assert (found.index, found.outcome) == (0, "accepted")


async def test_root_of_a_boundary_is_known_by_size(estate: Estate) -> None:
    await fill(estate)
    tip = estate.ledger.tip
    assert await estate.ledger.root_at(tip.size) == tip.root
    assert await estate.ledger.root_at(tip.size - 1) is None


async def test_sync_gets_blocks_within_both_bounds_and_one_at_least(estate: Estate) -> None:
    await fill(estate)
    ledger = estate.ledger
    top = ledger.tip.height
    assert [block.header.height for block in await ledger.blocks(1)] == list(range(1, top + 1))
    assert [block.header.height for block in await ledger.blocks(2, limit=2)] == [2, 3]
    assert [block.header.height for block in await ledger.blocks(top - 1, bytes_max=1)] == [top - 1]
    assert await ledger.blocks(top + 1) == []
    assert encode((await ledger.blocks(top))[0].header)


async def test_cosignatures_are_kept_durably_with_the_next_block(url: str) -> None:
    async with await Database.open(url) as database:
        estate = await Estate.open(database)
        await estate.add(estate.bind(7, "m-7"))
        size, lines = estate.ledger.tip.size, estate.ledger.cosignatures
        lines.add([CosignatureLine(size, node, "root", f"line of {node}") for node in NODES])
        lines.add([CosignatureLine(size, NODES[0], "root", "another line")])
        assert [line.line for line in await lines.of_size(size)] == [f"line of {node}" for node in NODES]
        assert await count(database, "cosignature") == 0
        await estate.add(estate.bind(8, "m-8"))
        assert await count(database, "cosignature") == 3
        lines.add([CosignatureLine(estate.ledger.tip.size, NODES[0], "root", "newest")])
        assert await lines.newest_size(members=3) == size
        assert await lines.newest_size(members=1) == estate.ledger.tip.size
        assert await lines.newest_size(members=4) == 0
    async with await Database.open(url) as database:
        stored = CosignatureStore(database)
        assert [line.member for line in await stored.of_size(size)] == list(NODES)
        assert await count(database, "cosignature") == 4


async def pruned(database: Database, height: int) -> None:
    batch = Batch()
    prune(batch, height)
    await database.run(batch.run)


async def test_cosignatures_of_old_blocks_are_dropped(estate: Estate) -> None:
    await estate.add(estate.bind(7, "m-7"))
    first = estate.ledger.tip.size
    await estate.add(estate.bind(8, "m-8"))
    lines = estate.ledger.cosignatures
    lines.add([CosignatureLine(size, "owners", "root", "line") for size in (first, estate.ledger.tip.size)])
    await lines.flush()
    database = estate.ledger.database
    await pruned(database, BLOCKS_KEPT)
    assert await count(database, "cosignature") == 2
    await pruned(database, BLOCKS_KEPT + 1)
    found = await database.read(lambda connection: fetch(connection, 'SELECT "size" FROM "cosignature"'))
    assert [row[0] for row in found] == [estate.ledger.tip.size]


async def test_commitment_stands_beside_the_log(estate: Estate) -> None:
    executed, works = await estate.execute([estate.bind(7, "m-7")])
    await estate.ledger.store(executed, works, Commitment(3, b"votes", digest(b"new view")))
    block = await estate.ledger.block(1)
    assert block is not None
    assert (block.view, block.certificate, block.new_view) == (3, b"votes", digest(b"new view"))


async def test_openings_are_stored_with_their_block(estate: Estate) -> None:
    motion = await estate.add_motion(2)
    ballot = estate.ballot(motion, 0)
    [(commitment, opening)] = estate.openings.items()
    executed = await estate.add(ballot)
    assert executed.outcomes == ("accepted",)
    _, works = await estate.execute([ballot])
    assert isinstance(works[0], RecordWork)
    store = OpeningStore(estate.ledger.database, Vault(VAULT_KEY))
    record = works[0].signed.id
    assert await store.of_records([record]) == {record: {commitment: opening}}
    assert await store.collect_orphans(2**52) == 0
