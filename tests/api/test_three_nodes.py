"""Three nodes of three organisations in one process: what is begun at one may be continued at another."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import aiohttp
import msgspec
import pytest
import pytest_asyncio

from client import ApiError, Person
from keys import Founding, make_genesis
from server.api.app import ENDPOINTS, listen, make_app
from server.api.codes import CODE_LENGTH, hash_of
from server.config import Config, HttpSettings, NodeSettings, PeerSettings, TransportSettings
from server.domain.roll import Roll
from server.node.node import Node
from server.node.opening import open_node
from server.record.canonical import b64u_encode, encode
from server.record.envelope import SESSION_TYPE, sign_jws
from server.record.signature import DeviceSigner
from tests.api.pictures import jpeg
from tests.api.running import free_port

pytestmark = pytest.mark.asyncio(loop_scope="module")
MEMBERS = {"committee": "业委会", "property": "物业", "street": "居委会"}
OWN_PATHS = {
    "/api/v1/identity/counter/{code}",
    "/api/v1/identity/document-attestation",
    "/api/v1/people",
    "/api/v1/people/added",
    "/api/v1/people/added/{member}",
    "/api/v1/roles",
    "/api/v1/roll/apply",
    "/api/v1/roll/preview",
    "/api/v1/roll/standing",
    "/api/v1/shops",
}
"""What only an organisation's own officers, or staff, may ask its node for."""


@dataclass(slots=True)
class Estate:
    """The nodes, where they are, and one officer of each organisation."""

    nodes: list[Node]
    urls: list[str]
    http: aiohttp.ClientSession
    officers: list[Person]

    async def bind(self, member: str, *attesters: int, evidence: Literal["document", "phone"] = "document") -> Person:
        """A member whose device these organisations attest, with a session at every node."""
        person = Person(self.http, self.urls, DeviceSigner.generate(), estate=self.nodes[0].estate)
        words = [self.nodes[number].attest(member, person.signer.kid, evidence) for number in attesters]
        body = {
            "attestations": msgspec.to_builtins(words),
            "device_key": msgspec.to_builtins(person.signer.public),
            "label": "phone",
            "member": member,
            "privacy_version": 1,
        }
        await person.deliver(person.sign("device.bind", body, author=member))
        await self.open_sessions(person)
        return person

    async def open_sessions(self, person: Person) -> None:
        """A session at every node, once each has heard of the device."""
        for number in range(len(self.nodes)):
            async with asyncio.timeout(10):
                while True:
                    try:
                        await person.open_session(number)
                        break
                    except ApiError as error:
                        if error.code != "device_unbound":
                            raise
                        await asyncio.sleep(0.05)

    async def grant(self, member: str, organisation: str, role: str) -> None:
        """Two officers give a role."""
        for officer in self.officers[:2]:
            await officer.do("role.grant", {"member": member, "organisation": organisation, "role": role})


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def estate(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Estate]:
    folder = tmp_path_factory.mktemp("three")
    make_genesis(folder, Founding(("garden", "花园小区"), "linli.test/garden"), MEMBERS)
    ports = {member: free_port() for member in MEMBERS}
    async with AsyncExitStack() as stack:
        configs = [_config(folder, member, ports) for member in MEMBERS]
        nodes = [await stack.enter_async_context(open_node(config)) for config in configs]
        runners = [await listen(make_app(node), "127.0.0.1", 0) for node in nodes]
        for runner in runners:
            stack.push_async_callback(runner.cleanup)
        http = await stack.enter_async_context(aiohttp.ClientSession())
        urls = [f"http://127.0.0.1:{runner.addresses[0][1]}" for runner in runners]
        async with asyncio.timeout(20):
            while not all(node.ready()[0] for node in nodes):
                await asyncio.sleep(0.05)
        running = Estate(nodes, urls, http, [])
        for member in MEMBERS:
            pem = next((folder / member).glob("officer-*.pem")).read_bytes()
            officer = Person(http, urls, DeviceSigner.from_pem(pem))
            await running.open_sessions(officer)
            running.officers.append(officer)
        yield running


def _config(folder: Path, member: str, ports: dict[str, int]) -> Config:
    peers = {other: PeerSettings(host="127.0.0.1", port=port) for other, port in ports.items() if other != member}
    return Config(
        node=NodeSettings(
            id=member,
            genesis=str(folder / "genesis.json"),
            keys=str(folder / member),
            data=str(folder / f"data-{member}"),
        ),
        http=HttpSettings(port=1),
        transport=TransportSettings(port=ports[member]),
        peers=peers,
    )


