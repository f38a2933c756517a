"""A small estate on a real ledger: real keys, real signed records, executed by the real rules and stored.

Mutable. Keys are derived from numbers and nonces counted, so that every run makes the same rows; only the signatures
differ. It drives `Ledger` as a node does: plan, execute, store.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from server.domain import RULEBOOK
from server.domain.agenda import due_item
from server.domain.execute import Executed, execute_block
from server.domain.genesis_rows import trust_of
from server.domain.member import attestation_bytes
from server.domain.motion import OPENING
from server.domain.plan import Work
from server.ledger.block import Derived, Header, entries_root
from server.ledger.genesis import Genesis, estate_of, parse_genesis
from server.ledger.merkle import root_of
from server.record.canonical import b64u_encode, digest, encode
from server.record.envelope import Payload, sign_record
from server.record.shape import seal
from server.record.signature import DeviceSigner, NodeSigner
from server.storage.database import Database
from server.storage.ledger import Ledger
from server.storage.stored import Commitment, Tip
from server.storage.vault import Vault

NODES = ("committee", "owners", "property")
CREATED_MS = 1_800_000_000_000
BLOCK_MS = 1_000
DAY_MS = 86_400_000
RULES = RULEBOOK.find(1)
VAULT_KEY = sha256(b"vault of the tests").digest()


def device(number: int) -> DeviceSigner:
    """A device key made from a number."""
    secret = int.from_bytes(sha256(b"device %d" % number).digest()) >> 1 | 1
    return DeviceSigner(ec.derive_private_key(secret, ec.SECP256R1()))


def attester(node: str) -> NodeSigner:
    """An organisation's attesting key."""
    return NodeSigner(sha256(b"attest " + node.encode()).digest())


def make_genesis() -> tuple[Genesis, bytes]:
    """Three organisations with one officer each; the officer of `owners` is also the test's committee."""
    members = [
        {
            "attest_key": b64u_encode(attester(node).public),
            **{
                f"{role}_key": b64u_encode(NodeSigner(sha256(f"{role} {node}".encode()).digest()).public)
                for role in ("consensus", "cosign", "log")
            },
            "id": node,
            "name": node,
            "officers": [{"device_key": device(place).public, "member": f"officer-{node}"}],
            "transport_certificate": "",
        }
        for place, node in enumerate(NODES)
    ]
    content = {
        "created_ms": CREATED_MS,
        "estate": {"id": "test", "name": "测试小区"},
        "members": members,
        "mode": "available",
        "origin": "linli.example/test",
        "policy": {
            "approvals": 2,
            "attestations": 2,
            "final_without_ms": 3 * DAY_MS,
            "new_key_vote_delay_ms": DAY_MS,
        },
        "rules": 1,
    }
    return parse_genesis(encode(content))


