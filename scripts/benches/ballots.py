"""Our own side of the bench: signed ballots posted over raw connections to node processes, and their receipts.

Requests are made before the clock runs, so that the load costs little beside the nodes. Only ballots whose receipts are
answered with a quorum's signatures count, and a sample of the receipts is verified in full. It must not know what runs
beside it.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import client
from benches.turn import Turn, Work, judge_turn, measure_v
from benches.usage import read_usage
from cluster import Cluster, NodePlace
from electorate import QUESTIONS, Electorate, request_bytes
from server.ledger.policy import parse_policy
from server.ledger.receipt import verify_receipt

NAME = "linli"
WORDS = "Linli, three organisations, signed ballots, rules executed, receipts with a quorum's signatures"
VERIFIED_SAMPLE = 50


class BallotRefused(Exception):
    """A node answered a ballot with something else than its receipt."""


async def measure_ballots(
    cluster: Cluster, voters: Electorate, clients: int, ballots: int, ids: list[str] | None = None
) -> Turn:
    """One turn on a fresh motion; `ids` takes the ids of its records. At most ten a voter. Raises BallotRefused."""
    motion = await voters.open_motion()
    records = voters.ballots(motion, min(ballots, len(voters.voters) * QUESTIONS))
    pids = [node.pid for node in cluster.nodes]
    v_us, before = measure_v(), read_usage(pids)
    work, answers = await post_ballots(cluster.nodes, records, clients)
    after = read_usage(pids)
    v_us = (v_us + measure_v()) / 2
    check_answers(cluster.data, voters.estate, answers)
    if ids is not None:
        ids.extend(record.id for record in records)
    return judge_turn(NAME, clients, work, (before, after), v_us)


async def post_ballots(
    places: Sequence[NodePlace], records: Sequence[client.SignedRecord], clients: int
) -> tuple[Work, list[bytes]]:
    """Post every record in closed loops, spread over all nodes; the answers in the order in which they came."""
    answers: list[tuple[float, bytes]] = []
    loads: list[tuple[int, list[bytes]]] = []
    for number in range(clients):
        port = places[number % len(places)].port
        loads.append((port, [request_bytes(record, f"127.0.0.1:{port}") for record in records[number::clients]]))
    begin = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for port, requests in loads:
            tasks.create_task(_post_all(requests, port, answers), name=f"client-{port}")
    return Work(time.perf_counter() - begin, [ms for ms, _ in answers]), [body for _, body in answers]


async def _post_all(requests: Sequence[bytes], port: int, answers: list[tuple[float, bytes]]) -> None:
    """One client: a connection that posts its requests one after the other."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for request in requests:
            begin = time.perf_counter()
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            body = await reader.readexactly(length)
            if not head.startswith(b"HTTP/1.1 200"):
                raise BallotRefused(f"{head[:40]!r} {body[:300]!r}")
            answers.append(((time.perf_counter() - begin) * 1000, body))
    finally:
        writer.close()


def check_answers(data: Path, estate: str, answers: Sequence[bytes]) -> None:
    """Every answer is an acceptance with a receipt; a sample is verified in full. Raises BallotRefused."""
    policy = parse_policy((data / "policy.txt").read_text("utf-8"))
    step = max(1, len(answers) // VERIFIED_SAMPLE)
    for number, body in enumerate(answers):
        answer: dict[str, Any] = json.loads(body)
        if answer["outcome"] != "accepted" or not answer["receipt"]:
            raise BallotRefused(f"{answer}")
        if number % step == 0 and not verify_receipt(answer["receipt"], policy, estate).owner_checked:
            raise BallotRefused(f"the receipt of {answer['id']} names no owner's key")
