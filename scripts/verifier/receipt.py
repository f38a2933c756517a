"""Receipts (DESIGN.md 2.5): that an entry stands in the log, who signed it, and that the key was the author's.

Proofs with evidence show which members the log bars: they are not counted, and `sealed` does without them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from verifier.checkpoint import Checkpoint, check_checkpoint
from verifier.encoding import INTEGER_MAX, Rejected, parse_canonical, unb64, unb64u
from verifier.evidence import OFFENCES, check_evidence, parse_evidence
from verifier.genesis import Genesis, check_attestations, check_policy
from verifier.merkle import check_inclusion, leaf_hash
from verifier.policy import GRADES, Policy
from verifier.record import ACCEPTED, BIND_KIND, Entry, Record, parse_entry, parse_record
from verifier.report import Report, Result
from verifier.signatures import is_device_signature, point_of, thumbprint
from verifier.succession import Era

T = TypeVar("T")
VERSION = "c2sp.org/tlog-proof@v1"
PROOFS_MAX = 2 + 16
"""A record, a bind, and evidence against as many members as a cluster can have."""
CHECKS = ("form", "checkpoint", "inclusion", "quorum", "record", "signature", "owner")
"""In the order in which they are made."""
GENESIS_CHECKS = ("genesis", "attestations")
"""Made as well where genesis is given."""
_CHECK_OF_FAULT = {
    "form": "form",
    "extra": "form",
    "entry": "form",
    "index": "form",
    "checkpoint": "checkpoint",
    "not_in_tree": "inclusion",
    "not_committed": "quorum",
    "record": "record",
    "device_key": "signature",
    "device_signature": "signature",
    "binding": "owner",
    "barring": "quorum",
}


@dataclass(frozen=True)
class Proof:
    """An entry proven to stand in the log; a derived entry has no record."""

    entry: Entry
    leaf: bytes
    checkpoint: Checkpoint
    record: Record | None
    evidence: bytes | None


@dataclass(frozen=True)
class Barring:
    """A member that the log bars, and for which offence; what evidence of votes proves, genesis alone can tell."""

    culprit: str
    offence: str
    is_verified: bool


def split(text: str) -> list[str]:
    """The proofs of a receipt file; Rejected with fault `form`."""
    parts = text.split("\n---\n")
    if len(parts) > PROOFS_MAX:
        raise Rejected("form", "too many proofs")
    return [part + "\n" for part in parts[:-1]] + parts[-1:]


def check_proof(text: str, policy: Policy) -> Proof:
    """Check one tlog-proof; Rejected with the code of schemas/vectors, of a checkpoint as `checkpoint.<code>`."""
    head, blank, note = text.partition("\n\n")
    version, extra, index, *path = [*head.split("\n"), "", ""]
    path = path[:-2]
    found = re.fullmatch(r"index (0|[1-9][0-9]{0,15})", index)
    if not blank or version != VERSION or not extra.startswith("extra ") or not found or int(found[1]) > INTEGER_MAX:
        raise Rejected("form", "not a tlog-proof with extra data")
    hashes = [unb64(line, "form") for line in path]
    device_key, data, evidence = _parse_extra(unb64(extra.removeprefix("extra "), "form"))
    entry = parse_entry(data)
    if entry.index != int(found[1]):
        raise Rejected("index", "the entry says another index")
    checkpoint = _within("checkpoint", lambda: check_checkpoint(note, policy))
    leaf = leaf_hash(data)
    check_inclusion(leaf, entry.index, checkpoint.size, hashes, checkpoint.root)
    if not checkpoint.grade:
        raise Rejected("not_committed", f"cosigned by {', '.join(checkpoint.signers) or 'nobody'} only")
    record = None if entry.system else _check_record(entry.record, device_key)
    return Proof(entry, leaf, checkpoint, record, evidence)


def _within(fault: str, action: Callable[[], T]) -> T:
    try:
        return action()
    except Rejected as error:
        raise Rejected(f"{fault}.{error.fault}", error.detail) from None


def _parse_extra(extra: bytes) -> tuple[object, bytes, bytes | None]:
    """Device key, entry and evidence; the first and the last never both."""
    value = parse_canonical(extra, "extra")
    if not isinstance(value, dict) or not isinstance(value.get("entry"), str):
        raise Rejected("extra", "no entry")
    entry, names = value["entry"].encode(), value.keys() - {"entry"}
    if names == {"evidence"}:
        return None, entry, unb64u(value["evidence"], "extra")
    if names - {"device_key"}:
        raise Rejected("extra", "not device_key and entry, nor entry and evidence")
    return value.get("device_key"), entry, None


def _check_record(text: str, device_key: object) -> Record:
    record = parse_record(text)
    point = point_of(device_key, "device_key")
    if thumbprint(device_key) != record.kid:
        raise Rejected("device_key", "the thumbprint of the device key is not the kid")
    if not is_device_signature(point, record.signing_input, record.signature):
        raise Rejected("device_signature", "the device did not sign this record")
    return record


def check_binding(first: Proof, second: Proof) -> None:
    """The second proof must be the accepted device.bind of the same key by the same author; Rejected `binding`."""
    record, bind = first.record, second.record
    if record is None or bind is None or not binds_itself(second):
        raise Rejected("binding", "the second proof is not of an accepted device.bind")
    if (bind.kid, bind.author, bind.payload["estate"]) != (record.kid, record.author, record.payload["estate"]):
        raise Rejected("binding", "the second proof binds another key or member")
    if second.entry.index > first.entry.index:
        raise Rejected("binding", "the key was bound after the record")


def binds_itself(proof: Proof) -> bool:
    """Whether this is an accepted device.bind of the key that signed it."""
    bind = proof.record
    if bind is None or bind.kind != BIND_KIND or proof.entry.outcome != ACCEPTED:
        return False
    device_key = bind.payload["body"].get("device_key")
    point_of(device_key, "binding")
    return thumbprint(device_key) == bind.kid


def check_barring(first: Proof, proof: Proof, policy: Policy, eras: list[Era]) -> Barring:
    """The member that this entry bars, by the evidence in the receipt; Rejected with fault `barring`."""
    system = proof.entry.system
    place = (system.get("kind"), system.get("due_ms"), proof.entry.outcome)
    if place != ("evidence", 0, ACCEPTED) or proof.evidence is None:
        raise Rejected("barring", "not an entry of evidence")
    if (proof.checkpoint.size, proof.checkpoint.root) != (first.checkpoint.size, first.checkpoint.root):
        raise Rejected("barring", "the evidence stands under another checkpoint than the record")
    evidence = parse_evidence(proof.evidence)
    said = {"culprit": evidence.culprit, "offence": evidence.offence, "statements": evidence.digests}
    if system["key"] != evidence.id or system["body"] != said:
        raise Rejected("barring", "the entry names other evidence")
    is_verified = check_evidence(evidence, policy, eras)
    if not policy.is_member(evidence.culprit):
        raise Rejected("barring", "evidence against somebody whose signature is not waited for")
    return Barring(evidence.culprit, evidence.offence, is_verified)


def grade_without(first: Proof, policy: Policy, barrings: list[Barring]) -> str:
    """The grade; who is barred by verified evidence is neither counted nor waited for. Rejected `barring`."""
    names = [barring.culprit for barring in barrings]
    if len(set(names)) != len(names):
        raise Rejected("barring", "a member is barred twice")
    grade = policy.grade(first.checkpoint.times, [one.culprit for one in barrings if one.is_verified])
    if not grade:
        raise Rejected("barring", "without the barred members no quorum has signed")
    return grade


@dataclass
class Further:
    """Mutable. What the proofs after the first one show, and why one of them does not hold."""

    bind: Proof | None = None
    bind_fault: Rejected | None = None
    barrings: list[Barring] = field(default_factory=list)
    barring_fault: Rejected | None = None


def check_further(first: Proof, parts: list[str], policy: Policy, eras: list[Era]) -> Further:
    """Check the proofs after the first: of the bind, which comes first, and of members that the log bars."""
    found = Further()
    for place, part in enumerate(parts):
        try:
            proof = check_proof(part, policy)
            if proof.evidence is not None:
                found.barrings.append(check_barring(first, proof, policy, eras))
            elif place == 0:
                check_binding(first, proof)
                found.bind = proof
            else:
                raise Rejected("form", "more than one bind")
        except Rejected as error:
            if place == 0 and not _has_evidence(part):
                found.bind_fault = error
            else:
                found.barring_fault = error
    return found


def _has_evidence(text: str) -> bool:
    """Whether a proof that does not hold was meant to bar somebody."""
    try:
        return _parse_extra(unb64(text.split("\n")[1].removeprefix("extra "), "form"))[2] is not None
    except (Rejected, IndexError):
        return False


def examine(text: str, policy: Policy, eras: list[Era], require: str) -> Report:
    """Check a receipt and report on every check. `require`: empty, or the grade that the receipt must have.

    `eras`: the epochs since genesis, whose last one is the policy's; none where genesis is not known.
    """
    genesis = eras[-1].genesis if eras else None
    names = CHECKS + (GENESIS_CHECKS if genesis else ()) + (("grade",) if require else ())
    report = Report(names)
    try:
        parts = split(text)
        first = check_proof(parts[0], policy)
        if first.evidence is not None:
            raise Rejected("barring", "the first proof is the record's")
    except Rejected as error:
        _report_rejection(report, error)
        return report
    further = check_further(first, parts[1:], policy, eras)
    _report_first(report, first, policy, len(parts))
    _report_grade(report, first, further, policy, require)
    bind = _report_owner(report, first, further, genesis)
    if genesis:
        _report_genesis(report, first, bind, policy, genesis)
    return report


def _report_rejection(report: Report, error: Rejected) -> None:
    """Everything before the failed check held; what comes after was not looked at."""
    failed = _CHECK_OF_FAULT[error.fault.partition(".")[0]]
    for name in report.names:
        if name == failed:
            report.say(name, Result.FAILED, f"{error.detail} ({error.fault})")
            return
        report.say(name, Result.OK, "")


def _report_first(report: Report, first: Proof, policy: Policy, proofs: int) -> None:
    entry, checkpoint, record = first.entry, first.checkpoint, first.record
    report.say("form", Result.OK, f"{proofs} proof{'s' * (proofs > 1)} of entry {entry.index}")
    report.say("checkpoint", Result.OK, f"{policy.origin}, size {checkpoint.size}; every known signature holds")
    report.say("inclusion", Result.OK, f"leaf {first.leaf.hex()[:16]} stands at index {entry.index}: {entry.outcome}")
    if record is None:
        report.say("record", Result.OK, f"a derived entry of kind {entry.system['kind']}: no record")
        report.say("signature", Result.OK, "a derived entry: nobody signs it, the members' signatures vouch for it")
        return
    report.say("record", Result.OK, f"{record.kind} of {record.author}, id {record.id}")
    report.say("signature", Result.OK, f"signed by key {record.kid}")


def _report_grade(report: Report, first: Proof, further: Further, policy: Policy, require: str) -> None:
    """How firmly the entry stands, and without whom."""
    try:
        if further.barring_fault:
            raise further.barring_fault
        grade = grade_without(first, policy, further.barrings)
    except Rejected as error:
        report.say("quorum", Result.FAILED, f"{error.detail} ({error.fault})")
        return
    signers = ", ".join(first.checkpoint.signers)
    said = [_barring_sentence(one, grade) for one in further.barrings]
    report.say("quorum", Result.OK, "\n".join([f"{grade}: cosigned by {signers}", *said]))
    if require:
        is_enough = GRADES.index(grade) >= GRADES.index(require)
        report.say("grade", Result.OK if is_enough else Result.FAILED, f"{require} is asked, it is {grade}")


def _barring_sentence(barring: Barring, grade: str) -> str:
    if not barring.is_verified:
        return f"evidence against {barring.culprit} was NOT CHECKED: votes are verified with --genesis"
    if grade == "committed":
        return f"{barring.culprit} does not count: it {OFFENCES[barring.offence]}"
    return f"sealed by all but {barring.culprit}, who was caught: it {OFFENCES[barring.offence]}"


def _report_owner(report: Report, first: Proof, further: Further, genesis: Genesis | None) -> Record | None:
    """Settle whose key it is; returns the bind that tells, where one does."""
    record = first.record
    if record is None:
        report.say("owner", Result.OK, "a derived entry has no author")
        return None
    try:
        if further.bind_fault:
            raise further.bind_fault
        if further.bind:
            report.say("owner", Result.OK, f"key bound to {record.author} by entry {further.bind.entry.index}")
            return further.bind.record
        if binds_itself(first):
            report.say("owner", Result.OK, f"this record binds the key to {record.author}")
            return record
    except Rejected as error:
        report.say("owner", Result.FAILED, f"{error.detail} ({error.fault})")
        return None
    if genesis and genesis.officers.get(record.kid, ("",))[0] == record.author:
        report.say("owner", Result.OK, f"genesis names this device of {record.author}")
    else:
        report.say("owner", Result.NOT_CHECKED, f"signed by key {record.kid}; there is no proof whose it is")
    return None


def _report_genesis(report: Report, first: Proof, bind: Record | None, policy: Policy, genesis: Genesis) -> None:
    try:
        check_policy(policy, genesis)
        if first.record and first.record.payload["estate"] != genesis.estate:
            raise Rejected("genesis", "the record is for another estate or another genesis")
        report.say("genesis", Result.OK, f"policy and estate fit; fingerprint {genesis.fingerprint}")
    except Rejected as error:
        report.say("genesis", Result.FAILED, error.detail)
    if bind is None:
        is_settled = report.result("owner") is Result.OK
        result = Result.OK if is_settled else Result.NOT_CHECKED
        report.say("attestations", result, "none is needed" if is_settled else "the owner was not established")
        return
    try:
        count = check_attestations(genesis, bind.author, bind.kid, bind.payload["body"])
        report.say("attestations", Result.OK, f"{count} organisation{'s' * (count > 1)} attested the owner")
    except Rejected as error:
        report.say("attestations", Result.FAILED, error.detail)
