"""Members join, leave and take new keys while the cluster runs: real processes, the operators' own tool, real peers."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import keys
import members
from cluster import PEER_PORTS_ABOVE, Cluster, NodePlace, config_text, find_port_base
from export import export
from replay import replay_data
from server.consensus.guilt import culprit_finder
from server.consensus.quorum import Quorum
from server.ledger.genesis import parse_genesis
from server.ledger.succession import Link, follow_links
from server.record.signature import NodeSigner
from tests.cluster.running import PATIENCE_S, Town, running_town
from verifier.ledger import CHECKS as LOG_CHECKS

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("cluster"), pytest.mark.timeout(400)]

NEWCOMER = "finance"
ROOT = Path(__file__).resolve().parents[2]


def operator_of(folder: Path) -> NodeSigner:
    """What lies in an organisation's safe."""
    return NodeSigner(keys.read_secret(folder / "operator.key"))


async def change(town: Town, kind: Any, given: Any, signers: list[str]) -> str:
    """Draw a change up at the first node, have these operators sign it, bring it. Returns its outcome."""
    data, url = town.cluster.data, town.cluster.nodes[0].url
    agreement = members.propose(await asyncio.to_thread(members.fetch_members, url), kind, given)
    for node in signers:
        agreement, _ = members.agree(agreement, operator_of(data / node))
    assert agreement.missing == ()
    officer = town.voters.officer(0)
    return await members.bring(agreement, url, officer.member, officer.signer)


async def begun(town: Town, epoch: int, *nodes: NodePlace) -> None:
    """Wait until these nodes are ready in this epoch."""

    async def is_so() -> bool:
        for node in nodes:
            status, state = await town.ask(node, "/api/v1/members")
            ready, _ = await town.ask(node, "/readyz")
            if (status, state.get("epoch"), ready) != (200, epoch, 200):
                return False
        return True

    await town.wait_until(is_so)


async def sealed_by(town: Town, *nodes: NodePlace) -> None:
    """Wait until these nodes hold one log and say that all have signed its end."""

    async def is_so() -> bool:
        known = {size for node in nodes for size in await town.sizes(node)}
        return len(known) == 1 and -1 not in known

    await town.wait_until(is_so)


def invite(cluster: Cluster, settings: dict[str, dict[str, str]] | None = None) -> NodePlace:
    """A fourth organisation makes its keys; every node is told where it is, and who."""
    data, port = cluster.data, find_port_base()
    keys.make_organisation(data / NEWCOMER, NEWCOMER, "监督委员会", [], keys.read_secret(data / "owners" / "roll.key"))
    place = NodePlace(NEWCOMER, data / NEWCOMER, port, port + PEER_PORTS_ABOVE)
    for node in cluster.nodes:
        with node.config.open("a", encoding="utf-8") as file:
            file.write(
                f'\n[peers.{NEWCOMER}]\nhost = "127.0.0.1"\nport = {place.peer_port}\nurl = "{place.url}"\n'
                f'certificate = "../{NEWCOMER}/transport.crt"\n'
            )
    layout = json.loads((data / "cluster.json").read_text())["nodes"]
    layout.append({"id": NEWCOMER, "port": place.port, "peer_port": place.peer_port})
    text = config_text(NEWCOMER, layout, settings or {}).replace("[node]\n", "[node]\nobserves = true\n")
    place.config.write_text(text, "utf-8")
    return place


async def restart_each(town: Town) -> None:
    """One after the other, so that a quorum always runs."""
    for node in list(town.cluster.nodes):
        assert await town.stop(node) == 0
        await town.start(node)


async def links_of(town: Town, node: NodePlace) -> tuple[Any, ...]:
    """What `follow_links` takes: genesis, and what a node shows."""
    genesis, cluster_id = parse_genesis((town.cluster.data / "genesis.json").read_bytes())
    _, shown = await town.ask(node, "/succession.json")
    links = [Link(**link) for link in shown["links"]]
    culprit_of = culprit_finder(genesis.origin, cluster_id)
    return genesis, cluster_id, town.voters.estate, links, lambda n: Quorum(n, genesis.mode).quorum, culprit_of


async def check_receipt(town: Town, node: NodePlace, receipt: str) -> bool:
    """Whether the verifier that knows genesis only, and what a node shows of the members, finds all in order."""
    data = town.cluster.data
    (data / "receipt.txt").write_text(receipt, "utf-8")
    (data / "succession.json").write_text(json.dumps((await town.ask(node, "/succession.json"))[1]), "utf-8")
    words = ["receipt", "receipt.txt", "--policy", "policy.txt", "--genesis", "genesis.json"]
    words += ["--members", "succession.json", "--require", "committed"]
    done = await asyncio.to_thread(run_verifier, *words, folder=data)
    return done.returncode == 0


