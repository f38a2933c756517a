"""Sessions: opened with the device key at any node, ended by their owner, by time or with the device (decisions 15)."""

from __future__ import annotations

from typing import Annotated

import msgspec
from aiohttp import web
from msgspec import Meta

from server.api.call import NODE, Call, Caller
from server.api.errors import Declined
from server.api.limit import SESSIONS, count
from server.api.needs import NodeService
from server.api.paging import Page
from server.api.route import PUBLIC, Body, Routes
from server.api.session import (
    CHALLENGE_LIFE_MS,
    PROOF_BYTES_MAX,
    Challenges,
    Claims,
    SignedProof,
    Tokens,
    is_proven,
    parse_proof,
)
from server.domain.member import Device, Member, usable_roles
from server.record.shape import Shape

routes = Routes()
TOKENS = web.AppKey("tokens", Tokens)
CHALLENGES = web.AppKey("challenges", Challenges)
_CLAIMS = web.RequestKey("claims", Claims)
Compact = Annotated[str, Meta(min_length=1, max_length=PROOF_BYTES_MAX, pattern=r"^[A-Za-z0-9_.-]+$(?!\n)")]
RefreshToken = Annotated[str, Meta(min_length=20, max_length=200, pattern=r"^[A-Za-z0-9_.-]+$(?!\n)")]


class Challenge(msgspec.Struct, frozen=True):
    """32 bytes that nobody can foresee, to sign within a minute, and the node that asks."""

    challenge: str
    node: str


class Proven(Shape, frozen=True):
    """A session proof (DESIGN.md 2.6): JWS of the device over challenge, cluster and node."""

    proof: Compact


class Refreshed(Shape, frozen=True):
    """The newest refresh token of a session."""

    refresh_token: RefreshToken


class OpenedSession(msgspec.Struct, frozen=True):
    """Tokens of a session: the access token for ten minutes, the refresh token once."""

    access_token: str
    expires_ms: int
    refresh_token: str
    member: str
    roles: tuple[str, ...]


class Unit(msgspec.Struct, frozen=True):
    """A home of the member's, as this organisation's own copy of the roll names it."""

    id: str
    label: str
    area_cm2: int


class SessionInfo(msgspec.Struct, frozen=True):
    """Who the caller is, and the server's time, by which a phone corrects its own."""

    member: str
    name: str
    roles: tuple[str, ...]
    units: tuple[Unit, ...]
    kid: str
    verified: bool
    server_ms: int


class DeviceView(msgspec.Struct, frozen=True):
    """A device that signs, or signed, for the caller."""

    kid: str
    label: str
    bound_ms: int
    votes_from_ms: int
    attested_by: tuple[str, ...]
    revoked: bool


async def authenticate(request: web.Request) -> Caller | None:
    """The caller of a request, by its bearer token; None when it has none. Raises Declined."""
    header = request.headers.get("Authorization")
    if header is None:
        return None
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Declined("session_invalid")
    claims = request.app[TOKENS].read(token.strip())
    caller = await _caller(request.app[NODE], claims.member, claims.kid)
    request[_CLAIMS] = claims
    return caller


async def _caller(node: NodeService, member_id: str, kid: str) -> Caller:
    """The member of a device as the ledger has him now: a revoked device ends its sessions at once."""
    device = await node.queries.get(Device, kid)
    if device is None or device.member != member_id:
        raise Declined("device_unbound")
    if device.revoked:
        raise Declined("device_ended")
    member = await node.queries.get(Member, member_id)
    attestations = node.genesis.policy.attestations
    # As a record's preview sees the time: a slow clock here must not hide an office that the ledger grants already.
    time_ms = max(node.clock.now_ms(), node.ledger.tip.time_ms + 1)
    roles = usable_roles(member, device, time_ms, node.trust) if member else ()
    return Caller(member_id, kid, roles, verified=len(device.attested_by) >= attestations)