class Estate:
    """Mutable. The estate's next block, and what its members sign."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.genesis, self.cluster_id = make_genesis()
        self.estate = estate_of(self.genesis, self.cluster_id)
        self.trust = trust_of(self.genesis, self.cluster_id)
        self.openings: dict[str, bytes] = {}
        self._nonce = 0

    @classmethod
    async def open(cls, database: Database) -> Estate:
        """The estate on a database, begun or continued."""
        genesis, cluster_id = make_genesis()
        return cls(await Ledger.open(database, genesis, cluster_id, Vault(VAULT_KEY)))

    def sign(self, number: int, author: str, kind: str, body: dict[str, Any]) -> bytes:
        """A record by a device, as an item; valid at the next block."""
        self._nonce += 1
        nonce = b64u_encode(sha256(b"%d %d" % (self.ledger.tip.height, self._nonce)).digest()[:16])
        made_ms = self.next_time_ms()
        payload = Payload(
            author=author,
            body=body,
            estate=self.estate,
            expires_ms=made_ms + DAY_MS,
            kind=kind,
            made_ms=made_ms,
            nonce=nonce,
        )
        return sign_record(device(number), payload).encode()

    def next_time_ms(self) -> int:
        """The next block's time."""
        return self.ledger.tip.time_ms + BLOCK_MS

    def hide(self, value: Any, seed: str) -> str:
        """Commit to a private value with a salt made from a seed; its opening travels with the next block."""
        commitment, opening = seal(value, sha256(seed.encode()).digest()[:16])
        self.openings[commitment] = opening
        return commitment

    async def execute(self, items: Sequence[bytes], time_ms: int = 0) -> tuple[Executed, list[Work]]:
        """Plan and execute the next block, in memory only."""
        tip = self.ledger.tip
        header = Header(
            entries_bytes=sum(map(len, items)),
            entries_root=entries_root(items),
            epoch=0,
            height=tip.height + 1,
            prev=tip.block_id,
            proposer=NODES[0],
            rules=1,
            state_digest_prev=tip.state_digest,
            time_ms=time_ms or self.next_time_ms(),
        )
        works, rows = await self.ledger.rows.plan(items, self.estate, RULES)
        return execute_block(header, works, rows, self.ledger.tree, self.trust, RULES), works

    async def add(self, *items: bytes, time_ms: int = 0) -> Executed:
        """Execute and store the next block; every private value hidden before goes with it."""
        executed, works = await self.execute(items, time_ms)
        await self.store(executed, works)
        return executed

    async def store(self, executed: Executed, works: Sequence[Work]) -> Tip:
        """Store an executed block with a certificate that names it."""
        certificate = b"certificate %d" % executed.header.height
        given, self.openings = self.openings, {}
        return await self.ledger.store(executed, works, Commitment(0, certificate), given)

    def bind(self, number: int, member: str) -> bytes:
        """A member's device, seen in person by two organisations: it may vote at once."""
        signer, time_ms = device(number), self.next_time_ms()
        attestations = [
            {
                "evidence": "document",
                "node": node,
                "signature": b64u_encode(
                    attester(node).sign(
                        attestation_bytes(self.cluster_id, member, signer.kid, "document", node, time_ms)
                    )
                ),
                "time_ms": time_ms,
            }
            for node in NODES[:2]
        ]
        key = {name: getattr(signer.public, name) for name in ("crv", "kty", "x", "y")}
        body = {"attestations": attestations, "device_key": key, "label": "phone", "member": member}
        return self.sign(number, member, "device.bind", {**body, "privacy_version": 1})

    def grant_role(self, officer: int, member: str, role: str, organisation: str) -> bytes:
        """An officer's signature under a role."""
        body = {"member": member, "organisation": organisation, "role": role}
        return self.sign(officer, f"officer-{NODES[officer]}", "role.grant", body)

    async def add_roll(self, heads: int) -> str:
        """Publish and confirm a roll: head i is member `m-<i>` with 100 m2. Returns the record that put it in force."""
        published = [
            {"area_cm2": 1_000_000, "leaf": digest(b"leaf %d" % place), "members": [f"m-{place}"]}
            for place in range(heads)
        ]
        root = b64u_encode(root_of([encode(head) for head in published]))
        parts = range(0, heads, 250)
        for part, begin in enumerate(parts):
            place = {"part": part, "parts": len(parts), "position": begin}
            body = {"heads": published[begin : begin + 250], "roll": "roll-1", "root": root, **place}
            await self.accept(self.sign(0, "officer-committee", "roll.publish", body))
        confirm = {"roll": "roll-1", "root": root}
        return await self.accept(self.sign(1, "officer-owners", "roll.confirm", confirm))

    async def accept(self, *items: bytes) -> str:
        """A block of records that must all be accepted. Returns the id of the last."""
        executed, works = await self.execute(items)
        assert set(executed.outcomes) == {"accepted"}, executed.outcomes
        await self.store(executed, works)
        last = works[-1]
        return last.signed.id if hasattr(last, "signed") else ""

    async def add_motion(self, heads: int, open_ms: int = DAY_MS) -> str:
        """A roll of heads, their devices (number 100 + position), a committee, and an open motion. Returns its id."""
        await self.add_roll(heads)
        for begin in range(0, heads, 250):
            await self.accept(
                *(self.bind(100 + place, f"m-{place}") for place in range(begin, min(begin + 250, heads)))
            )
        await self.accept(self.bind(10, "chair"))
        await self.accept(self.grant_role(0, "chair", "committee", "owners"))
        await self.accept(self.grant_role(1, "chair", "committee", "owners"))
        choices = [{"id": name, "text": name} for name in ("for", "against", "abstain")]
        body = {
            "budget": [],
            "close_ms": self.next_time_ms() + open_ms,
            "contract": [],
            "matter": "other",
            "opens_ms": 1,
            "petition": "",
            "questions": [{"choices": choices, "id": "q1", "seats": 0, "text": "同意吗？"}],
            "quotes": [],
            "roll": "roll-1",
            "rule_pack": "rehearsal@2026-11-01",
            "text": "",
            "title": "维修电梯",
        }
        motion = await self.accept(self.sign(10, "chair", "motion.propose", body))
        await self.accept(encode(Derived({}, self.ledger.tip.time_ms, motion, OPENING)))
        return motion

    def ballot(self, motion: str, position: int, choice: str = "for", number: int = 0) -> bytes:
        """The ballot of a head's member."""
        body = {
            "choice": self.hide([choice], f"{motion} {position} {choice} {number}"),
            "motion": motion,
            "position": position,
            "question": "q1",
            "replaces": "",
            "roll": "roll-1",
        }
        return self.sign(100 + position, f"m-{position}", "ballot.cast", body)

    async def due(self, time_ms: int, bodies: dict[str, dict[str, Any]]) -> list[bytes]:
        """The derived entries that a block at this time must begin with; bodies by kind."""
        return [due_item(timer, bodies.get(timer.kind, {})) for timer in await self.ledger.rows.due_timers(time_ms)]

    def seal(self, size: int, root: bytes) -> bytes:
        """A seal of this size (its lines are not looked at by execution)."""
        body = {"root": b64u_encode(root), "signatures": ["line"], "size": size}
        return encode(Derived(body, 0, str(size), "seal"))


async def open_sqlite(folder: Path, name: str = "node.db") -> Database:
    """A SQLite database in a folder."""
    return await Database.open(f"sqlite://{folder / name}")
