"""Blocks of a node: what it builds it would vote for, what a liar changes is refused, and nothing is ordered twice."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from client import Person, SignedRecord, rehearsal
from server.consensus.block import Block, make_block
from server.consensus.events import Verdict
from server.domain.agenda import Seal
from server.ledger.block import Header, entries_root
from server.limits import HOUR_MS
from server.node.blocks import Blocks
from server.node.pool import Waiting
from server.record.canonical import b64u_encode, decode, encode
from tests.api.running import ME, Site, running_site
from tests.node.test_admission import report

pytestmark = pytest.mark.asyncio(loop_scope="module")
CHOICES = [{"id": name, "text": name} for name in ("for", "against", "abstain")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def voting(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Site, int]]:
    """A node whose ledger has a motion with a ballot; and when the motion closes, in ms."""
    async with running_site(tmp_path_factory.mktemp("voting")) as site:
        chair = await site.bind("m-chair")
        roll = await site.enrol((1_000_000, ("m-chair",)))
        await site.grant("m-chair", "committee")
        close_ms = site.node.now_ms() + HOUR_MS
        question = {"choices": CHOICES, "id": "q1", "seats": 0, "text": "同意吗？"}
        motion = await chair.do(
            "motion.propose", rehearsal("other", roll, "维修电梯", "", [question], close_ms) | {"opens_ms": 1}
        )
        await chair.wait_for_motion(motion["id"])
        ballot = {"choice": chair.seal(["for"]), "motion": motion["id"], "position": 0, "question": "q1"}
        await chair.do("ballot.cast", {**ballot, "replaces": "", "roll": roll})
        yield site, close_ms


async def enter(site: Site, person: Person) -> SignedRecord:
    """A report in the node's pool that its replica has not been told of."""
    record = report(person)
    work = await site.node.admit(record.jws, record.openings)
    pairs = site.node._admission.pairs(work, record.openings)
    site.node.parts.pool.add(Waiting(work, pairs, site.node.now_ms(), ours=False))
    return record


def propose(site: Site, items: tuple[bytes, ...], time_ms: int, openings: Any = (), **header: Any) -> Block:
    """A block of these items on the node's tip, its header changed as a liar would."""
    tip = site.node.ledger.tip
    honest = Header(
        entries_bytes=sum(map(len, items)),
        entries_root=entries_root(items),
        epoch=0,
        height=tip.height + 1,
        prev=tip.block_id,
        proposer=ME,
        rules=1,
        state_digest_prev=tip.state_digest,
        time_ms=time_ms,
    )
    return make_block(site.node.cluster_id, msgspec.structs.replace(honest, **header), items, openings)


async def verdict(site: Site, block: Block) -> Verdict:
    """What a node says that sees the block for the first time."""
    return await Blocks(site.node.parts).check(block)


async def empty_pool(site: Site) -> None:
    for waiting in list(site.node.parts.pool):
        site.node.parts.pool.remove(waiting.record_id)


async def test_what_a_node_builds_every_node_would_vote_for(voting: tuple[Site, int]) -> None:
    site, close_ms = voting
    person = await site.bind("m-builds")
    records = [await enter(site, person) for _ in range(3)]
    batch = await Blocks(site.node.parts).build(close_ms)
    kinds = [decode(item)["kind"] for item in batch.items if item.startswith(b"{")]
    assert kinds == [Seal.kind, "motion.tally"], "a seal, then what is due, then records"
    assert [item.decode() for item in batch.items[2:]] == [record.jws for record in records]
    assert batch.stale == ()
    block = propose(site, batch.items, close_ms, batch.attachments)
    assert await verdict(site, block) is Verdict.OK
    await empty_pool(site)
    assert await verdict(site, block) is Verdict.OK, "also on a node that never saw the records"


