"""What people do with their phones: records of every declared kind, made from what a node shows them.

A body is sampled from the kind's declaration (server/record/sample.py). A field named after a table then points at a
row that is there, and fields named after columns of that row take its values: a new kind is part of the workload
without a word here. Most drafts are tried on the rows that the phone sees, as an app shows the buttons that would
work; the others are brought as they are. Some people are rivals, some come late, some lie.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from random import Random
from typing import Any, get_type_hints

import msgspec

from server.domain import KINDS, ROWS, RULEBOOK
from server.domain.execute import execute_record
from server.domain.member import Device, Member
from server.domain.plan import RecordWork, common_keys, parse_signed
from server.ledger.block import ACCEPTED
from server.limits import RECORD_LIFE_MS_MAX, SECOND_MS
from server.record.canonical import b64u_decode, b64u_encode, decode, encode
from server.record.envelope import Envelope, Payload, header_bytes, sign_record
from server.record.kind import Place, RecordKind, Signed, private_fields_of
from server.record.rows import Row
from server.record.sample import Sample, sample_record
from server.record.shape import SALT_BYTES, parse, seal
from server.record.signature import DeviceKey, DeviceSigner
from tests.simulation.application import Brought, Errand, LedgerState
from tests.simulation.domain_ledger import DomainLedger
from tests.simulation.drafts import Draft, Fields
from tests.simulation.estate import HEADS, OFFICES, Neighbourhood, device

OFTEN = {
    "rules.activate": 0,
    "ballot.cast": 8,
    "ballot.contest": 3,
    "motion.approve": 3,
    "motion.propose": 2,
    "offer.make": 2,
    "objection.answer": 4,
    "petition.sign": 2,
    "points.grant": 2,
    "points.redeem": 6,
    "redemption.undo": 4,
    "role.grant": 3,
    "ticket.assign": 3,
    "ticket.complete": 4,
    "ticket.confirm": 3,
    "ticket.progress": 2,
    "ticket.reopen": 3,
}
"""Kinds that people use more often than once in a list of all. Officers activate rules by an errand of their own."""
RULES = RULEBOOK.find(1)
"""Phones are of the first release."""
FIRST = ("motion.propose", "offer.make", "ticket.report", "points.grant")
SAMPLES = 16
"""Samples of each kind: what people leave open does not matter much."""
KINDS_TRIED = 3
DRAFTS_MAX = 8
NEWEST = 3
"""Rows at the top of a list on a phone."""
SHOWN = 0.75
"""How often a person does what an app would offer."""
RIVALS = {"ballot.cast": 0.4, "points.redeem": 0.6, "redemption.undo": 0.4}
"""How often somebody else, or the same person at another place, does the same at the same time; elsewhere 0.15."""
NAMES = {"handler": "member", "revoked": "device", "shop": "member"}
"""Fields that name a row of a table by another name than the table's."""


@dataclass(frozen=True, slots=True)
class Made:
    """A signed record and its openings by commitment."""

    work: RecordWork
    openings: Mapping[str, bytes]

    @property
    def record(self) -> bytes:
        """Its bytes."""
        return self.work.envelope.jws.encode()


@cache
def _sample_of(kind: type[RecordKind], number: int) -> Sample:
    return sample_record(kind, number)


@cache
def _types_of(kind: type[RecordKind]) -> dict[str, Any]:
    return get_type_hints(kind, include_extras=True)


def fits_field(kind: type[RecordKind], name: str, value: object) -> bool:
    """Whether a row's value is one that the field of a body can hold."""
    try:
        msgspec.convert(value, _types_of(kind)[name])
    except msgspec.ValidationError:
        return False
    return True


def _seen(state: LedgerState) -> DomainLedger:
    assert isinstance(state, DomainLedger)
    return state


