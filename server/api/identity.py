"""Who somebody is: the estate, the privacy notice, and this organisation's word that a key belongs to a person.

What an organisation attests it has seen itself: a code sent to the number in its own copy of the roll, WeChat's word
for that number, or a document at the counter (decisions 13). Nothing personal is ever logged.
"""

from __future__ import annotations

import asyncio
import secrets
from hashlib import sha256
from typing import Annotated, Literal
from unicodedata import normalize

import msgspec
import structlog
from msgspec import Meta

from server.api.call import Call
from server.api.errors import Declined
from server.api.limit import QUESTIONS, count
from server.api.privacy import Notice, newest_notice, notice_of
from server.api.route import OWN_STAFF, PUBLIC, Body, Path, Routes
from server.domain.member import Attestation
from server.gateway.wechat import WechatFailed, WechatFault
from server.limits import DAY_MS
from server.record.canonical import b64u_encode
from server.record.shape import MemberId, Shape
from server.record.signature import DeviceKey

routes = Routes()
log = structlog.get_logger()
CODE_LIFE_MS = 300_000
"""A code read from a message and typed in: five minutes."""
TRIES_A_DAY = 5
"""Codes asked for, and wrong codes, of one person and of one home, over all nodes (decisions 15)."""
SEND_S = 0.5
"""The answer to who asks for a code comes after this time whatever was found: timing tells nothing."""
CHINA_MS = 8 * 3_600_000
"""A day of tries begins at midnight in China."""

_WECHAT_FAULTS = {
    WechatFault.CODE_INVALID: "wechat_code_invalid",
    WechatFault.CODE_USED: "wechat_code_invalid",
    WechatFault.LIMITED: "wechat_limited",
    WechatFault.BLOCKED: "wechat_blocked",
    WechatFault.UNAVAILABLE: "wechat_unavailable",
    WechatFault.MISCONFIGURED: "wechat_off",
}
"""What each of WeChat's faults means for the person who signs in."""
_WECHAT_PAUSE_S = {WechatFault.LIMITED: 60, WechatFault.UNAVAILABLE: 5}

Phone = Annotated[str, Meta(pattern=r"^1[3-9][0-9]{9}$(?!\n)", description="Mobile number in China")]
PersonName = Annotated[str, Meta(pattern=r"^[^\u0000-\u001f\u007f\u2028\u2029]{1,60}$(?!\n)")]
Room = Annotated[
    str,
    Meta(
        pattern=r"^[^\u0000-\u001f\u007f\u2028\u2029]{0,60}$(?!\n)",
        description="Home as on the roll; empty for a person who was added and owns none",
    ),
]
PhoneCode = Annotated[str, Meta(pattern=r"^[0-9]{6}$(?!\n)")]
WechatCode = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,200}$(?!\n)")]


class NodeAddress(msgspec.Struct, frozen=True):
    """A member organisation and where its node is reached; empty where this node was not told."""

    id: str
    name: str
    url: str


class EstateView(msgspec.Struct, frozen=True):
    """The estate, and what a phone needs to check everything itself."""

    id: str
    name: str
    cluster_id: str
    origin: str
    genesis_sha256: str
    policy: str
    privacy: Notice
    phone: str
    nodes: tuple[NodeAddress, ...]
    server_ms: int


class CodeAsked(Shape, frozen=True):
    """A person as he knows himself: all three must be in this organisation's copy of the roll.

    Who owns no home and was added by an officer leaves the home empty.
    """

    phone: Phone
    name: PersonName
    room: Room


class CodeSent(msgspec.Struct, frozen=True):
    """The same answer always: if the three fit, a code is on its way."""

    expires_ms: int


class PhoneShown(Shape, frozen=True):
    """The code that came to the phone, and the key to attest."""

    phone: Phone
    code: PhoneCode
    device_key: DeviceKey


class WechatShown(Shape, frozen=True):
    """WeChat's login code and phone-number code, and the key to attest."""

    login_code: WechatCode
    phone_code: WechatCode
    device_key: DeviceKey


