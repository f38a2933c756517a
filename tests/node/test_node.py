"""The engine below the API: a record has one fate, whoever hands it in, how often, and how late."""

from __future__ import annotations

import asyncio

import pytest

from client import Person, SignedRecord
from server.consensus import effects as fx
from server.consensus import events as ev
from server.node.driver import Questions
from server.node.node import Busy
from server.node.pool import Waiting
from server.record.canonical import b64u_encode
from tests.api.running import Site
from tests.node.test_admission import report

pytestmark = pytest.mark.asyncio(loop_scope="module")
WAIT_MS = 10_000


def questions(site: Site) -> Questions:
    return site.node.driver._questions


def pending(site: Site) -> int:
    """Records that the replica, or the pool beside it, still waits for."""
    return len(site.node.driver.replica.state.pool) + len(site.node.parts.pool)


async def passed_on(site: Site, record: SignedRecord, *, record_id: str = "") -> fx.Admit:
    """A peer passes a record on."""
    work = await site.node.admit(record.jws, record.openings)
    pairs = site.node._admission.pairs(work, record.openings)
    return fx.Admit(record_id or record.id, record.jws.encode(), pairs, "owners")


async def ordered(site: Site, member: str) -> tuple[Person, SignedRecord]:
    person = await site.bind(member)
    record = report(person)
    await person.post(record)
    return person, record


async def test_a_record_handed_in_many_times_at_once_is_ordered_once(site: Site) -> None:
    person = await site.bind("m-many")
    record = report(person)
    work = await site.node.admit(record.jws, record.openings)
    answers = await asyncio.gather(*(site.node.submit(work, record.openings, wait_ms=WAIT_MS) for _ in range(20)))
    assert len({(answer.state, answer.index, answer.outcome) for answer in answers}) == 1
    assert answers[0].state == "ordered"
    again = await site.node.submit(work, record.openings, wait_ms=WAIT_MS)
    assert (again.index, again.receipt) == (answers[0].index, answers[0].receipt)
    assert pending(site) == 0


async def test_a_peers_record_that_is_ordered_already_is_waited_for_by_nobody(site: Site) -> None:
    """Else a node would in time suspect a primary that has done its work."""
    _, record = await ordered(site, "m-late")
    effect = await passed_on(site, record)
    assert await questions(site).admit(effect) == ev.Rejected(record.id)
    assert questions(site).admit_at_once(effect) in (None, ev.Rejected(record.id))
    assert pending(site) == 0


async def test_a_peers_record_is_admitted_as_a_clients_is(site: Site) -> None:
    record = report(await site.bind("m-passed"))
    effect = await passed_on(site, record)
    answer = await questions(site).admit(effect)
    assert isinstance(answer, ev.Admitted)
    assert (answer.record_id, answer.record, answer.attachments) == (record.id, effect.record, effect.attachments)
    assert site.node.is_waiting(record.id)
    site.node.parts.pool.remove(record.id)


async def test_a_peer_cannot_pass_a_record_on_under_another_id(site: Site) -> None:
    person = await site.bind("m-id")
    record, false_id = report(person), b64u_encode(bytes(32))
    assert await questions(site).admit(await passed_on(site, record, record_id=false_id)) == ev.Rejected(false_id)
    assert not site.node.is_waiting(record.id)


async def test_what_a_peer_invents_is_rejected(site: Site) -> None:
    record_id = b64u_encode(bytes(32))
    for content in (b"", b"\xff\xfe", b"a.b.c", b"x" * 70_000):
        effect = fx.Admit(record_id, content, (), "owners")
        assert await questions(site).admit(effect) == ev.Rejected(record_id)
    _, record = await ordered(site, "m-invents")
    stranger = fx.Admit(record.id, record.jws.encode(), ((b64u_encode(bytes(32)), b"not its opening"),), "owners")
    assert await questions(site).admit(stranger) == ev.Rejected(record.id)
    assert pending(site) == 0


async def test_the_rows_say_nothing_of_a_record_that_was_ordered_meanwhile(site: Site) -> None:
    """Its own nonce would look used up: the phone that taps twice must not be told of a conflict with itself."""
    _, record = await ordered(site, "m-twice")
    work = await site.node.admit(record.jws, record.openings)
    assert await site.node.preview(work) == "accepted"
    assert (await site.node.submit(work, record.openings, wait_ms=WAIT_MS)).outcome == "accepted"


async def test_a_device_with_too_many_records_in_flight_is_told_to_come_again(site: Site) -> None:
    person = await site.bind("m-busy")
    node = site.node
    works = [await node.admit(record.jws, record.openings) for record in (report(person) for _ in range(5))]
    for work in works:
        node.parts.pool.add(Waiting(work, (), node.now_ms(), ours=True))
    record = report(person)
    with pytest.raises(Busy):
        await node.submit(await node.admit(record.jws, record.openings), record.openings, wait_ms=1)
    for work in works:
        node.parts.pool.remove(work.envelope.id)
    assert (await person.post(record))["outcome"] == "accepted"


async def test_a_record_whose_time_is_over_leaves_an_idle_node(site: Site) -> None:
    person = await site.bind("m-expires")
    body = {"category": "door", "contact": person.seal(""), "home": False, "photos": [], "place": person.seal("")}
    record = person.sign("ticket.report", {**body, "text": person.seal("")}, life_ms=300)
    work = await site.node.admit(record.jws, record.openings)
    waiting = site.node.parts.pool.add(Waiting(work, (), site.node.now_ms(), ours=True))
    async with asyncio.timeout(10):
        await waiting.done.wait()
    assert not site.node.is_waiting(record.id)
