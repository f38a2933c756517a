"""Receipts: tlog-proofs (c2sp.org/tlog-proof) that one entry stands in the log, and who signed it (DESIGN.md 2.5).

The first proof shows a record and what was decided about it, the second the `device.bind` that tied the signing key to
its owner. A proof with evidence shows that the log bars a member, whose signature is then not waited for; what evidence
proves is told by the caller's `convict`, because consensus statements are not known here. Whatever is wrong with a text
ends as one ReceiptError that names the fault.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta

from server.ledger.block import ACCEPTED
from server.ledger.checkpoint import CheckpointError, b64_decode, b64_encode
from server.ledger.genesis import Genesis
from server.ledger.merkle import ProofError, leaf_hash, verify_inclusion
from server.ledger.policy import Grade, Policy, VerifiedCheckpoint, verify_checkpoint
from server.limits import ENTRY_BYTES_MAX, INTEGER_MAX, MIB
from server.record.canonical import Malformed, b64u_decode, b64u_encode, decode, encode
from server.record.envelope import Envelope, is_signed_by, parse_record
from server.record.shape import Shape, parse
from server.record.signature import DeviceKey

T = TypeVar("T")
VERSION = "c2sp.org/tlog-proof@v1"
BIND_KIND = "device.bind"
EVIDENCE_KIND = "evidence"
RECEIPT_BYTES_MAX = MIB
"""Two proofs of the largest entries and three of the largest evidence, twice over."""
PROOFS_MAX = 2 + 16
"""A record, a bind, and evidence against as many members as a cluster can have."""
_SEPARATOR = "\n---\n"
_INDEX = re.compile(r"index (0|[1-9][0-9]{0,15})")
Count = Annotated[int, Meta(ge=0, le=INTEGER_MAX)]


class ReceiptFault(enum.Enum):
    """What is wrong with a receipt; the same words as on the phone and in schemas/vectors."""

    FORM = "form"
    EXTRA = "extra"
    ENTRY = "entry"
    INDEX = "index"
    CHECKPOINT = "checkpoint"
    NOT_IN_TREE = "not_in_tree"
    NOT_COMMITTED = "not_committed"
    RECORD = "record"
    DEVICE_KEY = "device_key"
    DEVICE_SIGNATURE = "device_signature"
    BINDING = "binding"
    BARRING = "barring"


class ReceiptError(ProofError):
    """The receipt proves nothing. `detail` is for developers; of a bad checkpoint it is the CheckpointFault."""

    def __init__(self, fault: ReceiptFault, detail: str) -> None:
        super().__init__(f"{fault.value}: {detail}")
        self.fault = fault
        self.detail = detail


class RecordEntry(Shape, frozen=True):
    """A log entry of a client record (DESIGN.md 2.4)."""

    height: Count
    index: Count
    outcome: str
    record: str
    time_ms: Count


class System(Shape, frozen=True):
    """What a derived entry says."""

    body: dict[str, Any]
    due_ms: Count
    id: str
    key: str
    kind: str


class DerivedEntry(Shape, frozen=True):
    """A log entry that nobody signed: every replica derived it."""

    height: Count
    index: Count
    outcome: str
    system: System
    time_ms: Count


Entry = RecordEntry | DerivedEntry


class Proof(msgspec.Struct, frozen=True):
    """A parsed tlog-proof: nothing in it is checked yet."""

    extra: bytes
    index: int
    hashes: tuple[bytes, ...]
    note: str


class ProvenEntry(msgspec.Struct, frozen=True):
    """An entry that stands in the log under a checkpoint of this grade. A derived entry has no envelope."""

    entry: Entry
    leaf: bytes
    checkpoint: VerifiedCheckpoint
    grade: Grade
    envelope: Envelope | None
    evidence: bytes | None = None


class Conviction(msgspec.Struct, frozen=True):
    """What verified evidence says: who did what, and the digests (base64url) of the two statements that show it."""

    culprit: str
    offence: str
    statements: tuple[str, str]


Convict = Callable[[bytes], Conviction]
"""Verifies evidence by its bytes. Raises Malformed unless it proves something."""


class VerifiedReceipt(msgspec.Struct, frozen=True):
    """What a receipt proves. Without `owner_checked` it says "signed by key K", but not whose key that is.

    `grade` counts `barred` members as consensus.md 1.4 does; `unchecked` are those whose evidence nobody here verified,
    so that they are counted like everybody else.
    """

    proven: ProvenEntry
    owner_checked: bool
    grade: Grade
    barred: tuple[str, ...] = ()
    unchecked: tuple[str, ...] = ()


def proof_text(entry: bytes, index: int, hashes: Sequence[bytes], note: str, device_key: DeviceKey | None) -> str:
    """One tlog-proof. `entry`: the entry's bytes; `note`: the checkpoint with its lines; no key for a derived entry."""
    extra: dict[str, Any] = {"entry": entry.decode()}
    if device_key is not None:
        extra["device_key"] = device_key
    lines = [VERSION, f"extra {b64_encode(encode(extra))}", f"index {index}", *map(b64_encode, hashes), "", note]
    return "\n".join(lines)