class DocumentSeen(Shape, frozen=True):
    """Staff saw a person's document: the member it names, and the key that is his."""

    member: MemberId
    device_key: DeviceKey


class Attested(msgspec.Struct, frozen=True):
    """This organisation's word, to go into a `device.bind`."""

    member: str
    attestation: Attestation


@routes.route("GET", "/api/v1/estate", access=PUBLIC)
async def show_estate(call: Call) -> EstateView:
    """The estate, its organisations, and what their signatures mean."""
    node, genesis = call.node, call.node.genesis
    config = node.config
    urls = {member: peer.url for member, peer in config.peers.items()} | {config.node.id: config.public_url()}
    return EstateView(
        genesis.estate.id,
        genesis.estate.name,
        b64u_encode(node.cluster_id),
        genesis.origin,
        node.cluster_id.hex(),
        node.policy_text,
        newest_notice(),
        config.estate.phone,
        tuple(NodeAddress(one.id, one.name, urls.get(one.id, "")) for one in genesis.members),
        node.clock.now_ms(),
    )


@routes.route("GET", "/api/v1/privacy/{version}", access=PUBLIC, declines=("notice_unknown",))
async def show_privacy(call: Call, version: Annotated[int, Path, Meta(ge=1, le=10_000)]) -> Notice:
    """A version of the privacy notice, also an older one that somebody agreed to."""
    notice = notice_of(version)
    if notice is None:
        raise Declined("notice_unknown")
    return notice


@routes.route(
    "POST", "/api/v1/identity/phone-code", access=PUBLIC, status=202, declines=("phone_codes_off", "tries_used_up")
)
async def send_phone_code(call: Call, body: Annotated[CodeAsked, Body]) -> CodeSent:
    """Send a code to a phone, if phone, name and home fit this organisation's own copy of the roll.

    The answer never says whether they did. Five codes a day for a phone and for a home, over all nodes; for a name
    where no home is named.
    """
    await count(call.node, QUESTIONS, call.address)
    if not call.node.config.sms.url:
        raise Declined("phone_codes_off")
    await _count_try(call, "code-phone", body.phone)
    # Without a home the name stands for the person: counted together, five strangers would lock all of them out.
    subject = ("code-room", fold_room(body.room)) if body.room else ("code-name", fold_name(body.name))
    await _count_try(call, *subject)
    call.node.spawn(_send_code(call, body), "send-phone-code")
    await asyncio.sleep(SEND_S)
    return CodeSent(call.node.clock.now_ms() + CODE_LIFE_MS)


async def _send_code(call: Call, asked: CodeAsked) -> None:
    """Runs beside the answer, so that neither its time nor its failure shows."""
    member = await call.node.people.match(asked.phone, asked.name, asked.room)
    if member is None:
        log.info("phone_code_without_match")
        return
    code = f"{secrets.randbelow(1_000_000):06d}"
    expires_ms = call.node.clock.now_ms() + CODE_LIFE_MS
    await call.node.phone_codes.keep(asked.phone, member, code, expires_ms)
    sent = await call.node.sms.send_code(asked.phone, code)
    log.info("phone_code_sent" if sent else "phone_code_not_sent", member=member)


@routes.route(
    "POST", "/api/v1/identity/phone-attestation", access=PUBLIC, declines=("evidence_mismatch", "tries_used_up")
)
async def attest_phone(call: Call, body: Annotated[PhoneShown, Body]) -> Attested:
    """Attest a key to who holds the phone that the code went to. Five wrong codes a day, over all nodes."""
    await count(call.node, QUESTIONS, call.address)
    kid = _kid(body.device_key)
    await _count_try(call, "proof-phone", body.phone)
    member = await call.node.phone_codes.take(body.phone, body.code, call.node.clock.now_ms())
    if member is None:
        raise Declined("evidence_mismatch")
    return attest_key(call, member, kid, "phone")


