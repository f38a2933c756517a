"""Every write: POST /api/v1/records takes one signed record, orders it and answers with its receipt (api.md).

A record authenticates itself, so no session is asked for; limits are per device, and per address for what fails.
It must not know any kind of record, but for the one answer that a second ballot gets.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal
from unicodedata import is_normalized

import msgspec
from aiohttp import web
from msgspec import Meta

from server.api.call import Call
from server.api.errors import Declined, Problem
from server.api.limit import CONFLICTS, FAULTS, POSTS, REPEATS, count, is_over
from server.api.route import PUBLIC, Answer, Body, Header, Media, Path, Query, Routes
from server.domain.ballot import Ballot, CastBallot
from server.domain.execute import PERMANENT_COMMON
from server.domain.member import Device
from server.domain.plan import RecordWork
from server.domain.roll import RollHead
from server.ledger.block import ACCEPTED
from server.limits import OPENING_BYTES_MAX, OPENINGS_MAX, RECORD_BYTES_MAX
from server.node.admission import AttachmentMissing, Unauthorised
from server.node.node import Busy, Stopped, Submission
from server.node.parts import RulesUnsupported
from server.record.canonical import Malformed, b64u_decode
from server.record.envelope import parse_record
from server.record.shape import SALT_BYTES, RecordId, Shape, TimeMs

routes = Routes()
STOPPED_RETRY_S = 60
QUIET_POSTS = 4
"""Early refusals are looked for only while so few records are on their way: a preview costs 340 us, the CPU of four
verifications, and saves an entry only where a record is hopeless. Under load everything is ordered (decisions 14)."""
RETRY_S = 2
"""When no quorum answers: how long a phone waits before it posts again."""
OPENING_CHARACTERS_MAX = OPENING_BYTES_MAX * 4 // 3 + 3
FIRST_BALLOT_REFUSAL, NONCE_CONFLICT = "ballot_already_cast", "nonce_conflict"

Jws = Annotated[str, Meta(min_length=1, max_length=RECORD_BYTES_MAX, pattern=r"^[A-Za-z0-9_.-]+$(?!\n)")]
Opening = Annotated[str, Meta(max_length=OPENING_CHARACTERS_MAX, pattern=r"^[A-Za-z0-9_-]+$(?!\n)")]


class PostedRecord(Shape, frozen=True):
    """A signed record and the openings of its private fields."""

    record: Jws
    openings: Annotated[tuple[Opening, ...], Meta(max_length=OPENINGS_MAX)] = ()


class Accepted(msgspec.Struct, frozen=True):
    """The record took effect; the receipt proves it."""

    id: str
    outcome: str
    index: int
    receipt: str


class Pending(msgspec.Struct, frozen=True):
    """The record is in order, its receipt is not signed by enough organisations yet."""

    id: str
    state: Literal["pending"] = "pending"


class RecordState(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where a record stands. `never_ordered`: under the checkpoint shown it is not, and can no longer be."""

    id: str
    state: Literal["ordered", "pending", "waiting", "unknown", "never_ordered"]
    outcome: str = ""
    index: int = 0
    receipt: str = ""
    checkpoint: str = ""


@routes.route(
    "POST",
    "/api/v1/records",
    access=PUBLIC,
    declines=(
        "signature_invalid",
        "device_unbound",
        "attachment_missing",
        "body_too_large",
        "no_quorum",
        "node_stopped",
        "rules_unsupported",
    ),
    also={202: Pending, 409: Problem},
)
async def post_record(
    call: Call, body: Annotated[PostedRecord, Body], prefer: Annotated[str, Header] = ""
) -> Accepted | Answer[Pending]:
    """Hand in a signed record; posting it again gives the same answer.

    200 accepted. 409 refused by the rules, with the receipt of the refusal; a permanent refusal comes early, with
    `"ordered": false`, unless `Prefer: ordered` is sent. 202: ask for it later. 503: kept, post it again.
    """
    work = await _admit(call, body)
    is_new = not call.node.ledger.may_hold(work.signed.id)
    await _count_post(call, work.signed.kid, is_new)
    posting = call.request.app[POSTING]
    posting.count += 1
    try:
        if posting.count <= QUIET_POSTS and not _prefers_order(prefer):
            await _decline_early(call, work)
        found = await _submit(call, work, body)
    finally:
        posting.count -= 1
    if is_new and found.outcome == NONCE_CONFLICT:
        await count(call.node, CONFLICTS, work.signed.kid)
    return await answer_submission(call, work, found)


async def _count_post(call: Call, kid: str, is_new: bool) -> None:
    """What was ordered before counts for the address: anybody who reads the log can hand it in."""
    if not is_new:
        await count(call.node, REPEATS, call.address)
        return
    if await is_over(call.node, CONFLICTS, kid):
        raise Declined("too_many", retry_after_s=CONFLICTS.window_s)
    await count(call.node, POSTS, kid)


def _prefers_order(prefer: str) -> bool:
    """Is `ordered` among the preferences (RFC 7240)?"""
    return "ordered" in {one.strip().lower() for one in prefer.split(",")}


class Posting:
    """Mutable. Records that are on their way through this node."""

    def __init__(self) -> None:
        self.count = 0


POSTING = web.AppKey("posting", Posting)


