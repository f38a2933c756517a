"""What is public: log, cluster, documentation, events and the web build, each with the headers that keep it safe."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from openapi_spec_validator import validate

from server.api.app import ENDPOINTS, described
from server.api.pages import content_policy
from server.ledger.merkle import Frontier, leaf_hash, verify_consistency
from server.ledger.policy import parse_policy, verify_checkpoint
from server.ledger.receipt import parse_entry
from server.record.canonical import b64u_decode
from tests.api.running import ME, Site, running_site

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """A node that serves a small web build."""
    folder = tmp_path_factory.mktemp("public")
    web = folder / "web"
    (web / "assets").mkdir(parents=True)
    (web / "index.html").write_text("<!doctype html><title>Linli</title>")
    (web / "assets" / "app-0123abcd.js").write_text("export {}")
    (folder / "secret.txt").write_text("secret")
    async with running_site(folder, static=str(web)) as running:
        await running.bind("o-1")
        yield running


async def test_checkpoint_holds_under_the_published_policy(site: Site) -> None:
    status, headers, note = await site.ask("GET", "/checkpoint")
    policy = (await site.ask("GET", "/policy.txt"))[2].decode()
    verified = verify_checkpoint(note.decode(), parse_policy(policy))
    assert (status, verified.checkpoint.size) == (200, site.node.ledger.tip.size)
    assert headers["Access-Control-Allow-Origin"] == "*"


async def test_genesis_is_served_byte_for_byte(site: Site) -> None:
    async with site.http.get(f"{site.url}/genesis.json") as response:
        data = await response.read()
    assert hashlib.sha256(data).digest() == site.node.cluster_id


async def test_log_is_exported_to_verified_members_only(site: Site) -> None:
    member = await site.bind("o-2")
    headers = {"Authorization": f"Bearer {member.tokens[site.url]}"}
    status, _, data = await site.ask("GET", "/api/v1/log", headers=headers)
    lines = [json.loads(line) for line in data.splitlines()]
    assert status == 200
    assert [line["index"] for line in lines] == list(range(site.node.ledger.tip.size))
    for line in lines:
        assert parse_entry(line["entry"].encode())
    _, _, part = await site.ask("GET", "/api/v1/log?begin=1&end=3", headers=headers)
    assert part.splitlines() == data.splitlines()[1:3]
    assert (await site.ask("GET", "/api/v1/log"))[0] == 401


async def test_device_that_too_few_organisations_know_reads_no_log(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    member = await site.bind("o-3")
    policy = site.node.genesis.policy
    monkeypatch.setattr(site.node, "genesis", _with_attestations(site.node.genesis, policy.attestations + 1))
    headers = {"Authorization": f"Bearer {member.tokens[site.url]}"}
    for path in ("/api/v1/log", "/tile/entries/000.p/1"):
        status, _, problem = await site.ask("GET", path, headers=headers)
        assert (status, problem["code"]) == (403, "device_unverified")


def _with_attestations(genesis: Any, count: int) -> Any:
    return msgspec.structs.replace(genesis, policy=msgspec.structs.replace(genesis.policy, attestations=count))


async def test_consistency_between_two_sizes_is_proved(site: Site) -> None:
    old = site.node.ledger.tip
    await site.bind("o-4")
    new = site.node.ledger.tip
    status, _, answer = await site.ask("GET", f"/api/v1/consistency?from={old.size}&to={new.size}")
    assert status == 200
    proof = [b64u_decode(step) for step in answer["proof"]]
    verify_consistency(old.size, new.size, proof, old.root, new.root)
    for query in (f"from=0&to={new.size}", f"from={new.size}&to={old.size}", f"from=1&to={new.size + 9}"):
        status, _, problem = await site.ask("GET", f"/api/v1/consistency?{query}")
        assert (status, problem["code"]) == (400, "malformed")


async def test_tiles_give_the_root_that_the_checkpoint_signs(site: Site) -> None:
    tip = site.node.ledger.tip
    status, headers, tile = await site.ask("GET", f"/tile/0/000.p/{tip.size}")
    assert (status, "immutable" in headers["Cache-Control"]) == (200, True)
    tree = Frontier()
    for begin in range(0, len(tile), 32):
        tree.append(tile[begin : begin + 32])
    assert tree.root() == tip.root
    member = await site.bind("o-7")
    entries = {"Authorization": f"Bearer {member.tokens[site.url]}"}
    _, _, bundle = await site.ask("GET", f"/tile/entries/000.p/{tip.size}", headers=entries)
    hashes = []
    while bundle:
        length = int.from_bytes(bundle[:2])
        hashes.append(leaf_hash(bundle[2 : 2 + length]))
        bundle = bundle[2 + length :]
    assert b"".join(hashes) == tile
    assert (await site.ask("GET", f"/tile/entries/000.p/{tip.size}"))[0] == 401


@pytest.mark.parametrize(
    "place",
    ["0/000", "0/001.p/1", "0/000.p/256", "1/000.p/1", "5/x001/x234/067", "0/x000/000.p/1", "9/000", "63/000.p/1"],
)
async def test_tile_that_is_not_complete_is_unknown(site: Site, place: str) -> None:
    status, _, problem = await site.ask("GET", f"/tile/{place}")
    assert (status, problem["code"]) == (404, "tile_unknown")


@pytest.mark.parametrize(
    "place", ["0/0", "0/1000", "0/000.p/0", "0/000.p/", "0/x001", "64/000", "0/-01", "0/000.p/1/2"]
)
async def test_malformed_tile_is_malformed(site: Site, place: str) -> None:
    status, _, problem = await site.ask("GET", f"/tile/{place}")
    assert (status, problem["code"]) == (400, "malformed")


async def test_cluster_shows_every_node_and_both_grades(site: Site) -> None:
    _, _, cluster = await site.ask("GET", "/api/v1/cluster")
    assert [(node["id"], node["reachable"], node["lag"]) for node in cluster["nodes"]] == [(ME, True, 0)]
    assert cluster["committed_size"] == cluster["sealed_size"] == cluster["size"]


async def test_cluster_shows_which_rules_are_in_force_and_which_each_node_knows(site: Site) -> None:
    _, _, cluster = await site.ask("GET", "/api/v1/cluster")
    assert (cluster["rules"], cluster["next_rules"]) == (1, None)
    assert [node["rules"] for node in cluster["nodes"]] == [1]
    assert "linli_rules 1.0" in (await site.ask("GET", "/metrics"))[2].decode()


async def test_rules_that_not_every_node_knows_are_not_activated(site: Site) -> None:
    record = site.officer.sign("rules.activate", {"height": 1_000, "version": 2})
    status, _, problem = await site.ask("POST", "/api/v1/records", json=record.body())
    assert (status, problem["code"], problem["ordered"]) == (409, "rules_unsupported", False)
    assert ME in problem["detail"], "whose release lacks them"
    assert (await site.ask("GET", f"/api/v1/records/{record.id}"))[2]["state"] == "unknown"


async def test_health_readiness_and_metrics_answer(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (await site.ask("GET", "/healthz"))[2] == {"node": ME}
    assert (await site.ask("GET", "/readyz"))[::2] == (200, {"ready": True, "reason": ""})
    monkeypatch.setattr(site.node, "ready", lambda: (False, "only 1 of 3 nodes are reached"))
    assert (await site.ask("GET", "/readyz"))[0] == 503
    await site.ask("GET", f"/api/v1/records/{'A' * 43}")
    text = (await site.ask("GET", "/metrics"))[2].decode()
    assert 'route="/api/v1/records/{id}"' in text
    assert "A" * 43 not in text
    assert "linli_ready 0.0" in text


async def test_events_tell_what_kind_of_record_came_and_nothing_of_it(site: Site) -> None:
    async with site.http.get(f"{site.url}/api/v1/events") as stream:
        assert stream.headers["Content-Type"] == "text/event-stream"
        assert await stream.content.readline() == b"retry: 3000\n"
        await stream.content.readline()
        await site.bind("o-5")
        async with asyncio.timeout(5):
            assert await stream.content.readline() == b"event: device.bind\n"
            assert await stream.content.readline() == b'data: {"topic":"device.bind"}\n'


async def test_closed_event_stream_is_forgotten(site: Site) -> None:
    for _ in range(3):
        async with site.http.get(f"{site.url}/api/v1/events") as stream:
            await stream.content.readline()
    await site.bind("o-6")
    async with asyncio.timeout(20):
        while len(site.node.changes._queues) > 1:  # the watcher of rolls stays
            await site.officer.do("role.grant", {"member": "o-6", "organisation": ME, "role": "auditor"})
            await site.officer.do("role.revoke", {"member": "o-6", "organisation": ME, "role": "auditor"})


async def test_description_is_valid_and_names_every_endpoint(site: Site) -> None:
    _, _, served = await site.ask("GET", "/api/openapi.json")
    validate(served)
    assert served == json.loads(json.dumps(described()))
    named = {(method.upper(), path) for path, methods in served["paths"].items() for method in methods}
    assert named == {(endpoint.method, re.sub(r":[^}]*", "", endpoint.path)) for endpoint in ENDPOINTS}


async def test_documentation_needs_no_script_and_no_other_host(site: Site) -> None:
    status, headers, page = await site.ask("GET", "/api/docs")
    text = page.decode()
    assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert "<script" not in text
    assert not re.findall(r'(?:src|href)="(?!#)', text)
    for endpoint in ENDPOINTS:
        assert f'id="{endpoint.function.__name__}"' in text
    for code in described()["x-codes"]:
        assert f'id="{code}"' in text


async def test_web_build_is_served_under_a_strict_policy(site: Site) -> None:
    status, headers, page = await site.ask("GET", "/")
    assert (status, b"Linli" in page) == (200, True)
    assert headers["Content-Security-Policy"] == content_policy(())
    assert (headers["Referrer-Policy"], headers["X-Content-Type-Options"]) == ("no-referrer", "nosniff")
    assert headers["Cache-Control"] == "no-cache"
    status, headers, _ = await site.ask("GET", "/assets/app-0123abcd.js")
    assert (status, headers["Content-Type"]) == (200, "text/javascript")
    assert "immutable" in headers["Cache-Control"]
    assert (await site.ask("GET", "/pages/motion"))[0] == 200


@pytest.mark.parametrize(
    "path", ["/../secret.txt", "/%2e%2e/secret.txt", "/assets/..%2f..%2fsecret.txt", "/nothing.js"]
)
async def test_nothing_outside_the_web_build_is_served(site: Site, path: str) -> None:
    host, port = site.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    answer = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    assert answer.split()[1] == b"404"
    assert b"secret" not in answer


async def test_pages_of_other_members_nodes_may_ask_and_strangers_may_not(site: Site) -> None:
    own = site.node.config.public_url()
    ask = {"Access-Control-Request-Method": "POST"}
    status, headers, _ = await site.ask("OPTIONS", "/api/v1/session", headers={"Origin": own, **ask})
    assert (status, headers["Access-Control-Allow-Origin"]) == (204, own)
    status, headers, _ = await site.ask("GET", "/api/v1/estate", headers={"Origin": "https://evil.example"})
    assert status == 200
    assert "Access-Control-Allow-Origin" not in headers