class Phones:
    """Mutable. Everybody's phones, the keys on them, and what was signed so far."""

    def __init__(self, home: Neighbourhood, random: Random) -> None:
        self._home, self._random = home, random
        names = [member for members in HEADS for member in members] + [member for member, _ in OFFICES]
        names += [f"officer-{name}" for name in home.organisations]
        self._signers: dict[str, DeviceSigner] = {device(name).kid: device(name) for name in names}
        self._new_keys = 0
        self._fields = Fields(home, random)
        self._past: list[Made] = []
        self.forged: list[bytes] = []
        """What no honest node may order."""
        self.openings: dict[str, bytes] = {}
        """What people really chose and wrote, by commitment."""

    @property
    def records(self) -> list[bytes]:
        """Everything that was honestly signed."""
        return [made.record for made in self._past]

    @property
    def kinds(self) -> dict[str, str]:
        """The kinds of all records that were signed, by id."""
        return {made.work.signed.id: made.work.signed.kind for made in self._past}

    def errands(self, count: int, span_ms: int) -> list[Errand]:
        """First what others need, a motion, an offer and a ticket; then people come at any time within the span."""
        first = [Errand(place * 200, partial(self._begin, KINDS[kind])) for place, kind in enumerate(FIRST)]
        return first + [Errand(self._random.randint(0, span_ms), self._bring) for _ in range(count - len(first))]

    def _begin(self, kind: type[RecordKind], state: LedgerState, now_ms: int) -> Sequence[Brought]:
        made = self._sign(self._try([kind], _seen(state), now_ms))
        self._past.append(made)
        return [self._brought(made, now_ms)]

    def _bring(self, state: LedgerState, now_ms: int) -> Sequence[Brought]:
        chance = self._random.random()
        if chance < 0.08 and self._past:
            return [self._forge(self._random.choice(self._past))]
        if chance < 0.16 and self._past:
            return [self._brought(self._random.choice(self._past), now_ms)]
        draft = self._choose(_seen(state), now_ms)
        made = self._sign(draft)
        again = [made]
        if chance < 0.21:
            again.append(self._sign(draft, made.work.signed.nonce))
        elif self._random.random() < RIVALS.get(draft.kind.kind, 0.15):
            again.append(self._rival(draft, made))
        self._past += again
        return [self._brought(one, now_ms) for one in again]

    def _brought(self, made: Made, now_ms: int) -> Brought:
        signed = made.work.signed
        lasting = signed.expires_ms - now_ms > RECORD_LIFE_MS_MAX * 9 // 10
        photos = tuple(photo.sha256 for photo in signed.body.photo_refs())
        openings = tuple(sorted(made.openings.items()))
        return Brought(signed.id, made.record, signed.expires_ms, lasting, openings, photos)

    # -- a record that makes sense

    def _choose(self, ledger: DomainLedger, now_ms: int) -> Draft:
        """A draft that the rules would accept on the rows as they are seen, if one is found and wanted."""
        kinds = list(KINDS.values())
        weights = [OFTEN.get(kind.kind, 1) for kind in kinds]
        chosen = self._random.choices(kinds, weights, k=KINDS_TRIED)
        if self._random.random() < SHOWN:
            return self._try(chosen, ledger, now_ms)
        return self._draft(chosen[0], ledger, now_ms)

    def _try(self, kinds: Sequence[type[RecordKind]], ledger: DomainLedger, now_ms: int) -> Draft:
        """The first draft that would be accepted; else the last one."""
        draft = self._draft(kinds[0], ledger, now_ms)
        for kind in [kind for kind in kinds for _ in range(DRAFTS_MAX)]:
            if self._would_do(draft):
                break
            draft = self._draft(kind, ledger, now_ms)
        return draft

    def _would_do(self, draft: Draft) -> bool:
        payload, _ = self._write(draft)
        body = parse(draft.kind, payload.body)
        kid, name = draft.signer.kid, b64u_encode(self._random.randbytes(32))
        signed = Signed(
            name, kid, payload.author, payload.kind, payload.nonce, payload.made_ms, payload.expires_ms, body
        )
        work = RecordWork(Envelope("", name, kid, payload), signed, common_keys(signed) + body.access(signed))
        place = Place(0, draft.ledger.frontier.size, draft.now_ms)
        return execute_record(work, draft.ledger.load(work.keys), place, self._home.trust) == ACCEPTED

    def _draft(self, kind: type[RecordKind], ledger: DomainLedger, now_ms: int) -> Draft:
        author, signer = self._person(kind, ledger)
        draft = Draft(kind, author, signer, ledger, now_ms)
        named = self._point_at_rows(draft)
        if named and not kind.binds_device and self._random.random() < 0.7:
            draft.author, draft.signer = self._person(kind, ledger, named)
        self._fields.fill(draft)
        return draft

    def _person(
        self, kind: type[RecordKind], ledger: DomainLedger, named: Sequence[str] = ()
    ) -> tuple[str, DeviceSigner]:
        """Somebody with a key, mostly one who may sign this kind; one of those `named`, if they may."""
        if kind.binds_device:
            member = self._random.choice([*sorted(row.id for row in ledger.all(Member)), "newcomer"])
            return member, self._new_key()
        devices = [row for row in ledger.all(Device) if isinstance(row, Device) and row.id in self._signers]
        allowed = {role.value for role in kind.signed_by}
        if allowed and self._random.random() < 0.9:
            may = {
                row.id
                for row in ledger.all(Member)
                if isinstance(row, Member) and allowed & {held.partition("@")[0] for held in row.roles}
            }
            devices = [row for row in devices if row.member in may] or devices
        devices = [row for row in devices if row.member in named] or devices
        chosen = self._random.choice(sorted(devices, key=lambda row: row.id))
        return chosen.member, self._signers[chosen.id]

    def _new_key(self) -> DeviceSigner:
        """Mostly a new phone; sometimes one that is bound already and gets another attestation."""
        if self._random.random() < 0.3:
            return self._signers[self._random.choice(sorted(self._signers))]
        self._new_keys += 1
        signer = device(f"phone {self._new_keys}")
        self._signers[signer.kid] = signer
        return signer

    def _point_at_rows(self, draft: Draft) -> list[str]:
        """Fields named after tables point at rows; other fields of the same names take those rows' values.

        Returns who is named in the rows, or may be: reporter, handler, shop.
        """
        fields, named = draft.kind.__struct_fields__, []
        for name in fields:
            table = NAMES.get(name, name)
            rows = list(draft.ledger.tables.get(table, {}).values()) if table in ROWS else []
            if rows and name not in draft.fixed and self._random.random() < 0.95:
                row: Row = self._random.choice(rows if self._random.random() < 0.4 else rows[-NEWEST:])
                if not fits_field(draft.kind, name, row.id):
                    continue  # a field that is called like a table, and names none of its rows
                draft.fixed[name] = row.id
                same = {column: getattr(row, column) for column in row.__struct_fields__ if column in fields}
                draft.fixed.update(
                    (column, value)
                    for column, value in same.items()
                    if fits_field(draft.kind, column, value) and self._random.random() < 0.95
                )
                named += [value for value in msgspec.structs.asdict(row).values() if isinstance(value, str)]
        return named

    # -- signing

    def _sign(self, draft: Draft, nonce: str = "") -> Made:
        """Sign a draft; what it leaves open is drawn anew."""
        payload, openings = self._write(draft, nonce)
        self.openings.update(openings)
        return Made(parse_signed(sign_record(draft.signer, payload), self._home.estate, RULES), openings)

    def _write(self, draft: Draft, nonce: str = "") -> tuple[Payload, dict[str, bytes]]:
        """The payload of a draft, and its openings. One in ten expires soon; some phones' clocks are far ahead."""
        random = self._random
        body, openings = self._fill(draft)
        made_ms, life_ms = draft.now_ms, RECORD_LIFE_MS_MAX
        if random.random() < 0.1:
            life_ms = random.randint(500, 8_000)
        elif random.random() < 0.03:
            made_ms += 400 * SECOND_MS
        payload = Payload(
            author=draft.author,
            body=body,
            estate=self._home.estate,
            expires_ms=made_ms + life_ms,
            kind=draft.kind.kind,
            made_ms=made_ms,
            nonce=nonce or b64u_encode(random.randbytes(16)),
        )
        return payload, openings

    def _fill(self, draft: Draft) -> tuple[dict[str, Any], dict[str, bytes]]:
        """A sample of the kind with the fields that the draft fixes, and commitments of its own."""
        sample = _sample_of(draft.kind, self._random.randrange(SAMPLES))
        body, openings = {**sample.body, **draft.fixed}, {}
        for name in private_fields_of(draft.kind):
            sampled = decode(sample.openings[sample.body[name]][SALT_BYTES:])
            body[name], opening = seal(draft.fixed.get(name, sampled), self._random.randbytes(SALT_BYTES))
            openings[body[name]] = opening
        return body, openings

    def _rival(self, draft: Draft, made: Made) -> Made:
        """The same wish of somebody else; or of the same person somewhere else: two shops, two questions."""
        other = Draft(draft.kind, draft.author, draft.signer, draft.ledger, draft.now_ms, dict(draft.fixed))
        if draft.kind.binds_device:
            pass
        elif self._random.random() < 0.5:
            other.author, other.signer = self._person(draft.kind, draft.ledger)
        else:
            again = self._draft(draft.kind, draft.ledger, draft.now_ms)
            other.fixed = again.fixed
        return self._sign(other)

    def _forge(self, made: Made) -> Brought:
        """A record that no honest node may order, made from a good one."""
        head, payload, signature = made.work.envelope.jws.split(".")
        kid, body = made.work.envelope.kid, decode(b64u_decode(payload))
        assert isinstance(body, dict)
        stranger = device("stranger")
        choice = self._random.randrange(5)
        if choice == 0:  # another's signature
            jws = f"{head}.{payload}.{b64u_encode(stranger.sign(f'{head}.{payload}'.encode()))}"
        elif choice == 1:  # the signature of another payload
            changed = {**body, "made_ms": body["made_ms"] + 1}
            jws = f"{head}.{b64u_encode(encode(changed))}.{signature}"
        elif choice == 2:  # a key that nobody bound
            head = b64u_encode(header_bytes(stranger.kid))
            jws = f"{head}.{payload}.{b64u_encode(stranger.sign(f'{head}.{payload}'.encode()))}"
        elif choice == 3:  # a body with one member too many
            jws = self._resign(kid, {**body, "body": {**body["body"], "extra": 1}})
        else:  # another ledger's record
            jws = self._resign(kid, {**body, "estate": "xiangshanyuan." + "A" * 22})
        self.forged.append(jws.encode())
        record_id = made.work.signed.id if choice == 0 else b64u_encode(self._random.randbytes(32))
        return Brought(
            record_id, jws.encode(), body["expires_ms"], attachments=tuple(made.openings.items()), never=True
        )

    def public_of(self, kid: str) -> DeviceKey:
        """The public key of a device, as receipts carry it."""
        return self._signers[kid].public

    def _resign(self, kid: str, payload: Mapping[str, Any]) -> str:
        signing_input = f"{b64u_encode(header_bytes(kid))}.{b64u_encode(encode(payload))}"
        return f"{signing_input}.{b64u_encode(self._signers[kid].sign(signing_input.encode()))}"