@routes.route("POST", "/api/v1/session/challenge", access=PUBLIC)
async def ask_challenge(call: Call) -> Challenge:
    """Begin a sign-in: a challenge for this node, good for one proof within 60 seconds."""
    return Challenge(call.request.app[CHALLENGES].make(), call.node.config.node.id)


@routes.route(
    "POST",
    "/api/v1/session",
    access=PUBLIC,
    declines=("challenge_unknown", "proof_invalid", "device_unbound", "device_ended"),
)
async def open_session(call: Call, body: Annotated[Proven, Body]) -> OpenedSession:
    """Open a session with a signed challenge."""
    await count(call.node, SESSIONS, call.address)
    signed = parse_proof(body.proof)
    caller = await _check_proof(call, signed)
    token = await call.node.sessions.open(caller.member, caller.kid, call.node.clock.now_ms())
    return _opened(call, caller, token.family, token.text)


async def _check_proof(call: Call, signed: SignedProof) -> Caller:
    """A challenge is used up only by who proves a key with it: nobody can spend another's."""
    challenge = signed.proof.challenge
    if not call.request.app[CHALLENGES].is_fresh(challenge):
        raise Declined("challenge_unknown")
    device = await call.node.queries.get(Device, signed.kid)
    if device is None:
        raise Declined("device_unbound")
    if not is_proven(signed, device.key(), call.node.config.node.id, call.node.cluster_id):
        raise Declined("proof_invalid")
    if not await call.node.cache.put_once(f"challenge/{challenge}", ttl_ms=CHALLENGE_LIFE_MS):
        raise Declined("challenge_unknown")
    return await _caller(call.node, device.member, device.id)


def _opened(call: Call, caller: Caller, family: str, refresh_token: str) -> OpenedSession:
    access_token, expires_ms = call.request.app[TOKENS].issue(caller.member, caller.kid, family)
    return OpenedSession(access_token, expires_ms, refresh_token, caller.member, caller.roles)


@routes.route(
    "POST",
    "/api/v1/session/refresh",
    access=PUBLIC,
    declines=("session_invalid", "session_expired", "device_unbound", "device_ended"),
)
async def refresh_session(call: Call, body: Annotated[Refreshed, Body]) -> OpenedSession:
    """Exchange a refresh token for a new pair. Using one again, later than 10 s after, ends the session."""
    await count(call.node, SESSIONS, call.address)
    token = await call.node.sessions.rotate(body.refresh_token, call.node.clock.now_ms())
    if token is None:
        raise Declined("session_invalid")
    caller = await _caller(call.node, token.member, token.kid)
    return _opened(call, caller, token.family, token.text)


@routes.route("GET", "/api/v1/session")
async def show_session(call: Call) -> SessionInfo:
    """Who the caller is. Name and homes come from this organisation's own copy of the roll."""
    caller = call.caller
    person = await call.node.people.person(caller.member)
    homes = await call.node.people.homes(caller.member)
    units = tuple(Unit(home.unit, home.label, home.area_cm2) for home in homes)
    name, now_ms = person.name if person else "", call.node.clock.now_ms()
    return SessionInfo(caller.member, name, caller.roles, units, caller.kid, caller.verified, now_ms)


@routes.route("DELETE", "/api/v1/session", status=204)
async def end_session(call: Call) -> None:
    """End this session; its tokens hold no longer."""
    family = call.request[_CLAIMS].family
    call.request.app[TOKENS].end(family)
    await call.node.sessions.revoke(family)


@routes.route("GET", "/api/v1/devices")
async def list_devices(call: Call) -> Page[DeviceView]:
    """The caller's devices, revoked ones too."""
    devices = await call.node.queries.devices(call.caller.member)
    return Page([_view(device) for device in devices])


def _view(device: Device) -> DeviceView:
    return DeviceView(
        device.id, device.label, device.bound_ms, device.votes_from_ms, device.attested_by, device.revoked
    )
