"""A member that signs no more does not keep a vote from becoming final; it keeps other members out (decisions 21)."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest

from server.ledger.genesis import parse_genesis
from tests.cluster.running import running_town
from tests.cluster.test_members import begun, change, check_log, sealed_by
from tests.cluster.test_restart import SHORTEST_VOTE_MS

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("cluster"), pytest.mark.timeout(400)]
PATIENCE_MS = 2_000


async def test_a_result_is_final_without_who_is_away_and_names_it_while_a_change_of_members_waits(
    tmp_path: Path,
) -> None:
    async with running_town(tmp_path, 8) as town:
        owners, property_, street = town.cluster.nodes
        everybody = [node.id for node in town.cluster.nodes]
        founding, _ = parse_genesis((town.cluster.data / "genesis.json").read_bytes())
        hasty = msgspec.structs.replace(founding.policy, final_without_ms=PATIENCE_MS)
        assert await change(town, "policy.set", hasty, everybody) == "accepted"
        await begun(town, 1, *town.cluster.nodes)

        motion = await town.voters.open_motion(SHORTEST_VOTE_MS)
        await town.voters.committee.deliver(town.voters.ballot(motion, town.voters.voters[0], "q0"))
        await sealed_by(town, *town.cluster.nodes)
        await town.stop(street)
        assert await change(town, "policy.set", founding.policy, everybody) == "accepted"
        await asyncio.sleep(SHORTEST_VOTE_MS / 1000)

        async def said(grade: str, *missing: str) -> bool:
            answers = [await town.ask(node, f"/api/v1/motions/{motion}") for node in (owners, property_)]
            found = [answer.get("result", {}) for _, answer in answers]
            return all((one.get("grade"), one.get("missing")) == (grade, [*missing]) for one in found)

        await town.wait_until(lambda: said("final_without", "street"))
        _, state = await town.ask(owners, "/api/v1/members")
        assert state["epoch"] == 1, "members change with everybody's signature, however long it takes"

        await town.start(street)
        await begun(town, 2, *town.cluster.nodes)
        await town.wait_until(lambda: said("final"))
        await sealed_by(town, *town.cluster.nodes)
        assert await check_log(town, owners)
