"""The neighbourhood in which the real rules are simulated: genesis for any members, keys, and who lives there at first.

Keys follow from names and signatures are deterministic (RFC 6979), so that a seed gives the same bytes everywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from typing import Any

import msgspec
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from server.domain import RULEBOOK
from server.domain.execute import execute_record
from server.domain.genesis_rows import genesis_rows, trust_of
from server.domain.member import attestation_bytes
from server.domain.plan import parse_signed
from server.ledger.block import ACCEPTED
from server.ledger.genesis import OPERATOR, ROLES, Estate, Genesis, Officer, Organisation, Policy, estate_of
from server.ledger.merkle import root_of
from server.limits import DAY_MS, HOUR_MS, SECOND_MS
from server.record.canonical import b64u_encode, digest, encode
from server.record.envelope import Payload, sign_record
from server.record.kind import Place, Role, Trust
from server.record.rows import Key, Row, Rows
from server.record.signature import DeviceSigner, NodeSigner

ROLL = "roll"
HEADS = (("li",), ("wang", "zhao"), ("chen",), ("zhou", "wu"), ("zheng",), ("shen",))
"""Buyer sets: two couples own a home each."""
OFFICES = (
    ("sun", Role.STAFF),
    ("qian", Role.STAFF),
    ("hu", Role.COMMITTEE),
    ("ma", Role.MERCHANT),
    ("bai", Role.MERCHANT),
)
FIRST_POINTS = 60
_ES256 = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)
_WORD_BYTES = 32
BEFORE_MS = 2 * DAY_MS
FINAL_WITHOUT_MS = 5 * SECOND_MS
"""Short, so that members are absent for longer in many worlds."""
"""How long before the run everybody moved in: no key is too new to vote."""


class KnownDevice(DeviceSigner):
    """A device whose key follows from its name; it signs the same bytes the same way every time."""

    def __init__(self, name: str) -> None:
        number = int.from_bytes(sha256(f"device {name}".encode()).digest()[:31]) + 1
        super().__init__(ec.derive_private_key(number, ec.SECP256R1()))

    def sign(self, message: bytes) -> bytes:
        """ES256, r || s."""
        r, s = decode_dss_signature(self._key.sign(message, _ES256))
        return r.to_bytes(_WORD_BYTES) + s.to_bytes(_WORD_BYTES)


@cache
def device(name: str) -> KnownDevice:
    """The device of this name."""
    return KnownDevice(name)


@cache
def organisation_key(organisation: str, role: str) -> NodeSigner:
    """An organisation's key for a role."""
    return NodeSigner(sha256(f"{organisation} {role}".encode()).digest())


@dataclass(frozen=True, slots=True)
class Neighbourhood:
    """A genesis, and the rows of an estate whose people are known. Never changed."""

    organisations: tuple[str, ...]
    estate: str
    trust: Trust
    rows: Mapping[Key, Row]


@cache
def neighbourhood(organisations: tuple[str, ...], cluster_id: bytes, begin_ms: int) -> Neighbourhood:
    """A roll in force, owners and offices with verified devices, and some points: all by records that were accepted."""
    created_ms = begin_ms - BEFORE_MS
    genesis = _genesis(organisations, created_ms)
    trust = trust_of(genesis, cluster_id)
    rows = {Key(row.table, row.id): row for row in genesis_rows(genesis)}
    place = Place(0, 0, created_ms)
    estate = estate_of(genesis, cluster_id)
    for number, (author, kind, body) in enumerate(_beginnings(organisations, trust, created_ms)):
        jws = signed(device(author), author, estate, kind, body, created_ms, number)
        work = parse_signed(jws, estate, RULEBOOK.find(1))
        touched = Rows({name: rows.get(name) for name in work.keys})
        outcome = execute_record(work, touched, place, trust)
        assert outcome == ACCEPTED, (kind, outcome)
        rows.update(touched.changed)
    return Neighbourhood(organisations, estate, trust, rows)


def signed(
    signer: DeviceSigner, author: str, estate: str, kind: str, body: Mapping[str, Any], made_ms: int, number: int
) -> str:
    """A record that lives for an hour; `number` makes its nonce."""
    payload = Payload(
        author=author,
        body=dict(body),
        estate=estate,
        expires_ms=made_ms + HOUR_MS,
        kind=kind,
        made_ms=made_ms,
        nonce=b64u_encode(number.to_bytes(16)),
    )
    return sign_record(signer, payload)


