"""A small neighbourhood for tests: real keys, real records, and blocks that go the real way in memory.

Each block is parsed, checked, its signatures verified, and executed, as a node does; only the disk is a dictionary.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from functools import cache
from hashlib import sha256
from typing import Any, TypeVar

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec

from server.domain import KINDS, RULEBOOK
from server.domain.activation import PLAN, RulesPlan, version_at
from server.domain.agenda import SealWait, Timer, due_item, due_order
from server.domain.ballot import Ballot
from server.domain.check import check_batch, signature_checks
from server.domain.delivery import Delivery
from server.domain.execute import Executed, execute_block
from server.domain.genesis_rows import genesis_rows, trust_of
from server.domain.member import attestation_bytes
from server.domain.membership import IN_FORCE, EpochInForce
from server.domain.motion import TALLY, Motion
from server.domain.plan import RecordWork, Work, access_set, parse_items
from server.domain.rules import Rulebook, Rules
from server.domain.tally import tally_body
from server.ledger.block import Derived, Header, block_id, entries_root, genesis_digest, genesis_tip
from server.ledger.genesis import OPERATOR, ROLES, Estate, Genesis, Officer, Organisation, Policy, estate_of
from server.ledger.merkle import Frontier, leaf_hash, root_of
from server.limits import DAY_MS, HOUR_MS
from server.record.canonical import b64u_encode, digest, encode
from server.record.envelope import Payload, sign_record
from server.record.kind import private_fields_of
from server.record.rows import Key, Row, Rows, key
from server.record.shape import seal
from server.record.signature import DeviceSigner, NodeSigner, verify

R = TypeVar("R", bound=Row)
ORGANISATIONS = ("owners", "property", "street")
START_MS = 1_750_000_000_000
ROLL = "roll-2025"
HEADS: tuple[tuple[tuple[str, ...], int], ...] = (
    (("li",), 900_000),
    (("wang", "zhao"), 1_000_000),
    (("chen",), 2_700_000),
    (("zhou",), 800_000),
)
"""Buyer sets and areas; `chen` owns three homes and is one head."""
QUESTION = {
    "choices": [
        {"id": "for", "text": "同意"},
        {"id": "against", "text": "反对"},
        {"id": "abstain", "text": "弃权"},
    ],
    "id": "q1",
    "seats": 0,
    "text": "是否同意维修屋面？",
}


@cache
def device(name: str) -> DeviceSigner:
    """A person's key, the same in every run."""
    number = int.from_bytes(sha256(f"device of {name}".encode()).digest()[:31]) + 1
    return DeviceSigner(ec.derive_private_key(number, ec.SECP256R1()))


@cache
def organisation_key(organisation: str, role: str) -> NodeSigner:
    """An organisation's key for a role."""
    return NodeSigner(sha256(f"{organisation} {role}".encode()).digest())


def salt_of(text: str) -> bytes:
    """16 bytes that tests can repeat."""
    return sha256(text.encode()).digest()[:16]


def organisation(name: str, roles: Iterable[str] = ROLES) -> Organisation:
    """An organisation with its own keys and one officer."""
    return Organisation(
        **{f"{role}_key": b64u_encode(organisation_key(name, role).public) for role in roles},
        id=name,
        name=name,
        officers=(Officer(device_key=device(f"officer-{name}").public, member=f"officer-{name}"),),
        transport_certificate="",
    )


def make_genesis(*, has_operators: bool = False) -> Genesis:
    """Three organisations with one officer each; two must attest and approve."""
    roles = (*ROLES, OPERATOR) if has_operators else ROLES
    return Genesis(
        created_ms=START_MS,
        estate=Estate(id="xiangshanyuan", name="香山苑"),
        members=tuple(organisation(name, roles) for name in ORGANISATIONS),
        mode="available",
        origin="linli.example/xiangshanyuan",
        policy=Policy(approvals=2, attestations=2, final_without_ms=3 * DAY_MS, new_key_vote_delay_ms=DAY_MS),
        rules=1,
    )


