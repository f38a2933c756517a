"""A synthetic electorate on a real cluster, for benchmarks and drills: roll, voters with devices, motions, ballots.

Whoever runs it holds the keys of all organisations of a throw-away cluster, and so plays them all; every step is a
signed record posted over HTTP, as any other.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

import client
from server.domain.member import attestation_bytes
from server.ledger.genesis import Genesis, estate_of, parse_genesis
from server.ledger.merkle import root_of
from server.node.keyring import read_keys
from server.record.canonical import b64u_encode, encode
from server.record.shape import SALT_BYTES, seal
from server.record.signature import DeviceSigner, NodeSigner

ROLL = "bench"
HEADS_A_PART = 200
QUESTIONS = 10
CHOICES = [{"id": "for", "text": "同意"}, {"id": "against", "text": "反对"}, {"id": "abstain", "text": "弃权"}]


@dataclass(slots=True)
class Voter:
    """A voter: his device and his place on the roll."""

    person: client.Person
    position: int


class Electorate:
    """Mutable. The voters of a throw-away cluster."""

    def __init__(self, http: aiohttp.ClientSession, data: Path, urls: Sequence[str]) -> None:
        self._http = http
        self._data = data
        self.urls = list(urls)
        self.genesis: Genesis
        self.genesis, self.cluster_id = parse_genesis((data / "genesis.json").read_bytes())
        self.estate = estate_of(self.genesis, self.cluster_id)
        self._attest: dict[str, NodeSigner] = {
            member.id: read_keys(data / member.id, self.genesis, member.id).attest for member in self.genesis.members
        }
        self.voters: list[Voter] = []
        self.committee: client.Person

    def person(self, member: str, signer: DeviceSigner | None = None) -> client.Person:
        """A member with a device."""
        made = client.Person(self._http, self.urls, signer or DeviceSigner.generate())
        made.member, made.estate = member, self.estate
        return made

    def officer(self, place: int = 0) -> client.Person:
        """The first officer of the organisation at this place."""
        member = self.genesis.members[place]
        pem = (self._data / member.id / f"officer-{member.id}.pem").read_bytes()
        return self.person(member.officers[0].member, DeviceSigner.from_pem(pem))

    async def gather(self, count: int) -> None:
        """Publish a roll of `count` heads of 100 m2, confirm it, bind a device for each voter, make a committee."""
        people = [self.person(f"voter-{place}") for place in range(count)]
        self.voters = [Voter(person, place) for place, person in enumerate(people)]
        await self._publish(people)
        committee = self.person("committee-1")
        needed = self.genesis.policy.approvals
        grant = {"member": committee.member, "organisation": self.genesis.members[0].id, "role": "committee"}
        for place in range(needed):
            await self.officer(place).do("role.grant", grant)
        self.committee = committee
        await self._bind([*people, committee])

    def keep(self, path: Path) -> None:
        """Write the devices of a throw-away cluster's voters and committee, so that a later run may go on."""
        people = [*(voter.person for voter in self.voters), self.committee]
        pems = {person.member: person.signer.pem().decode("ascii") for person in people}
        path.touch(mode=0o600)
        path.write_text(json.dumps(pems), "utf-8")

    def resume(self, path: Path) -> None:
        """Take voters and committee from what `keep` wrote. Raises OSError or ValueError."""
        pems: dict[str, str] = json.loads(path.read_text("utf-8"))
        people = [self.person(member, DeviceSigner.from_pem(pem.encode("ascii"))) for member, pem in pems.items()]
        self.committee = people.pop()
        self.voters = [Voter(person, place) for place, person in enumerate(people)]

    async def _publish(self, people: Sequence[client.Person]) -> None:
        heads = [
            {"area_cm2": 1_000_000, "leaf": b64u_encode(secrets.token_bytes(32)), "members": [person.member]}
            for person in people
        ]
        root = b64u_encode(root_of([encode(head) for head in heads]))
        parts = [range(begin, min(begin + HEADS_A_PART, len(people))) for begin in range(0, len(people), HEADS_A_PART)]
        for part, places in enumerate(parts):
            where = {"part": part, "parts": len(parts), "position": places[0]}
            body = {"heads": [heads[at] for at in places], "roll": ROLL, "root": root, **where}
            await self.officer(0).do("roll.publish", body)
        for place in range(1, self.genesis.policy.approvals):
            await self.officer(place).do("roll.confirm", {"roll": ROLL, "root": root})

    async def _bind(self, people: Sequence[client.Person]) -> None:
        limit = asyncio.Semaphore(32)

        async def bind(place: int, person: client.Person) -> None:
            async with limit:
                await person.deliver(person.sign("device.bind", self._bind_body(person)), first=place)

        await asyncio.gather(*(bind(place, person) for place, person in enumerate(people)))

    def _bind_body(self, person: client.Person) -> dict[str, Any]:
        public = person.signer.public
        now_ms = time.time_ns() // 1_000_000
        attestations = []
        for member in self.genesis.members[: self.genesis.policy.attestations]:
            content = attestation_bytes(
                self.cluster_id, person.member, person.signer.kid, "document", member.id, now_ms
            )
            signature = b64u_encode(self._attest[member.id].sign(content))
            attestations.append({"evidence": "document", "node": member.id, "signature": signature, "time_ms": now_ms})
        return {
            "attestations": attestations,
            "device_key": {"crv": public.crv, "kty": public.kty, "x": public.x, "y": public.y},
            "label": "bench",
            "member": person.member,
            "privacy_version": 1,
        }

    async def open_motion(self, open_ms: int = 3_600_000) -> str:
        """Open a motion of ten questions; returns its id."""
        questions = [
            {"choices": CHOICES, "id": f"q{number}", "seats": 0, "text": "是否同意?"} for number in range(QUESTIONS)
        ]
        close_ms = time.time_ns() // 1_000_000 + open_ms
        body = client.rehearsal("other", ROLL, "压力测试表决", "", questions, close_ms)
        motion = str((await self.committee.do("motion.propose", body))["id"])
        await self.committee.wait_for_motion(motion)
        return motion

    def ballots(self, motion: str, count: int) -> list[client.SignedRecord]:
        """Signed ballots, each for another voter or question; at most ten a voter."""
        assert count <= len(self.voters) * QUESTIONS
        records = []
        for number in range(count):
            voter = self.voters[number % len(self.voters)]
            records.append(self.ballot(motion, voter, f"q{number // len(self.voters)}"))
        return records

    def ballot(self, motion: str, voter: Voter, question: str, replaces: str = "") -> client.SignedRecord:
        """A signed ballot of a voter; `replaces` is the id of the one that he cast before."""
        choice, opening = seal(["for"], secrets.token_bytes(SALT_BYTES))
        body = {
            "choice": choice,
            "motion": motion,
            "position": voter.position,
            "question": question,
            "replaces": replaces,
            "roll": ROLL,
        }
        voter.person.openings[choice] = opening
        return voter.person.sign("ballot.cast", body)


def request_bytes(record: client.SignedRecord, host: str) -> bytes:
    """A whole HTTP request that posts the record, made before the clock runs."""
    body = encode(record.body())
    head = (
        f"POST /api/v1/records HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