async def raw(estate: Estate, node: int, method: str, path: str, **options: Any) -> tuple[int, Any]:
    async with estate.http.request(method, estate.urls[node] + path, **options) as response:
        return response.status, msgspec.json.decode(await response.read())


async def test_token_of_one_node_is_worth_nothing_at_another(estate: Estate) -> None:
    person = await estate.bind("x-1", 0, 1)
    headers = {"Authorization": f"Bearer {person.tokens[estate.urls[0]]}"}
    assert (await raw(estate, 0, "GET", "/api/v1/session", headers=headers))[0] == 200
    status, problem = await raw(estate, 1, "GET", "/api/v1/session", headers=headers)
    assert (status, problem["code"]) == (401, "session_invalid")


async def test_challenge_of_one_node_opens_no_session_at_another(estate: Estate) -> None:
    _, asked = await raw(estate, 0, "POST", "/api/v1/session/challenge")
    _, other = await raw(estate, 1, "POST", "/api/v1/session/challenge")
    assert (asked["node"], other["node"]) == ("committee", "property")
    person = await estate.bind("x-2", 0, 1)
    content = {
        "challenge": asked["challenge"],
        "cluster_id": b64u_encode(estate.nodes[0].cluster_id),
        "node": "property",
    }
    proof = sign_jws(person.signer, encode(content), SESSION_TYPE)
    status, problem = await raw(estate, 1, "POST", "/api/v1/session", json={"proof": proof})
    assert (status, problem["code"]) == (401, "challenge_unknown")


async def test_one_attestation_is_not_a_verified_device(estate: Estate) -> None:
    person = await estate.bind("x-3", 0)
    assert (await person.call("GET", "/api/v1/session"))["verified"] is False
    with pytest.raises(ApiError) as refused:
        await person.call("GET", "/api/v1/log")
    assert (refused.value.status, refused.value.code) == (403, "device_unverified")


async def test_one_organisation_alone_opens_nothing_in_the_name_of_anothers_officer(estate: Estate) -> None:
    intruder = await estate.bind(estate.officers[1].member, 0)
    key = msgspec.to_builtins(DeviceSigner.generate().public)
    for method, path, options in (
        ("GET", "/api/v1/people?query=王小明", {}),
        ("GET", "/api/v1/roles", {}),
        ("POST", "/api/v1/identity/document-attestation", {"json": {"member": "m-1", "device_key": key}}),
    ):
        with pytest.raises(ApiError) as refused:
            await intruder.call(method, path, node=1, **options)
        assert (refused.value.status, refused.value.code) == (403, "role_needed")
    assert await estate.officers[1].call("GET", "/api/v1/roles", node=1)


async def test_what_an_organisation_keeps_for_itself_is_closed_to_anothers_officer(estate: Estate) -> None:
    officer = estate.officers[1]
    assert (await officer.call("GET", "/api/v1/session", node=0))["roles"] == ["officer@property"]
    own = [endpoint for endpoint in ENDPOINTS if endpoint.access.own]
    assert {endpoint.path for endpoint in own} == OWN_PATHS
    for endpoint in own:
        with pytest.raises(ApiError) as refused:
            await officer.call(endpoint.method, re.sub(r"\{\w+\}", "x", endpoint.path), node=0)
        assert (endpoint.path, refused.value.status, refused.value.code) == (endpoint.path, 403, "role_needed")


async def test_offices_are_not_readable_from_a_further_device_within_its_delay(estate: Estate) -> None:
    """DESIGN.md D6: as records refuse it; two organisations tied the key to the person, but nobody saw him."""
    officer = estate.officers[1]
    further = await estate.bind(officer.member, 0, 2, evidence="phone")
    info = await further.call("GET", "/api/v1/session", node=1)
    assert (info["verified"], info["roles"]) == (True, [])
    with pytest.raises(ApiError) as refused:
        await further.call("GET", "/api/v1/roles", node=1)
    assert (refused.value.status, refused.value.code) == (403, "role_needed")
    assert (await officer.call("GET", "/api/v1/session", node=1))["roles"] == ["officer@property"]
    seen = await estate.bind(officer.member, 0, 2)
    assert await seen.call("GET", "/api/v1/roles", node=1)


