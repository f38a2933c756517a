"""An audit of a whole log by books of its own: who may sign, points, offers and tickets.

It reads the items of the blocks and their outcomes as anybody could, keeps its own accounts by simple means, and knows
nothing of the rules' code. It does not say which records had to be accepted, but no accepted one may break a law of
these books, and what the rows say at the end must be what the books say. Votes are audited in polls.py.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from typing import Any

from server.consensus.block import Block
from server.domain.member import Device, Member, attestation_bytes
from server.domain.offer import Offer
from server.domain.points import Account
from server.domain.ticket import Ticket
from server.record.rows import Row
from tests.simulation.assembly import Assembly
from tests.simulation.entries import Entry, Key, Tables, differences, rows_of
from tests.simulation.estate import Neighbourhood, organisation_key
from tests.simulation.laws import SIGNED_BY, STEPS, Code, Job, Person
from tests.simulation.members import Members
from tests.simulation.polls import Polls

MINUTE_MS, HOUR_MS = 60_000, 3_600_000


class Wrong(Exception):
    """The log or the rows break a law of the books."""


def audit(
    home: Neighbourhood,
    states: Iterable[tuple[Block, Tables]],
    outcomes: Mapping[str, str],
    openings: Mapping[str, bytes],
) -> list[str]:
    """The first complaints about the log or the rows. `states`: blocks, each with the rows after it; `openings`: what
    phones know."""
    books, tables = Books(home, openings), None
    try:
        for block, tables in states:
            books.read(block, outcomes)
            complaints = list(books.polls.glance(tables))
            if complaints:
                return complaints
    except Wrong as wrong:
        return [str(wrong)]
    return list(books.compare(tables)) if tables is not None else []


class Books:
    """Mutable. What a careful reader of the log knows."""

    def __init__(self, home: Neighbourhood, openings: Mapping[str, bytes]) -> None:
        self._trust, self._members = home.trust, Members(home)
        self._people: dict[str, Person] = {}
        self._keys: dict[str, Key] = {}
        self._balances: dict[str, int] = {}
        self._granted: set[tuple[str, str]] = set()
        self._approvals: dict[tuple[str, ...], set[str]] = {}
        self._jobs: dict[str, Job] = {}
        self._codes: dict[str, Code] = {}
        self._seen: set[str] = set()
        self._nonces: set[tuple[str, str]] = set()
        self._timers: dict[tuple[str, str], int] = {}
        self._size = 0
        self._time_ms = 0
        self.polls = Polls(home, openings)
        self.assembly = Assembly(self.polls, self._timers)
        for row in home.rows.values():
            self._begin(row)

    def _begin(self, row: Row) -> None:
        if isinstance(row, Member):
            self._people[row.id] = Person(set(row.roles), set(row.devices), bool(row.devices))
        elif isinstance(row, Device):
            self._keys[row.id] = Key(row.member, set(row.attested_by), row.votes_from_ms)
        elif isinstance(row, Account):
            self._balances[row.id] = row.credits - row.debits
        elif row.table == "points_grant":
            activity, _, member = row.id.partition("/")
            self._granted.add((activity, member))

    # -- the log

    def read(self, block: Block, outcomes: Mapping[str, str]) -> None:
        """One more block."""
        self._time_ms = block.header.time_ms
        due = {name for name, due_ms in self._timers.items() if due_ms <= self._time_ms}
        for index, item in enumerate(block.items, self._size):
            if item.startswith(b"{"):
                self._read_derived(json.loads(item), index)
            else:
                self._read_record(item.decode(), index, outcomes)
        if due & self._timers.keys():
            raise Wrong(f"block {block.height} lacks timers that were due: {due & self._timers.keys()}")
        self._law(self._members.end_block(block.height, block.header.epoch), block.block_id)
        self._size += len(block.items) + 1

    def _read_derived(self, item: dict[str, Any], index: int) -> None:
        name = (item["kind"], item["key"])
        if item["kind"] == "evidence":
            return self._law(self._members.bar(item["body"]["culprit"]), item["key"])
        if item["kind"] == "evidence.retired_key":
            return self._law(self._members.retire(item["body"]["culprit"], item["body"]["epoch"]), item["key"])
        if item["kind"] == "seal":
            self._law(self._members.seal(item["body"], self._size), item["key"])
            return self.polls.seal(item["body"]["size"])
        if item["kind"] == "motion.final_without":
            self._law(self._members.quorum(item["body"], self._size), item["key"])
            return self._law(self.polls.end(item["key"], item["body"]["size"], self._time_ms), item["key"])
        if item["kind"] == "state.root":
            return None  # see state_book
        if self._timers.pop(name, None) != item["due_ms"] or item["due_ms"] > self._time_ms:
            raise Wrong(f"a timer rings that was not armed for then: {name}")
        if item["kind"] == "motion.open":
            self._law(self.polls.open(item["key"]), item["key"])
        elif item["kind"] == "motion.tally":
            self._law(self.polls.tally(item["key"], item["body"], index, self._time_ms), item["key"])
        elif item["kind"] == "petition.overdue":
            self.assembly.call_overdue(item["key"])
        else:
            self._confirm_by_time(item["key"])
        return None

    def _read_record(self, jws: str, index: int, outcomes: Mapping[str, str]) -> None:
        head, _, _ = jws.rpartition(".")
        header, payload = (json.loads(_unb64u(part)) for part in head.split("."))
        record_id = _b64u(sha256(head.encode()).digest())
        if record_id in self._seen:
            raise Wrong(f"{record_id} stands in the log twice")
        self._seen.add(record_id)
        if outcomes[record_id] != "accepted":
            return
        nonce = (header["kid"], payload["nonce"])
        if nonce in self._nonces:
            raise Wrong(f"{record_id} takes effect with a nonce that was used")
        self._nonces.add(nonce)
        if self._time_ms >= payload["expires_ms"] or payload["made_ms"] > self._time_ms + 5 * MINUTE_MS:
            raise Wrong(f"{record_id} takes effect outside its time")
        entry = Entry(
            record_id, header["kid"], self._time_ms, index, payload["author"], payload["kind"], payload["body"]
        )
        if entry.kind != "device.bind":
            self._check_author(entry)
        rule = _RULES.get(entry.kind)
        self._law(rule(self, entry) if rule else None, record_id)

    def _law(self, complaint: str | None, what: str) -> None:
        if complaint:
            raise Wrong(f"{what}: {complaint}")

    def _check_author(self, entry: Entry) -> None:
        key, person = self._keys.get(entry.kid), self._people.get(entry.author)
        if key is None or person is None or key.revoked or key.member != entry.author:
            raise Wrong(f"{entry.id} ({entry.kind}) is signed by a key that is not the author's")
        wanted = SIGNED_BY.get(entry.kind)
        trusted = len(key.attested) >= self._trust.attestations and key.votes_from_ms <= entry.time_ms
        held = {role.partition("@")[0] for role in person.roles if trusted or role == "resident"}
        if wanted and not wanted & held:
            raise Wrong(f"{entry.id} ({entry.kind}) is signed without the role")

    # -- people

    def _bind(self, entry: Entry) -> str | None:
        attestations = entry.body["attestations"]
        person = self._people.setdefault(entry.author, Person())
        key = self._keys.get(entry.kid)
        if key is not None and (key.revoked or key.member != entry.author):
            return "binds a key that is revoked or another's"
        if not all(self._is_genuine(one, entry) for one in attestations):
            return "binds with an attestation that its organisation did not sign"
        if any(abs(entry.time_ms - one["time_ms"]) > 24 * HOUR_MS for one in attestations):
            return "binds with an old attestation"
        seen = {one["node"] for one in attestations if one["evidence"] == "document"}
        votes_from_ms = entry.time_ms
        if len(seen) < self._trust.attestations and person.had_key:
            votes_from_ms = key.votes_from_ms if key else entry.time_ms + self._trust.new_key_vote_delay_ms
        attested = {one["node"] for one in attestations} | (key.attested if key else set())
        self._keys[entry.kid] = Key(entry.author, attested, votes_from_ms)
        person.keys.add(entry.kid)
        person.had_key = True
        return None

    def _is_genuine(self, attestation: dict[str, Any], entry: Entry) -> bool:
        node = attestation["node"]
        said = (entry.author, entry.kid, attestation["evidence"], node, attestation["time_ms"])
        signature = _unb64u(attestation["signature"])
        return organisation_key(node, "attest").sign(attestation_bytes(self._trust.cluster_id, *said)) == signature

    def _revoke_key(self, entry: Entry) -> str | None:
        key = self._keys.get(entry.body["revoked"])
        if key is None or key.revoked or key.member != entry.author:
            return "revokes a key that is not the author's"
        key.revoked = True
        self._people[entry.author].keys.discard(entry.body["revoked"])
        return None

    def _change_role(self, entry: Entry) -> str | None:
        body = entry.body
        if entry.kind == "role.grant" and body["organisation"] not in self._members.now:
            return "grants a role for an organisation that is no member"
        name = (entry.kind, body["member"], body["role"], body["organisation"])
        approvals = self._approvals.setdefault(name, set())
        person, role = self._people.setdefault(body["member"], Person()), f"{body['role']}@{body['organisation']}"
        if (role in person.roles) == (entry.kind == "role.grant"):
            return "grants what is held, or revokes what is not"
        organisation = self.office(entry.author)
        if organisation in approvals:
            return "one organisation approves twice"
        approvals.add(organisation)
        if len(approvals) >= self._trust.approvals:
            approvals.clear()
            person.roles ^= {role}
        return None

    def office(self, member: str) -> str:
        """The organisation that an officer speaks for."""
        held = sorted(role for role in self._people[member].roles if role.startswith("officer@"))
        return held[0].partition("@")[2]

    # -- points

    def _move(self, debit: str, credit: str, amount: int) -> str | None:
        self._balances[debit] = self._balances.get(debit, 0) - amount
        self._balances[credit] = self._balances.get(credit, 0) + amount
        wallet = not debit.startswith("issuer/")
        return "a wallet goes below zero" if wallet and self._balances[debit] < 0 else None

    def _grant(self, entry: Entry) -> str | None:
        body = entry.body
        if (body["activity"], body["member"]) in self._granted or body["member"] == entry.author:
            return "grants twice, or to oneself"
        self._granted.add((body["activity"], body["member"]))
        if body["amount"] > 10_000:
            return "grants more than the cap"
        return self._move(f"issuer/{body['programme']}", f"member/{body['member']}", body["amount"])

    def _offer(self, entry: Entry) -> str | None:
        body = entry.body
        if body["code_hash"] in self._codes:
            return "makes an offer that is there"
        if not entry.time_ms < body["due_ms"] <= entry.time_ms + 15 * MINUTE_MS:
            return "makes an offer that is over, or lives too long"
        self._codes[body["code_hash"]] = Code(entry.author, body["amount"], body["due_ms"])
        return None

    def _redeem(self, entry: Entry) -> str | None:
        body, code = entry.body, self._codes.get(entry.body["offer"])
        if code is None or code.state != "open" or entry.time_ms >= code.due_ms:
            return "redeems an offer that is not open"
        if (code.shop, code.amount) != (body["shop"], body["amount"]) or code.shop == entry.author:
            return "redeems other terms than were offered"
        code.state, code.payer, code.redeemed_ms = "redeemed", entry.author, entry.time_ms
        return self._move(f"member/{entry.author}", f"merchant/{code.shop}", code.amount)

    def _undo(self, entry: Entry) -> str | None:
        body, code = entry.body, self._codes.get(entry.body["offer"])
        if code is None or code.state != "redeemed" or code.shop != entry.author or code.payer != body["member"]:
            return "undoes what was not redeemed there by him"
        if entry.time_ms > code.redeemed_ms + 10 * MINUTE_MS:
            return "undoes after ten minutes"
        code.state = "undone"
        return self._move(f"merchant/{code.shop}", f"member/{code.payer}", code.amount)

    # -- tickets

    def _report(self, entry: Entry) -> str | None:
        self._jobs[entry.id] = Job(entry.author)
        return None

    def _step(self, entry: Entry) -> str | None:
        job = self._jobs.get(entry.body["ticket"])
        if job is None:
            return "takes a step of a ticket that is not there"
        new = [after for before, kind, after in STEPS if (before, kind) == (job.state, entry.kind)]
        if not new:
            return f"takes a step that a ticket which is {job.state} does not allow"
        if entry.kind in ("ticket.confirm", "ticket.reopen") and entry.author != job.reporter:
            return "speaks for the reporter"
        if entry.kind == "ticket.confirm" and entry.author == job.handler:
            return "a handler says that it is fixed"
        if entry.kind == "ticket.complete":
            if entry.author != job.handler or not entry.body["photos"]:
                return "completes without being the handler, or without a photo"
            job.completion, job.completed_ms = entry.id, entry.time_ms
            self._timers["ticket.autoconfirm", f"{entry.body['ticket']}/{entry.id}"] = entry.time_ms + 72 * HOUR_MS
        job.state = new[0]
        if entry.kind == "ticket.assign":
            job.handler = entry.body["handler"]
        if entry.kind == "ticket.reopen":
            job.completion = ""
        return None

    def _confirm_by_time(self, key: str) -> None:
        ticket, _, completion = key.partition("/")
        job = self._jobs[ticket]
        if job.state == "done" and job.completion == completion:
            job.state = "confirmed"

    def _committee(self) -> set[str]:
        """All who sit on the committee for an organisation that is a member."""
        held = {f"committee@{organisation}" for organisation in self._members.now}
        return {name for name, person in self._people.items() if held & person.roles}

    def _vote(self, entry: Entry) -> str | None:
        return self.polls.cast(entry, self._keys[entry.kid])

    def _roll(self, entry: Entry) -> str | None:
        for head in entry.body.get("heads", ()):
            for member in head["members"]:
                self._people.setdefault(member, Person()).roles.add("resident")
        return self.polls.take_roll(entry, self.office(entry.author))

    # -- the rows at the end

    def compare(self, tables: Tables) -> Iterator[str]:
        """What rows and books say differently."""
        if sum(self._balances.values()) != 0:
            yield "the points do not sum to zero"
        said: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
            "account": ({row.id: row.balance for row in rows_of(tables, Account)}, self._balances),
            "ticket": (
                {row.id: (row.state, row.handler, row.completion) for row in rows_of(tables, Ticket)},
                {name: (job.state, job.handler, job.completion) for name, job in self._jobs.items()},
            ),
            "offer": (
                {row.id: (row.state, row.redeemed_by) for row in rows_of(tables, Offer)},
                {name: (code.state, code.payer) for name, code in self._codes.items()},
            ),
            "member": (
                {row.id: (set(row.roles), set(row.devices)) for row in rows_of(tables, Member)},
                {name: (person.roles, person.keys) for name, person in self._people.items()},
            ),
            "device": (
                {row.id: (row.member, set(row.attested_by), row.revoked) for row in rows_of(tables, Device)},
                {name: (key.member, key.attested, key.revoked) for name, key in self._keys.items()},
            ),
        }
        for table, (rows, books) in said.items():
            yield from differences(table, rows, books)
        yield from self._members.compare(tables)
        yield from self.polls.compare(tables)
        yield from self.assembly.compare(tables)


def _unb64u(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _b64u(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


_RULES = {
    "members.change": lambda books, entry: books._members.change(entry),
    "ballot.cast": Books._vote,
    "ballot.contest": lambda books, entry: books.assembly.object(entry),
    "delivery.confirm": lambda books, entry: books.polls.serve(entry),
    "device.bind": Books._bind,
    "device.revoke": Books._revoke_key,
    "motion.approve": lambda books, entry: books.assembly.approve(entry, books._committee()),
    "motion.cancel": lambda books, entry: books.assembly.change(entry, books._committee()),
    "motion.correct": lambda books, entry: books.assembly.change(entry, books._committee()),
    "motion.execute": lambda books, entry: "carries out a rehearsal",
    "motion.object": lambda books, entry: books.assembly.object(entry),
    "objection.answer": lambda books, entry: books.assembly.answer(entry, books._committee()),
    "motion.extend": lambda books, entry: books.assembly.change(entry, books._committee()),
    "motion.propose": lambda books, entry: books.assembly.propose(entry, books._committee()),
    "offer.make": Books._offer,
    "petition.sign": lambda books, entry: books.assembly.sign(entry),
    "petition.start": lambda books, entry: books.assembly.start(entry),
    "petition.withdraw": lambda books, entry: books.assembly.sign(entry),
    "points.grant": Books._grant,
    "points.redeem": Books._redeem,
    "procedure.adopt": lambda books, entry: books.assembly.adopt(entry, books._committee()),
    "redemption.undo": Books._undo,
    "role.grant": Books._change_role,
    "role.revoke": Books._change_role,
    "roll.confirm": Books._roll,
    "roll.publish": Books._roll,
    "ticket.assign": Books._step,
    "ticket.complete": Books._step,
    "ticket.confirm": Books._step,
    "ticket.progress": Books._step,
    "ticket.reopen": Books._step,
    "ticket.report": Books._report,
}
