"""Sessions begin with a device key, hold ten minutes at one node, and end with their device (decisions 15)."""

from __future__ import annotations

import re
import secrets
from typing import Any

import jwt
import pytest

from server.api.app import ENDPOINTS
from server.api.errors import Declined
from server.api.session import ACCESS_LIFE_S, CHALLENGE_LIFE_MS, Challenges, Tokens
from server.record.canonical import b64u_encode, encode
from server.record.envelope import SESSION_TYPE, sign_jws
from server.storage.sessions import REUSE_MS
from tests.api.running import ME, Site

pytestmark = pytest.mark.asyncio(loop_scope="module")
NOW_MS = 1_800_000_000_000
CLUSTER = bytes(range(32))


class FixedClock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.ms = NOW_MS

    def now_ms(self) -> int:
        return self.ms

    def monotonic_ms(self) -> int:
        return self.ms


def make_tokens() -> tuple[Tokens, FixedClock, bytes]:
    clock, secret = FixedClock(), secrets.token_bytes(32)
    return Tokens(ME, CLUSTER, secret, clock), clock, secret


def claims(**changes: Any) -> dict[str, Any]:
    now_s = NOW_MS // 1000
    good = {
        "aud": b64u_encode(CLUSTER),
        "exp": now_s + ACCESS_LIFE_S,
        "family": "f",
        "iat": now_s,
        "iss": ME,
        "jti": "1",
        "kid": "k",
        "sub": "m-1",
    }
    return {name: value for name, value in {**good, **changes}.items() if value is not None}


def code_of(tokens: Tokens, token: str) -> str:
    with pytest.raises(Declined) as declined:
        tokens.read(token)
    return declined.value.code


