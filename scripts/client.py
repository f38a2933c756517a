"""A client of the API: a device that signs records and opens sessions. For demo, tests and benchmarks."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import msgspec

from server.record.canonical import b64u_encode, digest, encode
from server.record.envelope import SESSION_TYPE, Payload, sign_jws, sign_record
from server.record.shape import SALT_BYTES, seal
from server.record.signature import DeviceSigner

RECORD_LIFE_MS = 3_600_000


class ApiError(Exception):
    """An answer that is a problem (RFC 9457)."""

    def __init__(self, status: int, problem: dict[str, Any]) -> None:
        super().__init__(f"{status} {problem.get('code', '')}: {problem.get('detail', '')}")
        self.status = status
        self.code = str(problem.get("code", ""))
        self.problem = problem


@dataclass(frozen=True, slots=True)
class SignedRecord:
    """A record ready to be posted, as often as it takes."""

    id: str
    jws: str
    openings: tuple[bytes, ...] = ()

    def body(self) -> dict[str, Any]:
        """The body of POST /api/v1/records."""
        openings = {"openings": [b64u_encode(opening) for opening in self.openings]} if self.openings else {}
        return {"record": self.jws, **openings}


@dataclass(slots=True)
class Person:
    """Mutable. A member's device with its sessions, one a node."""

    http: aiohttp.ClientSession
    urls: list[str]
    signer: DeviceSigner
    estate: str = ""
    member: str = ""
    name: str = ""
    tokens: dict[str, str] = field(default_factory=dict)
    openings: dict[str, bytes] = field(default_factory=dict)

    async def call(self, method: str, path: str, *, node: int = 0, **options: Any) -> Any:
        """One request to a node; JSON of the answer. Raises ApiError."""
        url = self.urls[node]
        headers = dict(options.pop("headers", {}))
        if url in self.tokens:
            headers["Authorization"] = f"Bearer {self.tokens[url]}"
        async with self.http.request(method, url + path, headers=headers, **options) as response:
            data = await response.read()
            if response.status >= 400:
                raise ApiError(response.status, _problem(data))
            kind = response.content_type
            return msgspec.json.decode(data) if kind.endswith("json") else data.decode() if "text" in kind else data

    async def open_session(self, node: int = 0) -> dict[str, Any]:
        """Open a session with the device key (decisions 15)."""
        challenge = await self.call("POST", "/api/v1/session/challenge", node=node, json={"kid": self.signer.kid})
        content = {
            "challenge": challenge["challenge"],
            "cluster_id": await self._cluster_id(node),
            "node": challenge["node"],
        }
        proof = sign_jws(self.signer, encode(content), SESSION_TYPE)
        answer = await self.call("POST", "/api/v1/session", node=node, json={"proof": proof})
        self.tokens[self.urls[node]] = answer["access_token"]
        self.member = answer["member"]
        return dict(answer)

    async def _cluster_id(self, node: int) -> str:
        estate = await self.call("GET", "/api/v1/estate", node=node)
        self.estate = f"{estate['id']}.{estate['cluster_id'][:22]}"
        return str(estate["cluster_id"])

    def seal(self, value: Any) -> str:
        """Commit to a private value; the opening goes with the next record that names the commitment."""
        commitment, opening = seal(value, secrets.token_bytes(SALT_BYTES))
        self.openings[commitment] = opening
        return commitment

    def sign(self, kind: str, body: dict[str, Any], *, author: str = "", life_ms: int = RECORD_LIFE_MS) -> SignedRecord:
        """Make a record."""
        made_ms = time.time_ns() // 1_000_000
        payload = Payload(
            author=author or self.member,
            body=body,
            estate=self.estate,
            expires_ms=made_ms + life_ms,
            kind=kind,
            made_ms=made_ms,
            nonce=b64u_encode(secrets.token_bytes(16)),
        )
        jws = sign_record(self.signer, payload)
        text = msgspec.json.encode(body).decode()
        used = tuple(self.openings.pop(name) for name in list(self.openings) if name in text)
        return SignedRecord(digest(jws.rpartition(".")[0].encode()), jws, used)

    async def post(self, record: SignedRecord, *, node: int = 0, headers: dict[str, str] | None = None) -> Any:
        """Post a record once. Raises ApiError for a refusal."""
        return await self.call("POST", "/api/v1/records", node=node, json=record.body(), headers=headers or {})

    async def deliver(self, record: SignedRecord, *, first: int = 0, within_s: float = 30.0) -> Any:
        """Post a record, again and at every node, until one answers with a receipt or a refusal."""
        deadline = time.monotonic() + within_s
        attempt = first
        while True:
            node = attempt % len(self.urls)
            attempt += 1
            try:
                answer = await self.post(record, node=node)
                if answer.get("receipt"):
                    return answer
            except ApiError as error:
                if error.status not in (429, 502, 503, 504):
                    raise
            except (aiohttp.ClientError, TimeoutError, OSError):
                pass
            if time.monotonic() > deadline:
                raise TimeoutError(f"record {record.id} was not answered within {within_s:.0f} s")
            await asyncio.sleep(0.1)

    async def wait_for_motion(self, motion: str, state: str = "open", within_s: float = 30.0) -> dict[str, Any]:
        """The motion's page once it is in `state`. Raises TimeoutError."""
        async with asyncio.timeout(within_s):
            while True:
                page = dict(await self.call("GET", f"/api/v1/motions/{motion}"))
                if page["state"] == state:
                    return page
                await asyncio.sleep(0.1)

    async def do(self, kind: str, body: dict[str, Any], **options: Any) -> Any:
        """Sign and deliver."""
        return await self.deliver(self.sign(kind, body), **options)


def rehearsal(
    matter: str, roll: str, title: str, text: str, questions: Sequence[Mapping[str, Any]], close_ms: int
) -> dict[str, Any]:
    """The body of a `motion.propose` without legal effect: it needs no notice and opens in the next block."""
    asked = {"matter": matter, "questions": list(questions), "roll": roll, "rule_pack": "rehearsal@2026-11-01"}
    said = {"budget": [], "contract": [], "quotes": [], "petition": "", "text": text, "title": title}
    return {**asked, **said, "close_ms": close_ms, "opens_ms": time.time_ns() // 1_000_000}


def _problem(data: bytes) -> dict[str, Any]:
    try:
        problem = msgspec.json.decode(data)
    except msgspec.DecodeError:
        return {"detail": data[:200].decode("utf-8", "replace")}
    return problem if isinstance(problem, dict) else {}
