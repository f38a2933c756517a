"""Receipts: the proof made from memory is, byte for byte, the one read from the database; both hold for a phone."""

from __future__ import annotations

import asyncio

import pytest

from client import Person, SignedRecord
from server.ledger.policy import parse_policy
from server.ledger.receipt import verify_receipt
from server.node.node import Node
from server.node.receipts import Receipts
from tests.api.running import Site
from tests.node.test_admission import report

pytestmark = pytest.mark.asyncio(loop_scope="module")


def without_memory(node: Node) -> Receipts:
    """Receipts as after a restart: only the checkpoints are known, all else is in the database."""
    parts = node.parts
    return Receipts(node.ledger, parts.checkpoints, parts.evidence, (node.genesis, node.cluster_id), node.keys.log)


async def post_all(people: list[Person], count: int) -> list[SignedRecord]:
    """Records in blocks of several sizes."""
    records: list[SignedRecord] = []
    for width in range(1, count):
        batch = [report(person) for person in people[:width]]
        await asyncio.gather(*(person.post(record) for person, record in zip(people, batch, strict=False)))
        records += batch
    return records


async def test_every_receipt_from_memory_equals_the_one_from_the_database(site: Site) -> None:
    people = [await site.bind(f"m-{number}") for number in range(6)]
    records = await post_all(people, 6)
    node = site.node
    assert node.ledger.tip.size > 16, "the tree has several levels"
    policy = parse_policy(node.policy_text)
    found = {record.id: await node.find(record.id) for record in records}
    assert len({one.index for one in found.values() if one is not None}) == len(records)
    fresh = without_memory(node)
    for record in records:
        ordered, remembered = await fresh.find(record.id), found[record.id]
        assert ordered is not None
        assert remembered is not None
        assert (ordered.index, ordered.outcome) == (remembered.index, remembered.outcome)
        receipt = await fresh.receipt(ordered)
        assert receipt == remembered.receipt
        verified = verify_receipt(receipt, policy, node.estate)
        assert verified.owner_checked
        assert verified.proven.envelope is not None
        assert verified.proven.envelope.id == record.id


async def test_a_record_that_was_never_ordered_has_no_receipt(site: Site) -> None:
    record = report(await site.bind("m-never"))
    assert await site.node.find(record.id) is None
    assert await without_memory(site.node).find(record.id) is None


async def test_a_record_posted_again_waits_for_signatures_that_are_still_to_come(site: Site) -> None:
    """As after a restart: the record is stored, and no checkpoint that covers it is known yet."""
    node, person = site.node, await site.bind("m-again")
    record = report(person)
    first = await person.post(record)
    work = await node.admit(record.jws, record.openings)
    checkpoints = node.parts.checkpoints
    committed, sealed, recent = checkpoints.committed, checkpoints.sealed, dict(checkpoints._recent)
    checkpoints.committed = checkpoints.sealed = None
    checkpoints._recent.clear()
    try:
        again = asyncio.create_task(node.submit(work, record.openings, wait_ms=20_000))
        await asyncio.sleep(0.1)
        assert not again.done()
        assert (await node.submit(work, record.openings, wait_ms=1)).state == "pending"
    finally:
        checkpoints._recent.update(recent)
        checkpoints.committed, checkpoints.sealed = committed, sealed
    await (await site.bind("m-next")).post(report(person))
    assert (await again).index == first["index"]
    assert (await again).state == "ordered"