async def test_token_holds_for_ten_minutes_and_not_a_millisecond_longer() -> None:
    tokens, clock, _ = make_tokens()
    token, expires_ms = tokens.issue("m-1", "k", "f")
    assert tokens.read(token).member == "m-1"
    assert expires_ms - NOW_MS == 600_000
    clock.ms = expires_ms - 1
    assert tokens.read(token).family == "f"
    clock.ms = expires_ms
    assert code_of(tokens, token) == "session_expired"


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "property"},
        {"aud": b64u_encode(bytes(32))},
        {"exp": NOW_MS // 1000 + ACCESS_LIFE_S + 1},
        {"exp": 10**30},
        {"exp": None},
        {"iat": None},
        {"jti": None},
        {"sub": None},
        {"sub": 5},
        {"kid": None},
        {"family": 7},
        {"iat": NOW_MS // 1000 + 60, "exp": NOW_MS // 1000 + 120},
        {"iat": NOW_MS // 1000, "exp": NOW_MS // 1000},
    ],
)
async def test_token_with_other_claims_is_invalid(changes: dict[str, Any]) -> None:
    tokens, _, secret = make_tokens()
    assert code_of(tokens, jwt.encode(claims(**changes), secret, algorithm="HS256")) == "session_invalid"


async def test_token_of_another_key_or_algorithm_is_invalid() -> None:
    tokens, _, secret = make_tokens()
    assert tokens.read(jwt.encode(claims(), secret, algorithm="HS256")).kid == "k"
    for token in (
        jwt.encode(claims(), secrets.token_bytes(32), algorithm="HS256"),
        jwt.encode(claims(), secret * 2, algorithm="HS512"),
        jwt.encode(claims(), None, algorithm="none"),
        "a.b.c",
        "",
        "x" * 5_000,
    ):
        assert code_of(tokens, token) == "session_invalid"


async def test_session_tells_who_the_caller_is(site: Site) -> None:
    person = await site.bind("m-who")
    info = await person.call("GET", "/api/v1/session")
    assert (info["member"], info["kid"], info["roles"], info["verified"]) == ("m-who", person.signer.kid, [], True)
    assert abs(info["server_ms"] - site.node.clock.now_ms()) < 60_000


async def proof(site: Site, person: Any, challenge: str, **changes: str) -> str:
    content = {"challenge": challenge, "cluster_id": b64u_encode(site.node.cluster_id), "node": ME, **changes}
    return sign_jws(person.signer, encode(content), SESSION_TYPE)


async def new_challenge(site: Site) -> str:
    return str((await site.ask("POST", "/api/v1/session/challenge"))[2]["challenge"])


async def test_challenge_is_good_for_one_proof(site: Site) -> None:
    person = await site.bind("m-once")
    signed = await proof(site, person, await new_challenge(site))
    first, _, _ = await site.ask("POST", "/api/v1/session", json={"proof": signed})
    second, _, problem = await site.ask("POST", "/api/v1/session", json={"proof": signed})
    assert (first, second, problem["code"]) == (200, 401, "challenge_unknown")


async def test_challenge_is_good_for_a_minute_and_at_its_maker() -> None:
    clock = FixedClock()
    challenges, others = Challenges(bytes(32), clock), Challenges(bytes(31) + b"1", clock)
    challenge = challenges.make()
    assert challenge != challenges.make()
    assert (challenges.is_fresh(challenge), others.is_fresh(challenge)) == (True, False)
    clock.ms += CHALLENGE_LIFE_MS - 1
    assert challenges.is_fresh(challenge)
    clock.ms += 1
    assert not challenges.is_fresh(challenge)
    clock.ms -= CHALLENGE_LIFE_MS + 1
    assert not challenges.is_fresh(challenge)


async def test_stolen_challenge_is_not_used_up_by_a_wrong_proof(site: Site) -> None:
    person, thief = await site.bind("m-victim"), await site.bind("m-thief")
    challenge = await new_challenge(site)
    wrong = await proof(site, thief, challenge, node="property")
    assert (await site.ask("POST", "/api/v1/session", json={"proof": wrong}))[2]["code"] == "proof_invalid"
    right = await proof(site, person, challenge)
    assert (await site.ask("POST", "/api/v1/session", json={"proof": right}))[0] == 200


async def test_challenge_of_nobody_is_unknown(site: Site) -> None:
    person = await site.bind("m-invent")
    signed = await proof(site, person, b64u_encode(bytes(32)))
    assert (await site.ask("POST", "/api/v1/session", json={"proof": signed}))[2]["code"] == "challenge_unknown"


@pytest.mark.parametrize("changes", [{"node": "property"}, {"cluster_id": b64u_encode(bytes(32))}])
async def test_proof_for_another_node_or_cluster_opens_nothing(site: Site, changes: dict[str, str]) -> None:
    person = await site.bind("m-else")
    signed = await proof(site, person, await new_challenge(site), **changes)
    status, _, problem = await site.ask("POST", "/api/v1/session", json={"proof": signed})
    assert (status, problem["code"]) == (401, "proof_invalid")


async def test_proof_with_another_signature_opens_nothing(site: Site) -> None:
    person, thief = await site.bind("m-owner"), site.device()
    challenge = await new_challenge(site)
    good, forged = await proof(site, person, challenge), await proof(site, thief, challenge)
    mixed = good.rpartition(".")[0] + "." + forged.rpartition(".")[2]
    assert (await site.ask("POST", "/api/v1/session", json={"proof": mixed}))[2]["code"] == "proof_invalid"


async def test_unbound_device_opens_no_session(site: Site) -> None:
    signed = await proof(site, site.device(), await new_challenge(site))
    assert (await site.ask("POST", "/api/v1/session", json={"proof": signed}))[2]["code"] == "device_unbound"


async def test_refresh_gives_a_new_pair_each_time(site: Site) -> None:
    person = await site.bind("m-refresh")
    opened = await person.open_session()
    status, _, renewed = await site.ask(
        "POST", "/api/v1/session/refresh", json={"refresh_token": opened["refresh_token"]}
    )
    assert status == 200
    assert renewed["refresh_token"] != opened["refresh_token"]
    assert renewed["member"] == "m-refresh"


async def test_reuse_of_a_refresh_token_ends_the_session_but_not_the_device(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = await site.bind("m-reuse")
    first = (await person.open_session())["refresh_token"]
    _, _, second = await site.ask("POST", "/api/v1/session/refresh", json={"refresh_token": first})
    later_ms = site.node.clock.now_ms() + REUSE_MS + 1_000
    monkeypatch.setattr(site.node.clock, "now_ms", lambda: later_ms)
    again, _, _ = await site.ask("POST", "/api/v1/session/refresh", json={"refresh_token": first})
    after, _, _ = await site.ask("POST", "/api/v1/session/refresh", json={"refresh_token": second["refresh_token"]})
    assert (again, after) == (401, 401)
    monkeypatch.undo()
    assert (await person.open_session())["member"] == "m-reuse"


async def test_ended_session_holds_no_longer(site: Site) -> None:
    person = await site.bind("m-end")
    opened = await person.open_session()
    headers = {"Authorization": f"Bearer {opened['access_token']}"}
    assert (await site.ask("DELETE", "/api/v1/session", headers=headers))[0] == 204
    assert (await site.ask("GET", "/api/v1/session", headers=headers))[2]["code"] == "session_expired"
    refresh = {"refresh_token": opened["refresh_token"]}
    assert (await site.ask("POST", "/api/v1/session/refresh", json=refresh))[0] == 401


async def test_revoked_device_ends_its_sessions_at_once(site: Site) -> None:
    lost, kept = await site.bind("m-lost"), await site.bind("m-lost")
    opened = await lost.open_session()
    await kept.do("device.revoke", {"revoked": lost.signer.kid})
    headers = {"Authorization": f"Bearer {opened['access_token']}"}
    assert (await site.ask("GET", "/api/v1/session", headers=headers))[2]["code"] == "device_ended"
    refresh = {"refresh_token": opened["refresh_token"]}
    assert (await site.ask("POST", "/api/v1/session/refresh", json=refresh))[2]["code"] == "device_ended"
    devices = (await kept.call("GET", "/api/v1/devices"))["items"]
    assert {device["kid"]: device["revoked"] for device in devices} == {lost.signer.kid: True, kept.signer.kid: False}


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic abc", "Bearer a.b.c", "Bearer \u00e9"])
async def test_bad_authorization_is_a_401(site: Site, header: str) -> None:
    status, _, problem = await site.ask("GET", "/api/v1/session", headers={"Authorization": header})
    assert (status, problem["code"]) == (401, "session_invalid")


async def test_every_endpoint_that_declares_a_session_refuses_who_has_none(site: Site) -> None:
    closed = [one for one in ENDPOINTS if one.access.session and not one.access.optional]
    assert closed
    for endpoint in closed:
        path = endpoint.path.replace("{", "").replace("}", "")
        status, _, problem = await site.ask(endpoint.method, path)
        assert (path, status, problem["code"]) == (path, 401, "session_missing")


async def test_every_endpoint_that_declares_a_role_refuses_who_lacks_it(site: Site) -> None:
    person = await site.bind("m-plain")
    headers = {"Authorization": f"Bearer {person.tokens[site.url]}"}
    for endpoint in (one for one in ENDPOINTS if one.access.roles):
        path = re.sub(r"\{\w+\}", "x", endpoint.path)
        status, _, problem = await site.ask(endpoint.method, path, headers=headers)
        assert (endpoint.path, status, problem["code"]) == (endpoint.path, 403, "role_needed")
