"""At the counter: a phone shows a short code, staff who saw the person's document name him, the phone fetches the word.

Keys never pass through the hands of staff: the code stands for the key that the phone gave, at this node, for a quarter
of an hour. It lives in the cache, which may be lost; then the phone asks for another.
"""

from __future__ import annotations

import secrets
from typing import Annotated

import msgspec
import structlog
from msgspec import Meta

from server.api.call import Call
from server.api.codes import ALIAS_LENGTH, ALPHABET
from server.api.errors import Declined
from server.api.identity import Attested, attest_key, check_document_seen
from server.api.limit import POLLS, QUESTIONS, SEARCHES, count
from server.api.route import OWN_STAFF, PUBLIC, Body, Path, Routes
from server.limits import SECOND_MS
from server.record.shape import MemberId, Shape
from server.record.signature import DeviceKey

routes = Routes()
log = structlog.get_logger()
CODE_LIFE_MS = 900 * SECOND_MS
"""Time to be called to the counter, to find one's papers, and for the phone to fetch the answer."""
CounterCode = Annotated[
    str, Meta(pattern=r"^[0-9A-HJKMNP-TV-Z]{8}$(?!\n)", description="Eight characters without look-alikes")
]


class KeyShown(Shape, frozen=True):
    """The key of the phone that stands at the counter."""

    device_key: DeviceKey


class CounterCodeGiven(msgspec.Struct, frozen=True):
    """What the phone shows to staff, as a picture and as eight characters, and until when it holds."""

    code: str
    expires_ms: int


class Waiting(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of a code; `attested` once staff have named the person."""

    kid: str
    attested: Attested | None = None


class PersonSeen(Shape, frozen=True):
    """The person whose document staff have seen."""

    member: MemberId


class SeenAtCounter(msgspec.Struct, frozen=True):
    """Staff's answer: whom the phone is now tied to, by this organisation's word."""

    member: str
    kid: str


@routes.route("POST", "/api/v1/identity/counter", access=PUBLIC)
async def begin_counter(call: Call, body: Annotated[KeyShown, Body]) -> CounterCodeGiven:
    """Ask for a code to show at this organisation's counter. It holds for 15 minutes and says nothing of a person."""
    await count(call.node, QUESTIONS, call.address)
    body.device_key.point()
    code = "".join(secrets.choice(ALPHABET) for _ in range(ALIAS_LENGTH))
    await _keep(call, code, Waiting(body.device_key.thumbprint()))
    return CounterCodeGiven(code, call.node.clock.now_ms() + CODE_LIFE_MS)


@routes.route("GET", "/api/v1/identity/counter/{code}", access=PUBLIC, declines=("counter_code_unknown",))
async def show_counter(call: Call, code: Annotated[CounterCode, Path]) -> Waiting:
    """What became of a code: the phone asks until staff have named its owner. The word helps nobody without the key."""
    await count(call.node, POLLS, call.address)
    return await _find(call, code)


@routes.route(
    "POST",
    "/api/v1/identity/counter/{code}",
    access=OWN_STAFF,
    declines=("counter_code_unknown", "counter_code_used", "person_unknown", "self_attestation"),
)
async def attest_at_counter(
    call: Call, code: Annotated[CounterCode, Path], body: Annotated[PersonSeen, Body]
) -> SeenAtCounter:
    """Attest the key behind a code to a person whose document the caller has seen. Repeating it is harmless."""
    await count(call.node, SEARCHES, call.caller.member)
    waiting = await _find(call, code)
    await check_document_seen(call, body.member)
    if waiting.attested is not None and waiting.attested.member != body.member:
        raise Declined("counter_code_used")
    if waiting.attested is None:
        log.info("document_seen", staff=call.caller.member, member=body.member, kid=waiting.kid)
        await _keep(call, code, Waiting(waiting.kid, attest_key(call, body.member, waiting.kid, "document")))
    return SeenAtCounter(body.member, waiting.kid)


async def _find(call: Call, code: str) -> Waiting:
    kept = await call.node.cache.get(f"counter/{code}")
    if kept is None:
        raise Declined("counter_code_unknown")
    return msgspec.json.decode(kept, type=Waiting)


async def _keep(call: Call, code: str, waiting: Waiting) -> None:
    await call.node.cache.put(f"counter/{code}", msgspec.json.encode(waiting), ttl_ms=CODE_LIFE_MS)