def barring_text(entry: bytes, index: int, hashes: Sequence[bytes], note: str, evidence: bytes) -> str:
    """The tlog-proof that the log bars a member. `entry`: the bytes of the `evidence` entry; `evidence`: its own."""
    extra = encode({"entry": entry.decode(), "evidence": b64u_encode(evidence)})
    lines = [VERSION, f"extra {b64_encode(extra)}", f"index {index}", *map(b64_encode, hashes), "", note]
    return "\n".join(lines)


def receipt_text(record_proof: str, bind_proof: str = "", barring_proofs: Sequence[str] = ()) -> str:
    """The receipt file: the record's proof, that of the bind where one is needed (decisions 12), those of barrings."""
    return "---\n".join([record_proof, *([bind_proof] if bind_proof else []), *barring_proofs])


def officers_of(genesis: Genesis) -> dict[str, str]:
    """Members by the kid of the device that genesis names: no `device.bind` of theirs stands in the log."""
    return {
        officer.device_key.thumbprint(): officer.member for member in genesis.members for officer in member.officers
    }


def verify_receipt(
    text: str,
    policy: Policy,
    estate: str,
    officers: Mapping[str, str] | None = None,
    convict: Convict | None = None,
) -> VerifiedReceipt:
    """Check a receipt of this estate against the policy. Raises ReceiptError.

    `officers`: owners of the devices that genesis names, see `officers_of`. `convict` verifies evidence against
    members; without it a member that the log bars is counted like everybody else.
    """
    first, *rest = split_receipt(text)
    proven = verify_proof(first, policy, estate)
    if proven.evidence is not None:
        raise ReceiptError(ReceiptFault.BARRING, "the first proof is the record's")
    is_bound, culprits = False, list[str]()
    for place, part in enumerate(rest):
        further = verify_proof(part, policy, estate)
        if further.evidence is not None:
            culprits.append(_check_barring(proven, further, policy, convict))
        elif place == 0:
            _check_binding(proven, further)
            is_bound = True
        else:
            raise ReceiptError(ReceiptFault.FORM, "more than one bind")
    is_owned = is_bound or _binds_itself(proven) or _is_officers(proven, officers or {})
    if convict is None:
        return VerifiedReceipt(proven, is_owned, proven.grade, unchecked=tuple(culprits))
    return VerifiedReceipt(proven, is_owned, _grade_without(proven, policy, culprits), tuple(culprits))


def split_receipt(text: str) -> list[str]:
    """The proofs of a receipt file, one at least. Raises ReceiptError."""
    parts = text.split(_SEPARATOR)
    if len(parts) > PROOFS_MAX or len(text) > RECEIPT_BYTES_MAX:
        raise ReceiptError(ReceiptFault.FORM, "too many proofs")
    return [part + "\n" for part in parts[:-1]] + parts[-1:]


def parse_proof(text: str) -> Proof:
    """Take a tlog-proof apart; we require its `extra` line. Raises ReceiptError."""
    header, separator, note = text.partition("\n\n")
    lines = header.split("\n")
    if not separator or len(lines) < 3 or lines[0] != VERSION or not lines[1].startswith("extra "):
        raise ReceiptError(ReceiptFault.FORM, "not a tlog-proof with extra data")
    index = _INDEX.fullmatch(lines[2])
    if index is None or int(index[1]) > INTEGER_MAX:
        raise ReceiptError(ReceiptFault.FORM, "index line")
    extra = _attempt(ReceiptFault.FORM, b64_decode, lines[1].removeprefix("extra "))
    hashes = tuple(_attempt(ReceiptFault.FORM, b64_decode, line) for line in lines[3:])
    return Proof(extra, int(index[1]), hashes, note)


def verify_proof(text: str, policy: Policy, estate: str) -> ProvenEntry:
    """Check one tlog-proof of this estate against the policy. Raises ReceiptError."""
    proof = parse_proof(text)
    device_key, data, evidence = _parse_extra(proof.extra)
    entry = parse_entry(data)
    if entry.index != proof.index:
        raise ReceiptError(ReceiptFault.INDEX, "the entry says another index")
    checkpoint = _attempt(ReceiptFault.CHECKPOINT, verify_checkpoint, proof.note, policy)
    leaf, tree = leaf_hash(data), checkpoint.checkpoint
    _attempt(ReceiptFault.NOT_IN_TREE, verify_inclusion, leaf, proof.index, tree.size, proof.hashes, tree.root)
    if checkpoint.grade is None:
        raise ReceiptError(ReceiptFault.NOT_COMMITTED, f"cosigned by {sorted(checkpoint.cosigned)} only")
    envelope = _verify_record(entry.record, device_key, estate) if isinstance(entry, RecordEntry) else None
    return ProvenEntry(entry, leaf, checkpoint, checkpoint.grade, envelope, evidence)


def parse_entry(data: bytes) -> Entry:
    """A log entry from its bytes. Raises ReceiptError."""
    if len(data) > ENTRY_BYTES_MAX:
        raise ReceiptError(ReceiptFault.ENTRY, "too large")
    value = _attempt(ReceiptFault.ENTRY, decode, data)
    shape: type[Entry] = DerivedEntry if isinstance(value, dict) and "system" in value else RecordEntry
    entry: Entry = _attempt(ReceiptFault.ENTRY, parse, shape, value)
    return entry