def bind_body(
    trust: Trust, signer: DeviceSigner, member: str, nodes: Iterable[str], evidence: str, time_ms: int
) -> dict[str, Any]:
    """The body of a `device.bind` with the true word of these organisations."""
    attestations = []
    for node in nodes:
        content = attestation_bytes(trust.cluster_id, member, signer.kid, evidence, node, time_ms)
        signature = b64u_encode(organisation_key(node, "attest").sign(content))
        attestations.append({"evidence": evidence, "node": node, "signature": signature, "time_ms": time_ms})
    return {
        "attestations": attestations,
        "device_key": msgspec.to_builtins(signer.public),
        "label": "phone",
        "member": member,
        "privacy_version": 1,
    }


def roll_body(roll: str, heads: Sequence[tuple[Sequence[str], int]]) -> dict[str, Any]:
    """The body of a `roll.publish` with everything in one part; heads are members and area."""
    published = [
        {"area_cm2": area, "leaf": digest(f"{roll} {number}".encode()), "members": list(members)}
        for number, (members, area) in enumerate(heads)
    ]
    root = b64u_encode(root_of([encode(head) for head in published]))
    return {"heads": published, "part": 0, "parts": 1, "position": 0, "roll": roll, "root": root}


def genesis_of(organisations: tuple[str, ...]) -> Genesis:
    """A genesis of these organisations, for whoever needs their keys only."""
    return _genesis(organisations, 0)


def _genesis(organisations: tuple[str, ...], created_ms: int) -> Genesis:
    two = min(2, len(organisations))
    policy = Policy(approvals=two, attestations=two, final_without_ms=FINAL_WITHOUT_MS, new_key_vote_delay_ms=DAY_MS)
    return Genesis(
        created_ms=created_ms,
        estate=Estate(id="xiangshanyuan", name="香山苑"),
        members=tuple(map(organisation_of, organisations)),
        mode="available",
        origin="linli.example/xiangshanyuan",
        policy=policy,
        rules=1,
    )


def secret_of(member: Organisation) -> str:
    """What stands for a member's keys in cheap signatures: its id, and another word once its keys are other ones."""
    founding = b64u_encode(organisation_key(member.id, "consensus").public)
    return member.id if member.consensus_key == founding else f"{member.id} {member.consensus_key}"


def organisation_of(name: str, *, with_officer: bool = True) -> Organisation:
    """A member of this name, with the keys that it had first."""
    keys = {f"{role}_key": organisation_key(name, role).public for role in (*ROLES, OPERATOR)}
    officer = Officer(device_key=device(f"officer-{name}").public, member=f"officer-{name}")
    return Organisation(
        **{role: b64u_encode(public) for role, public in keys.items()},
        id=name,
        name=name,
        officers=(officer,) if with_officer else (),
        transport_certificate="",
    )


def _beginnings(
    organisations: tuple[str, ...], trust: Trust, time_ms: int
) -> Iterable[tuple[str, str, dict[str, Any]]]:
    """(author, kind, body) of what everybody did in the first days."""
    first, *others = [f"officer-{name}" for name in organisations]
    body = roll_body(ROLL, [(members, 700_000 + 100_000 * place) for place, members in enumerate(HEADS)])
    yield first, "roll.publish", body
    for other in others[:1]:
        yield other, "roll.confirm", {"roll": ROLL, "root": body["root"]}
    people = [member for members in HEADS for member in members] + [member for member, _ in OFFICES]
    for member in people:
        nodes = organisations[: trust.attestations]
        yield member, "device.bind", bind_body(trust, device(member), member, nodes, "document", time_ms)
    for member, role in OFFICES:
        granted = {"member": member, "organisation": organisations[0], "role": role.value}
        for officer in (first, *others[:1]):
            yield officer, "role.grant", granted
    for member in people[:4]:
        grant = {"activity": "moved-in", "amount": FIRST_POINTS, "member": member, "programme": "welcome"}
        yield "hu", "points.grant", {**grant, "reason": "欢迎"}