async def test_executing_a_proposal_gives_the_same_however_often_it_is_asked(voting: tuple[Site, int]) -> None:
    site, close_ms = voting
    await enter(site, await site.bind("m-executes"))
    batch = await Blocks(site.node.parts).build(close_ms)
    block = propose(site, batch.items, close_ms, batch.attachments)
    await empty_pool(site)
    first, other = Blocks(site.node.parts), Blocks(site.node.parts)
    assert await first.check(block) is Verdict.OK
    executed, again, unchecked = await first.execute(block), await first.execute(block), await other.execute(block)
    assert executed is again
    assert (executed.root, executed.state_digest) == (unchecked.root, unchecked.state_digest)
    assert site.node.ledger.tip.size == executed.first_index, "nothing is written"


async def test_a_record_that_was_ordered_is_never_proposed_again(voting: tuple[Site, int]) -> None:
    site, _ = voting
    person = await site.bind("m-stale")
    ordered = report(person)
    await person.post(ordered)
    work = await site.node.admit(ordered.jws, ordered.openings)
    stale = site.node.parts.pool.add(Waiting(work, (), site.node.now_ms(), ours=False))
    fresh = await enter(site, person)
    time_ms = site.node.ledger.tip.time_ms + 1
    batch = await Blocks(site.node.parts).build(time_ms)
    assert batch.stale == (ordered.id,)
    assert stale.done.is_set()
    assert [item.decode() for item in batch.items if not item.startswith(b"{")] == [fresh.jws]
    await empty_pool(site)
    assert (await Blocks(site.node.parts).build(time_ms)).items == ()
    again = propose(site, (ordered.jws.encode(),), time_ms, tuple(zip((), ordered.openings, strict=False)))
    assert await verdict(site, again) is Verdict.BAD


async def test_a_header_that_does_not_follow_is_refused(voting: tuple[Site, int]) -> None:
    site, _ = voting
    await enter(site, await site.bind("m-header"))
    tip = site.node.ledger.tip
    batch = await Blocks(site.node.parts).build(tip.time_ms + 1)
    lies: list[dict[str, Any]] = [
        {"height": tip.height + 2},
        {"prev": b64u_encode(bytes(32))},
        {"state_digest_prev": b64u_encode(bytes(32))},
        {"entries_root": b64u_encode(bytes(32))},
        {"entries_bytes": 1},
        {"rules": 2},
    ]
    assert await verdict(site, propose(site, batch.items, tip.time_ms + 1, batch.attachments)) is Verdict.OK
    for lie in lies:
        assert (
            await verdict(site, propose(site, batch.items, tip.time_ms + 1, batch.attachments, **lie)) is Verdict.BAD
        ), lie
    await empty_pool(site)


async def test_a_timer_that_is_missing_or_not_due_is_refused(voting: tuple[Site, int]) -> None:
    site, close_ms = voting
    await enter(site, await site.bind("m-timer"))
    batch = await Blocks(site.node.parts).build(close_ms)
    without = tuple(item for item in batch.items if b"motion.tally" not in item)
    assert len(without) == len(batch.items) - 1
    assert await verdict(site, propose(site, without, close_ms, batch.attachments)) is Verdict.BAD
    assert await verdict(site, propose(site, batch.items, close_ms - 1, batch.attachments)) is Verdict.BAD
    assert await verdict(site, propose(site, without, close_ms - 1, batch.attachments)) is Verdict.OK
    await empty_pool(site)


async def test_a_tally_that_is_not_what_the_openings_give_is_refused(voting: tuple[Site, int]) -> None:
    site, close_ms = voting
    [tally] = [item for item in (await Blocks(site.node.parts).build(close_ms)).items if b"motion.tally" in item]
    honest = decode(tally)
    assert await verdict(site, propose(site, (tally,), close_ms)) is Verdict.OK
    text = tally.decode()
    assert '"for"' in text
    forged = text.replace('"against"', '"?"').replace('"for"', '"against"').replace('"?"', '"for"')
    for lie in (forged.encode(), encode({**honest, "due_ms": honest["due_ms"] + 1}), encode({**honest, "body": {}})):
        assert await verdict(site, propose(site, (lie,), close_ms)) is Verdict.BAD, lie