async def import_roster(estate: Estate, number: int) -> str:
    """An officer imports the roster at his own node and signs what is left, as often as another one is faster."""
    officer, roster = estate.officers[number], "1,101,王小明,身份证,11010519491231002X,13800000001,80.00,1"
    form = aiohttp.FormData()
    head = "幢号,室号,业主姓名,证件类型,证件号码,手机号,建筑面积,产权份额"
    form.add_field("file", f"{head}\n{roster}\n".encode(), filename="roster.csv")
    preview = await officer.call("POST", "/api/v1/roll/preview", node=number, data=form)
    for _ in range(20):
        chosen = {"import_id": preview["import_id"]}
        unsigned = await officer.call("POST", "/api/v1/roll/apply", node=number, json=chosen)
        try:
            for record in unsigned["records"]:
                await officer.do(record["kind"], record["body"])
        except ApiError as error:
            if error.code not in {"roll_part_out_of_order", "already_approved"}:
                raise
            await asyncio.sleep(0.1)
        else:
            return str(unsigned["roll"])
    raise AssertionError("the import never ends")


async def test_officers_who_import_one_roster_at_the_same_time_bring_it_into_force(estate: Estate) -> None:
    rolls = await asyncio.gather(*(import_roster(estate, number) for number in range(3)))
    assert len({*rolls}) == 1
    async with asyncio.timeout(5):
        for node in estate.nodes:
            while (roll := await node.queries.get(Roll, rolls[0])) is None or not roll.in_force:
                await asyncio.sleep(0.02)
            while not await node.people.heads():
                await asyncio.sleep(0.02)


async def test_photo_and_texts_of_a_ticket_are_seen_at_every_node(estate: Estate) -> None:
    reporter, worker = await estate.bind("x-4", 0, 1), await estate.bind("x-5", 1, 2)
    await estate.grant("x-5", "property", "staff")
    form = aiohttp.FormData()
    form.add_field("photo", jpeg("navy"), filename="a.jpg", content_type="image/jpeg")
    photo = await reporter.call("POST", "/api/v1/photos", data=form)
    body = {
        "category": "lift",
        "contact": reporter.seal(""),
        "home": False,
        "photos": [{name: photo[name] for name in ("original_sha256", "sha256", "size")}],
        "place": reporter.seal("2 号楼"),
        "text": reporter.seal("电梯异响"),
    }
    ticket = (await reporter.deliver(reporter.sign("ticket.report", body)))["id"]
    for node in range(3):
        page = await _wait_for(worker, node, f"/api/v1/tickets/{ticket}")
        assert page["text"] == "电梯异响"
        small = await worker.call("GET", photo["thumbnail"], node=node)
        assert small[8:12] == b"WEBP"


async def _wait_for(person: Person, node: int, path: str) -> dict[str, Any]:
    """A page of a node that may be a block behind."""
    async with asyncio.timeout(10):
        while True:
            try:
                return dict(await person.call("GET", path, node=node))
            except ApiError as error:
                if error.status != 404:
                    raise
                await asyncio.sleep(0.05)


async def test_five_wrong_codes_a_day_hold_over_all_nodes(estate: Estate) -> None:
    key = msgspec.to_builtins(DeviceSigner.generate().public)
    body = {"phone": "13800000088", "code": "000000", "device_key": key}
    path = "/api/v1/identity/phone-attestation"
    statuses = [(await raw(estate, number % 3, "POST", path, json=body))[0] for number in range(7)]
    assert statuses == [401] * 5 + [429] * 2


async def test_alias_made_at_one_node_is_understood_at_another(estate: Estate) -> None:
    shop, buyer = await estate.bind("x-6", 0, 1), await estate.bind("x-7", 0, 1)
    await estate.grant("x-6", "property", "merchant")
    code = "7" * CODE_LENGTH
    due_ms = estate.nodes[0].clock.now_ms() + 120_000
    await shop.do("offer.make", {"amount": 3, "code_hash": hash_of(code), "due_ms": due_ms})
    alias = (await shop.call("POST", "/api/v1/offers/alias", json={"offer": hash_of(code), "code": code}))["alias"]
    seen = await _wait_for(buyer, 2, f"/api/v1/offers/{alias}")
    assert (seen["offer"], seen["amount"]) == (hash_of(code), 3)
