"""Neighbours who report with photos and pay with points without end, beside those who vote (`ballot_load.py`).

Every step is what a phone does: sign once, keep the record, hand it in at one node after the other until there is a
receipt; a node that lacks the photo gets it again. Each code of a merchant is paid by two residents at two nodes at the
same moment: exactly one may succeed. It must not know what happens to the nodes.
"""

from __future__ import annotations

import asyncio
import random
import re
import secrets
import time
from collections import Counter
from collections.abc import Awaitable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from ballot_load import DELIVERY_S, RECEIPT_EVERY, Acknowledged
from client import ApiError, Person, SignedRecord
from demo_estate import sample_photo
from electorate import Electorate
from server.ledger.block import ACCEPTED
from server.record.canonical import digest

AGAIN_S = 0.2
GRANT = 1_000
PRICE_MAX = 40
OFFER_LIFE_MS = 600_000
UNDO_EVERY = 4
PASSING = frozenset({401, 403, 408, 425, 429, 500, 502, 503, 504})
"""Answers that say something of the node, not of the record: the next node is asked."""
MISSING = "attachment_missing"
_INDEX = re.compile(r"^index (\d+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a record came to. `index` is -1 when it was refused without being ordered."""

    id: str
    outcome: str
    index: int


@dataclass(slots=True)
class Neighbours:
    """Mutable. The people of a load, all that they were told, and what went wrong."""

    voters: Electorate
    seed: int
    acknowledged: list[Acknowledged] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    """Of acknowledged records, by the noun of their kind."""
    photos: dict[str, Person] = field(default_factory=dict)
    """Who uploaded each picture that an accepted record names."""
    chance: random.Random = field(init=False)
    handler: Person = field(init=False)
    merchant: Person = field(init=False)
    grantor: Person = field(init=False)
    residents: Sequence[Person] = field(init=False)

    def __post_init__(self) -> None:
        """Who is who: the last three voters are handler, merchant and grantor, the first ones residents."""
        people = [voter.person for voter in self.voters.voters]
        self.handler, self.merchant, self.grantor = people[-3:]
        self.residents = people[:-3]
        self.chance = random.Random(self.seed)  # noqa: S311 - a load to be repeated, not a secret

    async def take_office(self) -> None:
        """Officers of two organisations give the handler, the merchant and the grantor their roles."""
        organisation = self.voters.genesis.members[1].id
        for person, role in ((self.handler, "staff"), (self.merchant, "merchant"), (self.grantor, "staff")):
            grant = {"member": person.member, "organisation": organisation, "role": role}
            for place in range(self.voters.genesis.policy.approvals):
                await self.voters.officer(place).do("role.grant", grant)

    async def run(self, end: asyncio.Event, reporters: int, shoppers: int) -> None:
        """Report and pay until `end` is set; everybody then waits for his last receipt."""
        async with asyncio.TaskGroup() as tasks:
            for number in range(reporters):
                person = self.residents[number]
                tasks.create_task(self._while_hopeful(self._report_on(end, person)), name=f"reporter-{number}")
            for number in range(0, shoppers, 2):
                pair = self.residents[reporters + number : reporters + number + 2]
                tasks.create_task(self._while_hopeful(self._shop(end, pair)), name=f"shoppers-{number}")

    async def _while_hopeful(self, work: Awaitable[None]) -> None:
        with suppress(Hopeless):
            await work

    # ---- tickets

    async def _report_on(self, end: asyncio.Event, reporter: Person) -> None:
        turn = 0
        while not end.is_set() and not self.faults:
            await self._report(reporter, turn)
            turn += 1

    async def _report(self, reporter: Person, turn: int) -> None:
        """One ticket from report to confirmation, with a photo before and one after."""
        before = await asyncio.to_thread(sample_photo)
        ticket = await self._send(reporter, "ticket.report", self._ticket(reporter), turn, before)
        step = {"ticket": ticket.id}
        await self._send(self.handler, "ticket.assign", {**step, "handler": self.handler.member}, turn + 1)
        after, note = await asyncio.to_thread(sample_photo), self.handler.seal("已修好")
        await self._send(self.handler, "ticket.complete", {**step, "note": note, "photos": []}, turn + 2, after)
        await self._send(reporter, "ticket.confirm", step, turn + 3)

    def _ticket(self, reporter: Person) -> dict[str, Any]:
        sealed = {name: reporter.seal(text) for name, text in (("contact", ""), ("place", "3号楼"), ("text", "灯不亮"))}
        return {"category": "lighting", "home": False, "photos": [], **sealed}

    # ---- points

    async def _shop(self, end: asyncio.Event, pair: Sequence[Person]) -> None:
        """Two residents who always want the same code, each at a node of his own."""
        await self._earn(pair)
        turn, spent = 0, 0
        while not end.is_set() and not self.faults:
            price = self.chance.randint(1, PRICE_MAX)
            if spent + price > GRANT:
                await self._earn(pair)
                spent = 0
            await self._pay(pair, price, turn)
            spent += price
            turn += 1

    async def _earn(self, pair: Sequence[Person]) -> None:
        activity = f"a-{secrets.token_hex(6)}"
        for person in pair:
            body = {
                "activity": activity,
                "amount": GRANT,
                "member": person.member,
                "programme": "volunteer",
                "reason": "楼道清洁",
            }
            await self._send(self.grantor, "points.grant", body, 0)

    async def _pay(self, pair: Sequence[Person], price: int, turn: int) -> None:
        code = digest(secrets.token_bytes(16))
        due_ms = time.time_ns() // 1_000_000 + OFFER_LIFE_MS
        await self._send(self.merchant, "offer.make", {"amount": price, "code_hash": code, "due_ms": due_ms}, turn)
        body = {"amount": price, "offer": code, "shop": self.merchant.member}
        paid = await asyncio.gather(
            *(
                self._send(person, "points.redeem", body, turn + place, may_lose="offer_already_redeemed")
                for place, person in enumerate(pair)
            )
        )
        winners = [person for person, outcome in zip(pair, paid, strict=True) if outcome.outcome == ACCEPTED]
        if len(winners) != 1:
            self.faults.append(f"the code {code} was paid {len(winners)} times: {[one.outcome for one in paid]}")
        elif turn % UNDO_EVERY == 0:
            undo = {"member": winners[0].member, "offer": code}
            await self._send(self.merchant, "redemption.undo", undo, turn + 1)

    # ---- the way of a record

    async def _send(
        self, person: Person, kind: str, body: dict[str, Any], first: int, photo: bytes = b"", may_lose: str = ""
    ) -> Outcome:
        """Upload, sign, deliver and note. Anything but acceptance, or the refusal that may be, is a fault."""
        try:
            async with asyncio.timeout(DELIVERY_S):
                if photo:
                    body = {**body, "photos": [await upload(person, photo, first)]}
                record = person.sign(kind, body)
                answer = await self._deliver(person, record, first, photo)
        except (ApiError, TimeoutError) as error:
            self.faults.append(f"{kind} of {person.member} at {first % len(person.urls)}: {error!r}")
            raise Hopeless from None
        outcome = Outcome(str(answer["id"]), str(answer.get("outcome") or answer["code"]), _index_of(answer))
        if outcome.outcome not in (ACCEPTED, may_lose):
            self.faults.append(f"{kind} {record.id} had the outcome {outcome.outcome}")
            raise Hopeless
        self._note(outcome, str(answer.get("receipt", "")))
        self.counts[kind.partition(".")[0]] += 1
        for named in body.get("photos", ()):
            self.photos[named["sha256"]] = person
        return outcome

    async def _deliver(self, person: Person, record: SignedRecord, first: int, photo: bytes) -> dict[str, Any]:
        """Hand a record in until a node answers with its receipt or its refusal."""
        attempt = first
        while True:
            node = attempt % len(person.urls)
            attempt += 1
            try:
                answer = dict(await person.post(record, node=node))
                if answer.get("receipt"):
                    return answer
            except ApiError as error:
                if error.code == MISSING:
                    await give_photo(person, photo, node)
                elif "ordered" in error.problem:
                    return error.problem
                elif error.status not in PASSING:
                    raise
            except (aiohttp.ClientError, TimeoutError, OSError):
                pass
            await asyncio.sleep(AGAIN_S)

    def _note(self, outcome: Outcome, receipt: str) -> None:
        if outcome.index < 0:
            return
        kept = receipt if len(self.acknowledged) % RECEIPT_EVERY == 0 else ""
        one = Acknowledged(outcome.id, outcome.index, outcome.outcome, time.monotonic(), kept)
        self.acknowledged.append(one)

    # ---- afterwards

    async def look_at_photos(self) -> None:
        """Everybody opens each of his pictures at every node: it must be there, whoever was down when it was taken."""
        for sha256, person in self.photos.items():
            for node in range(len(person.urls)):
                try:
                    picture = await read_photo(person, sha256, node)
                    if not picture.startswith(b"\xff\xd8"):
                        self.faults.append(f"{person.urls[node]} shows something else for photo {sha256}")
                except (ApiError, aiohttp.ClientError, TimeoutError, OSError) as error:
                    self.faults.append(f"{person.urls[node]} does not show photo {sha256}: {error}")


class Hopeless(Exception):
    """Somebody cannot go on; why stands among the faults."""


def _index_of(answer: dict[str, Any]) -> int:
    """Where a record stands in the log: of a refusal only its receipt tells."""
    if "index" in answer:
        return int(answer["index"])
    found = _INDEX.search(str(answer.get("receipt", "")))
    return int(found[1]) if found else -1


async def upload(person: Person, photo: bytes, first: int) -> dict[str, Any]:
    """Upload a picture at the first node that takes it; returns how a record names it. Runs until it succeeds."""
    attempt = first
    while True:
        named = await give_photo(person, photo, attempt % len(person.urls))
        if named is not None:
            return named
        attempt += 1
        await asyncio.sleep(AGAIN_S)


async def give_photo(person: Person, photo: bytes, node: int) -> dict[str, Any] | None:
    """Upload a picture at one node; None when that does not take it now. Raises ApiError when it never will."""
    form = aiohttp.FormData()
    form.add_field("photo", photo, filename="photo.jpg")
    try:
        await open_session(person, node)
        answer = await person.call("POST", "/api/v1/photos", node=node, data=form)
    except ApiError as error:
        if error.status not in PASSING:
            raise
        if error.status == 401:
            person.tokens.pop(person.urls[node], None)
        return None
    except (aiohttp.ClientError, TimeoutError, OSError):
        return None
    return {name: answer[name] for name in ("original_sha256", "sha256", "size")}


async def open_session(person: Person, node: int) -> None:
    """A session at a node, unless there is one."""
    if person.urls[node] not in person.tokens:
        member, estate = person.member, person.estate
        await person.open_session(node)
        assert (member, estate) == (person.member, person.estate), "the node takes him for somebody else"


async def read_photo(person: Person, sha256: str, node: int) -> bytes:
    """A picture as a node shows it."""
    for _ in range(2):
        await open_session(person, node)
        try:
            return bytes(await person.call("GET", f"/api/v1/photos/{sha256}", node=node))
        except ApiError as error:
            if error.status != 401:
                raise
            person.tokens.pop(person.urls[node], None)
    raise ApiError(401, {"detail": "a new session does not hold"})