async def _submit(call: Call, work: RecordWork, body: PostedRecord) -> Submission:
    openings, wait_ms = decode_openings(body.openings), call.node.config.http.wait_ms
    try:
        return await call.node.submit(work, openings, wait_ms=wait_ms)
    except Busy:
        raise Declined("too_many", id=work.envelope.id, retry_after_s=RETRY_S) from None
    except Stopped:
        raise Declined("node_stopped", id=work.envelope.id, retry_after_s=STOPPED_RETRY_S) from None
    except RulesUnsupported as error:
        raise Declined("rules_unsupported", ", ".join(error.members), id=work.envelope.id, ordered=False) from None


async def _admit(call: Call, body: PostedRecord) -> RecordWork:
    """Judge the record. Who shares an address with a flood of bad ones is not kept from handing in a good one."""
    try:
        openings = decode_openings(body.openings)
        work = await call.node.admit(body.record, openings)
        check_spelling(work.envelope.payload.body, openings)
        return work
    except Malformed:
        await count(call.node, FAULTS, call.address)
        raise
    except Unauthorised:
        await count(call.node, FAULTS, call.address)
        kid = parse_record(body.record, call.node.estate).kid
        known = await call.node.queries.get(Device, kid) is not None
        raise Declined("signature_invalid" if known else "device_unbound") from None
    except AttachmentMissing:
        raise Declined("attachment_missing") from None


def decode_openings(openings: tuple[str, ...]) -> tuple[bytes, ...]:
    """The bytes of the openings. Raises Malformed."""
    return tuple(b64u_decode(opening) for opening in openings)


def check_spelling(body: dict[str, Any], openings: tuple[bytes, ...]) -> None:
    """Raise Malformed unless all text is in Unicode's normal form C: one spelling of each word.

    Here and never in a replica, because two releases may have different tables (decisions 1).
    """
    texts = (msgspec.json.encode(body), *(opening[SALT_BYTES:] for opening in openings))
    if not all(text.isascii() or is_normalized("NFC", text.decode("utf-8", "replace")) for text in texts):
        raise Malformed("text is not in Unicode normal form C", "body")


async def _decline_early(call: Call, work: RecordWork) -> None:
    """A refusal that no later block can lift is told without being ordered (decisions 14).

    A record that was ordered before looks hopeless too, by its used nonce: its first answer is given again.
    """
    outcome = await call.node.preview(work)
    if outcome in work.signed.body.permanent | PERMANENT_COMMON and await call.node.find(work.envelope.id) is None:
        raise Declined(outcome, id=work.envelope.id, ordered=False)


async def answer_submission(call: Call, work: RecordWork, found: Submission) -> Accepted | Answer[Pending]:
    """What a submission is answered with. Raises Declined for all but an accepted record with its receipt."""
    if found.state == "waiting":
        raise Declined("no_quorum", id=found.id, retry_after_s=RETRY_S)
    if found.state == "pending":
        return Answer(Pending(found.id), 202, {"Retry-After": str(RETRY_S)})
    if found.outcome == ACCEPTED:
        return Accepted(found.id, found.outcome, found.index, found.receipt)
    first = await first_receipt(call, work) if found.outcome == FIRST_BALLOT_REFUSAL else ""
    raise Declined(found.outcome, id=found.id, ordered=True, receipt=found.receipt, first_receipt=first)


async def first_receipt(call: Call, work: RecordWork) -> str:
    """The receipt of the ballot that counts, for a member of the same head (decisions 18); else empty."""
    body = work.signed.body
    assert isinstance(body, CastBallot), "only a ballot is refused so"
    head = await call.node.queries.get(RollHead, body.roll, str(body.position))
    ballot = await call.node.queries.get(Ballot, body.motion, body.question, str(body.position))
    if head is None or ballot is None or work.signed.author not in head.members:
        return ""
    first = await call.node.find(ballot.record)
    return first.receipt if first else ""


@routes.route("GET", "/api/v1/records/{id}", access=PUBLIC)
async def show_record(
    call: Call, id: Annotated[RecordId, Path], expires_ms: Annotated[TimeMs | None, Query] = None
) -> RecordState:
    """Where a record stands. `unknown`: this node has not seen it, which says nothing of the others.

    With `expires_ms` of a record that is not known: `never_ordered` when the newest block that is signed by a quorum is
    later than that; only then is it safe to sign again (decisions 26).
    """
    # Before the search: what is ordered while we search may be under a later checkpoint, and would be called never so.
    checkpoint, checkpoint_ms = call.node.checkpoint_text(), call.node.checkpoint_time_ms()
    found = await call.node.find(id)
    if found is not None:
        return RecordState(found.id, found.state, found.outcome, found.index, found.receipt)
    if call.node.is_waiting(id):
        return RecordState(id, "waiting")
    if expires_ms is not None and checkpoint_ms > expires_ms:
        return RecordState(id, "never_ordered", checkpoint=checkpoint)
    return RecordState(id, "unknown")


@routes.route("GET", "/api/v1/records/{id}/receipt", access=PUBLIC, declines=("record_not_found", "receipt_not_ready"))
async def show_receipt(call: Call, id: Annotated[RecordId, Path]) -> Annotated[str, Media("text/plain; charset=utf-8")]:
    """The receipt of an ordered record: C2SP tlog-proofs, checkable without us."""
    found = await call.node.find(id)
    if found is None:
        raise Declined("record_not_found")
    if not found.receipt:
        raise Declined("receipt_not_ready", retry_after_s=RETRY_S)
    return found.receipt