@routes.route(
    "POST",
    "/api/v1/identity/wechat-attestation",
    access=PUBLIC,
    declines=tuple(sorted({"tries_used_up", "wechat_phone_unknown", *_WECHAT_FAULTS.values()})),
)
async def attest_wechat(call: Call, body: Annotated[WechatShown, Body]) -> Attested:
    """Attest a key to the person whose number WeChat vouches for, if this organisation's roll has it.

    Both codes work once, at one node: the next organisation wants new ones. Who holds a number may know whether it is
    on the roll; so this answer, unlike that to a typed number, says it.
    """
    await count(call.node, QUESTIONS, call.address)
    kid = _kid(body.device_key)
    phone = await _ask_wechat(call, body)
    await _count_try(call, "proof-phone", phone)
    member = await call.node.people.member_of_phone(phone)
    if member is None:
        raise Declined("wechat_phone_unknown")
    return attest_key(call, member, kid, "wechat")


async def _ask_wechat(call: Call, shown: WechatShown) -> str:
    """The number that WeChat vouches for. The account itself is checked and not kept: nobody needs it."""
    if not call.node.config.wechat.appid:
        raise Declined("wechat_off")
    try:
        await call.node.wechat.login(shown.login_code)
        phone = await call.node.wechat.phone_number(shown.phone_code)
    except WechatFailed as failed:
        raise Declined(_WECHAT_FAULTS[failed.fault], retry_after_s=_WECHAT_PAUSE_S.get(failed.fault, 0)) from None
    if not phone:
        raise Declined("wechat_phone_unknown")
    return phone


@routes.route(
    "POST",
    "/api/v1/identity/document-attestation",
    access=OWN_STAFF,
    declines=("person_unknown", "self_attestation"),
)
async def attest_document(call: Call, body: Annotated[DocumentSeen, Body]) -> Attested:
    """Attest a key to a person whose document the caller has seen. For staff and officers of this organisation only."""
    kid = _kid(body.device_key)
    await check_document_seen(call, body.member)
    log.info("document_seen", staff=call.caller.member, member=body.member, kid=kid)
    return attest_key(call, body.member, kid, "document")


async def check_document_seen(call: Call, member: str) -> None:
    """May the caller, of `OWN_STAFF`, say that he saw this member's document?

    Raises Declined. Nobody attests himself: whoever holds a clerk's phone for a minute would bind a key of his own.
    """
    if member == call.caller.member:
        raise Declined("self_attestation")
    if await call.node.people.person(member) is None:
        raise Declined("person_unknown")


def attest_key(call: Call, member: str, kid: str, evidence: Literal["document", "phone", "wechat"]) -> Attested:
    """This organisation's word that the key is the member's. The evidence is the caller's to have seen."""
    log.info("device_attested", member=member, kid=kid, evidence=evidence)
    return Attested(member, call.node.attest(member, kid, evidence))


def _kid(device_key: DeviceKey) -> str:
    """The thumbprint of a key that is a point of P-256. Raises Malformed."""
    device_key.point()
    return device_key.thumbprint()


def fold_room(room: str) -> str:
    """One spelling of a home for counting: `1-101`, `1－101` and `1 101室` are the same try."""
    return "".join(sign for sign in normalize("NFKC", room).casefold() if sign.isalnum()).removesuffix("室")


def fold_name(name: str) -> str:
    """One spelling of a name for counting: width, case and blanks aside."""
    return "".join(normalize("NFKC", name).casefold().split())


async def _count_try(call: Call, purpose: str, subject: str) -> None:
    """Count a try of today, here and with the peers. Raises Declined when there were five before."""
    now_ms = call.node.clock.now_ms()
    day = (now_ms + CHINA_MS) // DAY_MS
    midnight_ms = (day + 1) * DAY_MS - CHINA_MS
    name = sha256(b"linli/tries\n" + call.node.cluster_id + f"{purpose}\n{subject}".encode()).hexdigest()
    if await call.node.share_tries(f"{purpose}/{name}/{day}", midnight_ms) > TRIES_A_DAY:
        raise Declined("tries_used_up", retry_after_s=(midnight_ms - now_ms) // 1000 + 1)