def run_verifier(*words: str, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """scripts/verify.py to its end."""
    command = [sys.executable, str(ROOT / "scripts" / "verify.py"), *words]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    print(done.stdout, done.stderr)
    return done


async def check_log(town: Town, node: NodePlace) -> bool:
    """Whether the whole log holds, read as an officer may; openings of ballots are not asked for."""
    officer = town.voters.officer(0)
    folder = town.cluster.data / "export"
    await export(node.url, folder, officer.signer)
    done = await asyncio.to_thread(run_verifier, "log", str(folder), "--only", ",".join(set(LOG_CHECKS) - {"tallies"}))
    return done.returncode == 0


def count_openings(node: NodePlace) -> int:
    """How many private values a node's database holds."""
    with closing(sqlite3.connect(node.folder / "data" / "node.db")) as database:
        [count] = database.execute("SELECT COUNT(*) FROM opening").fetchone()
    return int(count)


async def join(town: Town) -> NodePlace:
    """The newcomer follows first, and is a member from the next epoch on."""
    newcomer = invite(town.cluster)
    await restart_each(town)
    town.cluster.start(newcomer)

    async def follows() -> bool:
        size, _ = await town.sizes(newcomer)
        return size == (await town.sizes(town.cluster.nodes[0]))[0]

    await town.wait_until(follows)
    assert count_openings(town.cluster.nodes[0]) > 0
    assert count_openings(newcomer) == 0, "what is private is for members"
    status, said = await town.ask(newcomer, "/readyz")
    assert (status, "follows only" in said["reason"]) == (503, True)
    public = keys.read_organisation(newcomer.folder / "public.json")
    assert await change(town, "node.add", public, ["owners", "property", "street", NEWCOMER]) == "accepted"
    await begun(town, 1, *town.cluster.nodes, newcomer)
    return newcomer


def put_back_with_new_keys(node: NodePlace) -> None:
    """As docs/members.md says: nothing of the old disk is left, and the keys that voted on it never sign again."""
    shutil.rmtree(node.folder / "data")
    keys.adopt_keys(node.folder)
    text = node.config.read_text("utf-8")
    node.config.write_text(text.replace("[node]\n", "[node]\nobserves = true\n"), "utf-8")


async def test_a_fourth_joins_the_third_leaves_unasked_and_another_takes_new_keys_and_loses_its_disk(
    tmp_path: Path,
) -> None:
    async with running_town(tmp_path, 8) as town:
        owners, property_, street = town.cluster.nodes
        first = await town.cast()
        newcomer = await join(town)
        try:
            second = await town.cast()
            await sealed_by(town, owners, property_, street, newcomer)
            assert second["index"] > first["index"]

            await town.stop(street)
            assert await change(town, "node.remove", "street", ["owners", "property", NEWCOMER]) == "accepted"
            await begun(town, 2, owners, property_, newcomer)
            await town.cast()
            await sealed_by(town, owners, property_, newcomer)
            town.cluster.start(street)
            async with asyncio.timeout(PATIENCE_S):
                while town.cluster.runs(street):
                    await asyncio.sleep(0.1)
            assert "street is no member any more: epoch 2 began without it" in street.log.read_text()

            renewed = await asyncio.to_thread(keys.renew_keys, property_.folder)
            assert await change(town, "key.rotate", renewed, ["owners", "property", NEWCOMER]) == "accepted"
            await begun(town, 3, owners, property_, newcomer)
            keys.adopt_keys(property_.folder)
            last = await town.cast()
            await sealed_by(town, owners, property_, newcomer)
            for answer in (first, second, last):
                found = await town.state_of(owners, answer["id"])
                assert await check_receipt(town, newcomer, found["receipt"])
            assert follow_links(*await links_of(town, newcomer)).current.ids == (NEWCOMER, "owners", "property")
            assert await check_log(town, owners)

            await town.stop(property_)
            lost = await asyncio.to_thread(keys.renew_keys, property_.folder)
            assert await change(town, "key.rotate", lost, ["owners", "property", NEWCOMER]) == "accepted"
            await begun(town, 4, owners, newcomer)
            await town.cast()
            put_back_with_new_keys(property_)
            town.cluster.start(property_)
            await begun(town, 4, owners, property_, newcomer)
            await sealed_by(town, owners, property_, newcomer)

            await town.stop(owners)
            replayed = await asyncio.to_thread(replay_data, owners.folder / "data", town.cluster.data / "genesis.json")
            assert replayed.standing is not None
            assert replayed.standing.number == 4
        finally:
            await town.stop(newcomer)
