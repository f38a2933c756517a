"""Who lost its disk, and who is no member yet, join by a snapshot from a time with other members, and prove it all."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

import keys
from cluster import Cluster, NodePlace
from server.ledger.checkpoint import cosign_line, note_of, parse_note
from server.ledger.genesis import parse_genesis
from server.ledger.succession import follow_links
from server.record.signature import NodeSigner
from tests.cluster.hurried_node import SCHEDULE
from tests.cluster.running import Town, running_town
from tests.cluster.test_joining import JOIN_BEHIND, tables_of
from tests.cluster.test_members import (
    NEWCOMER,
    begun,
    change,
    check_log,
    check_receipt,
    count_openings,
    invite,
    links_of,
    put_back_with_new_keys,
    run_verifier,
    sealed_by,
)

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("cluster"), pytest.mark.timeout(240)]

SETTINGS = {"consensus": {"join_behind": str(JOIN_BEHIND)}}
FOUNDERS = ["owners", "property", "street"]


async def height_of(town: Town, node: NodePlace) -> int:
    _, state = await town.ask(node, "/api/v1/cluster")
    return int(state.get("height", 0))


async def go_on(town: Town, blocks: int) -> list[str]:
    """Ballots, one a block or so, until the first node has so many blocks more. Returns their records."""
    first = town.cluster.nodes[0]
    end, records = await height_of(town, first) + blocks, []
    while await height_of(town, first) < end:
        records.append(str((await town.cast())["id"]))
    return records


async def renew(town: Town, node: NodePlace, epoch: int, *others: NodePlace) -> None:
    """All operators agree to new keys of a member; these nodes come to the next epoch."""
    public = await asyncio.to_thread(keys.renew_keys, node.folder)
    assert await change(town, "key.rotate", public, FOUNDERS) == "accepted"
    await begun(town, epoch, *others)


def joined_at(node: NodePlace) -> list[str]:
    """What the node's log says of snapshots that it took."""
    return [line for line in node.log.read_text("utf-8").splitlines() if "event=snapshot_joined" in line]


async def test_nodes_join_by_a_snapshot_across_epochs_and_hold_and_prove_what_all_others_do(tmp_path: Path) -> None:
    """The log below the snapshot has two epochs with other keys, and the state was told under the third. One of those
    keys is stolen, and signs on: it is found, and its owner, who has new ones, goes on."""
    invited: list[NodePlace] = []

    def prepare(cluster: Cluster) -> None:
        invited.append(invite(cluster, SETTINGS))

    async with running_town(tmp_path, 16, "tests.cluster.hurried_node", SETTINGS, prepare) as town:
        [newcomer] = invited
        owners, property_, street = town.cluster.nodes
        records = await go_on(town, 2)
        await renew(town, street, 1, owners, property_, street)
        keys.adopt_keys(street.folder)
        records += await go_on(town, 2)
        await town.stop(property_)
        await renew(town, property_, 2, owners, street)
        records += await go_on(town, SCHEDULE.every + SCHEDULE.lag + JOIN_BEHIND)
        await sealed_by_all_but_one(town, owners, street)
        stolen = NodeSigner(keys.read_secret(property_.folder / "cosign.key"))
        put_back_with_new_keys(property_)
        town.cluster.start(property_)
        town.cluster.start(newcomer)
        try:
            await begun(town, 2, owners, property_, street)
            await follows(town, newcomer)
            await sealed_by(town, owners, property_, street)
            assert len(joined_at(property_)) == len(joined_at(newcomer)) == 1
            assert count_openings(newcomer) == 0, "what is private is for members"

            public = keys.read_organisation(newcomer.folder / "public.json")
            assert await change(town, "node.add", public, [*FOUNDERS, NEWCOMER]) == "accepted"
            await begun(town, 3, owners, property_, street, newcomer)
            proof = await sign_on(town, street, stolen)
            await town.wait_until(lambda: is_named(town, proof, owners, property_, street, newcomer))
            records += await go_on(town, 1)
            await sealed_by(town, owners, property_, street, newcomer)
            assert await check_evidence(town, newcomer, proof)
            for record in (records[0], records[-1]):
                found = await town.state_of(property_, record)
                assert await check_receipt(town, newcomer, found["receipt"])
            assert follow_links(*await links_of(town, newcomer)).current.ids == tuple(sorted([*FOUNDERS, NEWCOMER]))
            assert await check_log(town, newcomer)
            await town.wait_until(lambda: has_all_openings(owners, property_, newcomer))
        finally:
            await town.stop(newcomer)
        for node in (owners, property_, street):
            assert await town.stop(node) == 0
        assert tables_of(newcomer) == tables_of(property_) == tables_of(street) == tables_of(owners)


async def sign_on(town: Town, asked: NodePlace, stolen: NodeSigner) -> str:
    """Somebody signs the newest tree with the cosign key that property had before, and a phone brings it to a node.
    Returns the id of what it proves."""
    genesis, _ = parse_genesis((town.cluster.data / "genesis.json").read_bytes())
    async with town.http.get(asked.url + "/checkpoint") as answer:
        seen = parse_note(await answer.text(), genesis.origin).checkpoint
    line = cosign_line(stolen, genesis.origin, "property", seen.size, seen.root, 1_800_000_000)
    body = {"notes": [note_of(seen, [line])]}
    async with town.http.post(asked.url + "/api/v1/evidence", json=body) as answer:
        told = await answer.json()
        assert answer.status == 200, told
    [proof] = told["ids"]
    return str(proof)


async def is_named(town: Town, proof: str, *nodes: NodePlace) -> bool:
    """Whether the log names the key at each node; it bars nobody, and the member with the new one goes on."""
    for node in nodes:
        _, shown = await town.ask(node, "/api/v1/evidence")
        found = [one for one in shown.get("evidence", []) if one["id"] == proof]
        if not found or found[0]["height"] == 0:
            return False
        assert (found[0]["offence"], found[0]["member"], shown["barred"]) == ("retired_key", "property", [])
    return True


async def check_evidence(town: Town, node: NodePlace, proof: str) -> bool:
    """Whether the independent verifier finds it proved, with genesis and the links that a node shows."""
    data = town.cluster.data
    _, shown = await town.ask(node, "/api/v1/evidence")
    [found] = [one for one in shown["evidence"] if one["id"] == proof]
    (data / "evidence.json").write_text(json.dumps(found), "utf-8")
    (data / "succession.json").write_text(json.dumps((await town.ask(node, "/succession.json"))[1]), "utf-8")
    words = ("evidence", "evidence.json", "--genesis", "genesis.json", "--members", "succession.json")
    return (await asyncio.to_thread(run_verifier, *words, folder=data)).returncode == 0


async def sealed_by_all_but_one(town: Town, *nodes: NodePlace) -> None:
    """Wait until these hold one log, although nothing is sealed while a member is away."""

    async def is_so() -> bool:
        return len({size for node in nodes for size in (await town.sizes(node))[:1]}) == 1

    await town.wait_until(is_so)


async def follows(town: Town, newcomer: NodePlace) -> None:
    """Wait until the newcomer holds the log of the first node."""

    async def is_so() -> bool:
        size, _ = await town.sizes(newcomer)
        return size == (await town.sizes(town.cluster.nodes[0]))[0]

    await town.wait_until(is_so)


async def has_all_openings(whole: NodePlace, *others: NodePlace) -> bool:
    """Whether these have fetched what they were not shown."""
    return {count_openings(node) for node in others} == {count_openings(whole)}