class World:
    """Mutable. One ledger in memory."""

    def __init__(self, rulebook: Rulebook = RULEBOOK, genesis: Genesis | None = None) -> None:
        self.rulebook = rulebook
        genesis = genesis or make_genesis()
        self.cluster_id = sha256(encode(genesis)).digest()
        self.estate = estate_of(genesis, self.cluster_id)
        self.trust = trust_of(genesis, self.cluster_id)
        self.rows: dict[Key, Row] = {Key(row.table, row.id): row for row in genesis_rows(genesis)}
        self.tree = Frontier()
        self.height = 0
        self.tip = genesis_tip(self.cluster_id)
        self.state_digest = genesis_digest(self.cluster_id)
        self.time_ms = START_MS
        self.openings: dict[str, bytes] = {}
        self.entries: list[bytes] = []
        self.nonces = 0

    def copy(self) -> World:
        """An independent world with the same past."""
        twin = copy.copy(self)
        twin.rows, twin.openings, twin.entries = dict(self.rows), dict(self.openings), list(self.entries)
        twin.tree = self.tree.copy()
        return twin

    # ---- records

    def record(self, author: str, kind: str, body: Mapping[str, Any], **envelope: Any) -> str:
        """A signed record. Private fields of `body` are given in the clear; `signer` names whose key signs."""
        signer = device(envelope.pop("signer", author))
        self.nonces += 1
        made_ms = envelope.pop("made_ms", self.time_ms)
        payload = Payload(
            author=author,
            body=self.commit(kind, body),
            estate=self.estate,
            expires_ms=envelope.pop("expires_ms", made_ms + HOUR_MS),
            kind=kind,
            made_ms=made_ms,
            nonce=envelope.pop("nonce", b64u_encode(self.nonces.to_bytes(16))),
        )
        assert not envelope, envelope
        return sign_record(signer, payload)

    def commit(self, kind: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """The body with commitments in place of private values; the openings are kept."""
        sealed = dict(body)
        for name in private_fields_of(KINDS[kind]) if kind in KINDS else ():
            if name in body:
                commitment, opening = seal(body[name], salt_of(f"{self.nonces}/{name}"))
                sealed[name] = commitment
                self.openings[commitment] = opening
        return sealed

    # ---- blocks

    def header_of(self, items: list[bytes], time_ms: int) -> Header:
        """The header of the next block."""
        return Header(
            entries_bytes=sum(len(item) for item in items),
            entries_root=entries_root(items),
            epoch=self.epoch,
            height=self.height + 1,
            prev=self.tip,
            proposer="owners",
            rules=self.rules.version,
            state_digest_prev=self.state_digest,
            time_ms=time_ms,
        )

    @property
    def epoch(self) -> int:
        """The number of the epoch in force."""
        standing = self.get(EpochInForce, IN_FORCE)
        return standing.number if standing is not None else 0

    def due(self, time_ms: int) -> list[Timer]:
        """Timers that are due."""
        timers = (row for row in self.rows.values() if isinstance(row, Timer))
        return sorted((one for one in timers if not one.done and one.due_ms <= time_ms), key=due_order)

    def timer_items(self, time_ms: int) -> list[bytes]:
        """The derived entries of the due timers."""
        return [due_item(timer, self.timer_body(timer)) for timer in self.due(time_ms)]

    def timer_body(self, timer: Timer) -> dict[str, Any]:
        """What a node computes for a due timer."""
        if timer.kind != TALLY:
            return {}
        motion = self.get(Motion, timer.key)
        assert motion is not None
        served = self.all(Delivery, motion=motion.id)
        return tally_body(motion, self.all(Ballot, motion=motion.id), self.openings, served)

    def seal_item(self) -> bytes:
        """A seal over everything so far. (Its lines are the node's to check.)"""
        size = self.tree.size
        body = {"root": b64u_encode(self.tree.root()), "signatures": ["all"], "size": size}
        return encode(Derived(body, 0, str(size), "seal"))

    def plan(self, items: Iterable[bytes]) -> tuple[list[Work], Rows]:
        """Parse, and load what the work may touch."""
        waits = sorted(
            (row for row in self.rows.values() if isinstance(row, SealWait) and not row.done), key=lambda row: row.index
        )
        works = parse_items(items, self.estate, waits, self.rules)
        return works, self.load(access_set(works))

    @property
    def rules(self) -> Rules:
        """The rules of the next block."""
        return self.rulebook.find(version_at(self.rows.get(key(RulesPlan, PLAN)), self.height + 1))

    def load(self, keys: Iterable[Key]) -> Rows:
        """Rows as storage loads them."""
        return Rows({name: self.rows.get(name) for name in keys})

    def execute(self, items: list[bytes], time_ms: int) -> Executed:
        """Check and execute a block, and keep nothing of it."""
        header = self.header_of(items, time_ms)
        works, rows = self.plan(items)
        check_batch(header, items, works, rows, self.due(time_ms), self.rules)
        records = [work for work in works if isinstance(work, RecordWork)]
        assert all(verify(*check) for check in signature_checks(records, rows))
        return execute_block(header, works, rows, self.tree, self.trust, self.rules)

    def block(self, *records: str, after_ms: int = 1_000, seals: bool = False) -> list[str]:
        """Order a block of records `after_ms` later, with the timers that are due. Returns the records' outcomes."""
        time_ms = self.time_ms + after_ms
        items = [*([self.seal_item()] if seals else []), *self.timer_items(time_ms)]
        first = len(items)
        items.extend(record.encode() for record in records)
        executed = self.execute(items, time_ms)
        self.keep(executed)
        return list(executed.outcomes[first:])

    def pass_time(self, after_ms: int) -> None:
        """Order something harmless `after_ms` later, with whatever is due."""
        self.nonces += 1
        report = {"category": "lift", "contact": "", "home": False, "photos": [], "place": "1", "text": "1"}
        assert self.block(
            self.record("sun", "ticket.report", report, made_ms=self.time_ms + after_ms), after_ms=after_ms
        )

    def keep(self, executed: Executed) -> None:
        """The block is committed and stored."""
        header = executed.header
        self.rows.update(executed.changed)
        self.tree = Frontier(executed.size, executed.peaks)
        self.height, self.time_ms = header.height, header.time_ms
        self.tip, self.state_digest = block_id(self.cluster_id, header), executed.state_digest
        self.entries.extend(executed.entries)

    def do(self, author: str, kind: str, body: Mapping[str, Any], after_ms: int = 1_000, **envelope: Any) -> str:
        """Order one record that must be accepted. Returns its id."""
        record = self.record(author, kind, body, **envelope)
        assert self.block(record, after_ms=after_ms) == ["accepted"]
        return record_id(record)

    def refuse(self, author: str, kind: str, body: Mapping[str, Any], after_ms: int = 1_000, **envelope: Any) -> str:
        """Order one record that must be refused and must change nothing but its nonce. Returns the refusal."""
        record = self.record(author, kind, body, **envelope)
        time_ms = self.time_ms + after_ms
        executed = self.execute([*self.timer_items(time_ms), record.encode()], time_ms)
        alone = self.execute(self.timer_items(time_ms), time_ms).changed if self.due(time_ms) else {}
        assert {name.table for name in executed.changed.keys() - alone.keys()} == {"nonce"}
        assert all(executed.changed[name] == row for name, row in alone.items())
        self.keep(executed)
        assert executed.outcomes[-1] != "accepted"
        return executed.outcomes[-1]

    # ---- rows

    def get(self, row: type[R], *parts: str) -> R | None:
        """A row."""
        found = self.rows.get(key(row, *parts))
        assert found is None or isinstance(found, row)
        return found

    def all(self, row: type[R], **columns: Any) -> list[R]:
        """Every row of a table whose columns have these values."""
        found = (one for one in self.rows.values() if isinstance(one, row))
        return [one for one in found if all(getattr(one, name) == value for name, value in columns.items())]

    # ---- people

    def attestation(
        self, node: str, member: str, kid: str, evidence: str = "phone", time_ms: int = 0
    ) -> dict[str, Any]:
        """An organisation's signed word that a key is a member's."""
        at_ms = time_ms or self.time_ms
        content = attestation_bytes(self.cluster_id, member, kid, evidence, node, at_ms)
        signature = b64u_encode(organisation_key(node, "attest").sign(content))
        return {"evidence": evidence, "node": node, "signature": signature, "time_ms": at_ms}

    def bind_body(
        self, member: str, signer: str = "", nodes: Iterable[str] = ("owners", "street"), evidence: str = "phone"
    ) -> dict[str, Any]:
        """The body of a `device.bind`."""
        public = device(signer or member).public
        return {
            "attestations": [self.attestation(node, member, public.thumbprint(), evidence) for node in nodes],
            "device_key": msgspec.to_builtins(public),
            "label": "phone",
            "member": member,
            "privacy_version": 1,
        }

    def bind(self, member: str, signer: str = "", nodes: Iterable[str] = ("owners", "street"), **more: Any) -> str:
        """Bind a key to a member."""
        body = self.bind_body(member, signer, nodes, **more)
        return self.do(member, "device.bind", body, signer=signer or member)

    def grant(self, member: str, role: str, organisation: str) -> None:
        """Two officers give a member a role, and a key."""
        body = {"member": member, "organisation": organisation, "role": role}
        self.do("officer-owners", "role.grant", body)
        self.do("officer-street", "role.grant", body)
        self.bind(member)

    def publish_roll(self, roll: str = ROLL, heads: Iterable[tuple[tuple[str, ...], int]] = HEADS) -> None:
        """Publish a roll in one part and confirm it by another organisation."""
        body = roll_body(roll, heads)
        self.do("officer-owners", "roll.publish", body)
        self.do("officer-street", "roll.confirm", {"roll": roll, "root": body["root"]})

    def open_motion(self, **changes: Any) -> str:
        """A rehearsal that opens at once, for an hour. Returns its id."""
        motion = self.propose_motion(**changes)
        self.block(after_ms=1)
        return motion

    def propose_motion(self, author: str = "hu", **changes: Any) -> str:
        """Propose a motion, which a committee of one announces by it. Returns its id."""
        return self.do(author, "motion.propose", motion_body(self, **changes))

    def cast(self, author: str, motion: str, position: int, choice: Any = "for", **changes: Any) -> str:
        """Cast a ballot that must be accepted. Returns its id."""
        return self.do(author, "ballot.cast", ballot_body(motion, position, choice, **changes))


def roll_body(roll: str = ROLL, heads: Iterable[tuple[tuple[str, ...], int]] = HEADS) -> dict[str, Any]:
    """The body of a `roll.publish` with everything in one part."""
    published = [
        {"area_cm2": area, "leaf": digest(f"{roll} {members}".encode()), "members": list(members)}
        for members, area in heads
    ]
    root = b64u_encode(root_of([encode(head) for head in published]))
    return {"heads": published, "part": 0, "parts": 1, "position": 0, "roll": roll, "root": root}


def motion_body(world: World, **changes: Any) -> dict[str, Any]:
    """The body of a `motion.propose`: a rehearsal that opens at once and closes in an hour."""
    body = {
        "budget": [],
        "close_ms": world.time_ms + HOUR_MS,
        "contract": [],
        "matter": "fund-use",
        "opens_ms": world.time_ms,
        "petition": "",
        "questions": [QUESTION],
        "quotes": [],
        "roll": ROLL,
        "rule_pack": "rehearsal@2026-11-01",
        "text": "",
        "title": "屋面维修",
    }
    return {**body, **changes}


def ballot_body(motion: str, position: int, choice: Any = "for", **changes: Any) -> dict[str, Any]:
    """The body of a `ballot.cast`."""
    body = {
        "choice": [choice] if isinstance(choice, str) else choice,
        "motion": motion,
        "position": position,
        "question": "q1",
        "replaces": "",
        "roll": ROLL,
    }
    return {**body, **changes}


def photo(name: str) -> dict[str, Any]:
    """A photo as a record names it."""
    return {
        "original_sha256": sha256(f"original {name}".encode()).hexdigest(),
        "sha256": sha256(name.encode()).hexdigest(),
        "size": 1_000,
    }


def record_id(jws: str) -> str:
    """The id of a record."""
    return digest(jws.rpartition(".")[0].encode())


def entry_hashes(entries: Iterable[bytes]) -> list[bytes]:
    """Leaf hashes of log entries."""
    return [leaf_hash(entry) for entry in entries]


@cache
def _settled() -> World:
    """Officers, a roll in force, owners with verified devices, staff, committee and a merchant."""
    world = World()
    world.publish_roll()
    for member in ("li", "wang", "zhao", "chen", "zhou"):
        world.bind(member)
    world.grant("sun", "staff", "property")
    world.grant("qian", "staff", "property")
    world.grant("hu", "committee", "owners")
    world.grant("ma", "merchant", "property")
    world.grant("bai", "merchant", "property")
    return world


def settled_world() -> World:
    """A copy of the settled neighbourhood."""
    return _settled().copy()