async def test_a_seal_that_not_all_members_signed_is_refused(voting: tuple[Site, int]) -> None:
    site, _ = voting
    await enter(site, await site.bind("m-seal"))
    time_ms = site.node.ledger.tip.time_ms + 1
    batch = await Blocks(site.node.parts).build(time_ms)
    seal = decode(batch.items[0])
    assert seal["kind"] == Seal.kind
    body = seal["body"]
    lies = [
        {**body, "signatures": []},
        {**body, "signatures": [*body["signatures"], body["signatures"][0]]},
        {**body, "signatures": [body["signatures"][0][:-4] + "AAA="]},
        {**body, "root": b64u_encode(bytes(32))},
        {**body, "size": body["size"] - 1},
    ]
    for lie in lies:
        item = encode({**seal, "body": lie, "key": str(lie["size"])})
        block = propose(site, (item, *batch.items[1:]), time_ms, batch.attachments)
        assert await verdict(site, block) is Verdict.BAD, lie
    await empty_pool(site)


async def test_a_record_with_a_wrong_signature_or_twice_is_refused(voting: tuple[Site, int]) -> None:
    site, _ = voting
    person, other = await site.bind("m-forged"), await site.bind("m-forger")
    record, foreign = report(person), report(other)
    openings = tuple(sorted((await pairs_of(site, record)).items()))
    time_ms = site.node.ledger.tip.time_ms + 1
    forged = f"{record.jws.rpartition('.')[0]}.{foreign.jws.rpartition('.')[2]}".encode()
    honest = record.jws.encode()
    assert await verdict(site, propose(site, (honest,), time_ms, openings)) is Verdict.OK
    for items in ((forged,), (honest, honest), (b"not a record",), (b"\xff",), (b"{}",)):
        assert await verdict(site, propose(site, items, time_ms, openings)) is Verdict.BAD, items


async def test_many_wrong_signatures_are_found_as_well_as_one(voting: tuple[Site, int]) -> None:
    """Beyond a few they are checked in a thread."""
    site, _ = voting
    people = [await site.bind(f"m-many-{number}") for number in range(10)]
    records = [report(person) for person in people]
    openings: dict[str, bytes] = {}
    for record in records:
        openings.update(await pairs_of(site, record))
    items = [record.jws.encode() for record in records]
    time_ms, frame = site.node.ledger.tip.time_ms + 1, tuple(sorted(openings.items()))
    assert await verdict(site, propose(site, tuple(items), time_ms, frame)) is Verdict.OK
    items[-1] = items[-1].rpartition(b".")[0] + b"." + items[0].rpartition(b".")[2]
    assert await verdict(site, propose(site, tuple(items), time_ms, frame)) is Verdict.BAD


async def test_a_proposal_whose_openings_are_not_here_waits_for_them(voting: tuple[Site, int]) -> None:
    site, _ = voting
    record = report(await site.bind("m-lacks"))
    time_ms = site.node.ledger.tip.time_ms + 1
    assert await verdict(site, propose(site, (record.jws.encode(),), time_ms)) is Verdict.ATTACHMENTS_MISSING
    pairs = tuple(sorted((await pairs_of(site, record)).items()))
    assert await verdict(site, propose(site, (record.jws.encode(),), time_ms, pairs)) is Verdict.OK
    wrong = tuple((name, opening[:-1] + b"!") for name, opening in pairs)
    assert await verdict(site, propose(site, (record.jws.encode(),), time_ms, wrong)) is Verdict.BAD


async def pairs_of(site: Site, record: SignedRecord) -> dict[str, bytes]:
    work = await site.node.admit(record.jws, record.openings)
    return dict(site.node._admission.pairs(work, record.openings))
