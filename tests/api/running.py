"""A running node of an estate with one organisation: real keys, ledger, consensus and API, on a port of its own.

With one organisation each record is ordered as soon as it comes, so a test sees the whole way from request to receipt.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from client import Person
from keys import Founding, make_genesis, officer_id
from server.api.app import listen, make_app
from server.config import (
    Config,
    EstateSettings,
    HttpSettings,
    NodeSettings,
    SmsSettings,
    TransportSettings,
    WechatSettings,
)
from server.domain import RULEBOOK
from server.domain.rules import Rulebook
from server.ledger.merkle import root_of
from server.node.node import Node
from server.node.opening import open_node
from server.record.canonical import b64u_encode, encode
from server.record.shape import seal
from server.record.signature import DeviceSigner

ME = "street"
PHONE = "021-12345678"


@dataclass(slots=True)
class Site:
    """Mutable. The node, its address, and who is known there."""

    node: Node
    url: str
    http: aiohttp.ClientSession
    officer: Person
    rolls: int = 0

    def device(self) -> Person:
        """A device that nobody knows."""
        person = Person(self.http, [self.url], DeviceSigner.generate())
        person.estate = self.node.estate
        return person

    async def bind(self, member: str, evidence: str = "phone") -> Person:
        """A member with a device that this organisation attests, and a session."""
        person = self.device()
        await person.post(person.sign("device.bind", self.bind_body(person, member, evidence), author=member))
        await person.open_session()
        return person

    def bind_body(self, person: Person, member: str, evidence: str) -> dict[str, Any]:
        """What ties a person's key to a member by this organisation's word."""
        attestation = self.node.attest(member, person.signer.kid, evidence)  # type: ignore[arg-type]
        return {
            "attestations": [msgspec.to_builtins(attestation)],
            "device_key": msgspec.to_builtins(person.signer.public),
            "label": "phone",
            "member": member,
            "privacy_version": 1,
        }

    async def grant(self, member: str, role: str) -> None:
        """Give a member a role for this organisation."""
        await self.officer.do("role.grant", {"member": member, "organisation": ME, "role": role})

    async def enrol(self, *heads: tuple[int, tuple[str, ...]]) -> str:
        """Publish a roll of these heads (area, members), in force at once. Returns its name."""
        self.rolls += 1
        leaves = [seal(f"head {position}", bytes(16))[0] for position in range(len(heads))]
        published = [
            {"area_cm2": area, "leaf": leaf, "members": list(members)}
            for (area, members), leaf in zip(heads, leaves, strict=True)
        ]
        body = {
            "heads": published,
            "part": 0,
            "parts": 1,
            "position": 0,
            "roll": f"roll-{self.rolls}",
            "root": b64u_encode(root_of([encode(head) for head in published])),
        }
        await self.officer.do("roll.publish", body)
        return str(body["roll"])

    async def import_roster(self, text: str) -> None:
        """The officer imports a roster of one's own, signs it, and it is in use."""
        form = aiohttp.FormData()
        form.add_field("file", text.encode(), filename="roster.csv")
        preview = await self.officer.call("POST", "/api/v1/roll/preview", data=form)
        assert preview["bad_lines"] == []
        chosen = {"import_id": preview["import_id"]}
        for record in (await self.officer.call("POST", "/api/v1/roll/apply", json=chosen))["records"]:
            await self.officer.do(record["kind"], record["body"])
        async with asyncio.timeout(5):
            while await self.node.people.staged() is not None:
                await asyncio.sleep(0.02)

    async def ask(self, method: str, path: str, **options: Any) -> tuple[int, Mapping[str, str], Any]:
        """A bare request: status, headers, and the body as JSON or text."""
        async with self.http.request(method, self.url + path, **options) as response:
            data = await response.read()
            kind = response.content_type
            body = msgspec.json.decode(data) if kind.endswith("json") and data else data
            return response.status, response.headers, body


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@asynccontextmanager
async def running_site(
    folder: Path,
    *,
    sms_url: str = "",
    wechat: WechatSettings | None = None,
    rulebook: Rulebook = RULEBOOK,
    **http: Any,
) -> AsyncIterator[Site]:
    """A node, its API and an officer with a session."""
    make_genesis(folder / "genesis", Founding(("garden", "花园小区"), "linli.test/garden"), {ME: "居委会"})
    config = Config(
        node=NodeSettings(
            id=ME,
            genesis=str(folder / "genesis" / "genesis.json"),
            keys=str(folder / "genesis" / ME),
            data=str(folder / "data"),
        ),
        http=HttpSettings(port=1, **http),
        transport=TransportSettings(port=free_port()),
        estate=EstateSettings(phone=PHONE),
        sms=SmsSettings(url=sms_url),
        wechat=wechat or WechatSettings(),
    )
    async with open_node(config, rulebook=rulebook) as node:
        runner = await listen(make_app(node), "127.0.0.1", 0)
        host, port = runner.addresses[0][:2]
        async with aiohttp.ClientSession() as http_session:
            url = f"http://{host}:{port}"
            pem = next((folder / "genesis" / ME).glob("officer-*.pem")).read_bytes()
            officer = Person(http_session, [url], DeviceSigner.from_pem(pem))
            await officer.open_session()
            assert officer.member == officer_id(ME)
            yield Site(node, url, http_session, officer)
        await runner.cleanup()
