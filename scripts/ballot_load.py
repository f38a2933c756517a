"""Many clients that vote without end: closed loops that cast ballots, replace them, and keep what was acknowledged.

Each client has voters of its own, so that a ballot always replaces the one that this client knows to be counted. After
an error or a silence the same record goes to the next node, as a phone's outbox does. It must not know who kills nodes.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Any

import aiohttp

import client
from electorate import QUESTIONS, Electorate, Voter
from server.ledger.block import ACCEPTED

DELIVERY_S = 60.0
"""A record that no node has answered after so long is a fault of the cluster."""
REQUEST_S = 12.0
"""Longer than a node waits for a receipt before it answers 202 or 503."""
RECEIPT_EVERY = 100
"""Of so many acknowledged records one receipt is kept, to be verified at the end."""


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """A record whose receipt a client holds: from then on it must never be lost.

    `at_s`: when, on the monotonic clock; `took_s`: since it was first posted. `receipt` is kept of a sample.
    """

    id: str
    index: int
    outcome: str
    at_s: float
    receipt: str = ""
    took_s: float = 0.0


def open_http() -> aiohttp.ClientSession:
    """A session for the load: a node that is gone must not hold a client for long."""
    timeout = aiohttp.ClientTimeout(total=REQUEST_S, sock_connect=2.0)
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=timeout)


class BallotLoad:
    """Mutable. The clients of one motion, and all that they were told."""

    def __init__(self, voters: Electorate, motion: str, clients: int, pause_s: float = 0.0) -> None:
        assert len(voters.voters) >= clients, "each client needs a voter of its own"
        self._voters, self._motion = voters, motion
        self._clients, self._pause_s = clients, pause_s
        self.acknowledged: list[Acknowledged] = []
        self.faults: list[str] = []

    async def run(self, end: asyncio.Event) -> None:
        """Vote until `end` is set; each client then waits for its last receipt."""
        async with asyncio.TaskGroup() as tasks:
            for number in range(self._clients):
                tasks.create_task(self._vote(number, end), name=f"client-{number}")

    async def _vote(self, number: int, end: asyncio.Event) -> None:
        """One client: its voters answer question after question, then change their minds in the same order."""
        mine = self._voters.voters[number :: self._clients]
        counted: dict[tuple[int, str], str] = {}
        turn = 0
        while not end.is_set() and not self.faults:
            voter, question = mine[turn % len(mine)], f"q{turn // len(mine) % QUESTIONS}"
            place = (voter.position, question)
            record = self._voters.ballot(self._motion, voter, question, counted.get(place, ""))
            if await self._deliver(voter, record, first=number):
                counted[place] = record.id
            turn += 1
            await asyncio.sleep(self._pause_s)

    async def _deliver(self, voter: Voter, record: client.SignedRecord, first: int) -> bool:
        begin_s = time.monotonic()
        try:
            answer = await voter.person.deliver(record, first=first, within_s=DELIVERY_S)
        except (client.ApiError, TimeoutError) as error:
            self.faults.append(f"ballot {record.id} of {voter.person.member}: {error}")
            return False
        self._note(answer, begin_s)
        return True

    def _note(self, answer: dict[str, Any], begin_s: float) -> None:
        kept = answer["receipt"] if len(self.acknowledged) % RECEIPT_EVERY == 0 else ""
        if answer["outcome"] != ACCEPTED:
            self.faults.append(f"ballot {answer['id']} had the outcome {answer['outcome']}")
        at_s = time.monotonic()
        one = Acknowledged(answer["id"], answer["index"], answer["outcome"], at_s, kept, at_s - begin_s)
        self.acknowledged.append(one)