def _parse_extra(extra: bytes) -> tuple[object, bytes, bytes | None]:
    """Device key, entry and evidence: a record is signed by a device, evidence by members, never both."""
    value = _attempt(ReceiptFault.EXTRA, decode, extra)
    if not isinstance(value, dict) or not isinstance(value.get("entry"), str):
        raise ReceiptError(ReceiptFault.EXTRA, "no entry")
    entry, names = value["entry"].encode(), value.keys() - {"entry"}
    if names == {"evidence"} and isinstance(value["evidence"], str):
        return None, entry, _attempt(ReceiptFault.EXTRA, b64u_decode, value["evidence"])
    if names - {"device_key"}:
        raise ReceiptError(ReceiptFault.EXTRA, "not device_key and entry, nor entry and evidence")
    return value.get("device_key"), entry, None


def _verify_record(jws: str, device_key: object, estate: str) -> Envelope:
    envelope = _attempt(ReceiptFault.RECORD, parse_record, jws, estate)
    key: DeviceKey = _attempt(ReceiptFault.DEVICE_KEY, parse, DeviceKey, device_key)
    point = _attempt(ReceiptFault.DEVICE_KEY, key.point)
    if key.thumbprint() != envelope.kid:
        raise ReceiptError(ReceiptFault.DEVICE_KEY, "the thumbprint is not the kid")
    if not is_signed_by(envelope, point):
        raise ReceiptError(ReceiptFault.DEVICE_SIGNATURE, "the device did not sign this")
    return envelope


def _check_binding(first: ProvenEntry, second: ProvenEntry) -> None:
    record, bind = first.envelope, second.envelope
    if record is None or bind is None or not _binds_itself(second):
        raise ReceiptError(ReceiptFault.BINDING, "not an accepted device.bind")
    if (bind.kid, bind.payload.author) != (record.kid, record.payload.author):
        raise ReceiptError(ReceiptFault.BINDING, "of another key or member")
    if second.entry.index > first.entry.index:
        raise ReceiptError(ReceiptFault.BINDING, "bound after the record")


def _check_barring(first: ProvenEntry, barring: ProvenEntry, policy: Policy, convict: Convict | None) -> str:
    """The member that this entry bars, by evidence that holds; without `convict` by the word of the log alone."""
    system = barring.entry.system if isinstance(barring.entry, DerivedEntry) else None
    if system is None or (system.kind, system.due_ms, barring.entry.outcome) != (EVIDENCE_KIND, 0, ACCEPTED):
        raise ReceiptError(ReceiptFault.BARRING, "not an entry of evidence")
    if barring.checkpoint.checkpoint != first.checkpoint.checkpoint:
        raise ReceiptError(ReceiptFault.BARRING, "under another checkpoint than the record")
    evidence, culprit = barring.evidence or b"", system.body.get("culprit")
    if system.key != b64u_encode(sha256(evidence).digest()):
        raise ReceiptError(ReceiptFault.BARRING, "the entry names other evidence")
    if convict is not None:
        found: Conviction = _attempt(ReceiptFault.BARRING, convict, evidence)
        said = {"culprit": found.culprit, "offence": found.offence, "statements": list(found.statements)}
        if system.body != said:
            raise ReceiptError(ReceiptFault.BARRING, "the entry says something else than the evidence")
    if not isinstance(culprit, str) or not policy.is_member(culprit):
        raise ReceiptError(ReceiptFault.BARRING, "against somebody whose signature is not waited for")
    return culprit


def _grade_without(proven: ProvenEntry, policy: Policy, barred: Sequence[str]) -> Grade:
    if len(set(barred)) != len(barred):
        raise ReceiptError(ReceiptFault.BARRING, "a member is barred twice")
    grade = policy.grade(proven.checkpoint.cosigned, barred)
    if grade is None:
        raise ReceiptError(ReceiptFault.BARRING, "without the barred members no quorum has signed")
    return grade


def _binds_itself(proven: ProvenEntry) -> bool:
    """Is this an accepted bind of the key that signed it?"""
    bind = proven.envelope
    if bind is None or bind.payload.kind != BIND_KIND or proven.entry.outcome != ACCEPTED:
        return False
    key: DeviceKey = _attempt(ReceiptFault.BINDING, parse, DeviceKey, bind.payload.body.get("device_key"))
    return key.thumbprint() == bind.kid


def _is_officers(proven: ProvenEntry, officers: Mapping[str, str]) -> bool:
    envelope = proven.envelope
    return envelope is not None and officers.get(envelope.kid) == envelope.payload.author


def _attempt(fault: ReceiptFault, action: Callable[..., T], *arguments: object) -> T:
    """Every failure inside becomes this fault; anything else that escapes is a bug."""
    try:
        return action(*arguments)
    except CheckpointError as error:
        raise ReceiptError(fault, error.fault.value) from None
    except (Malformed, ProofError) as error:
        raise ReceiptError(fault, str(error)) from None
