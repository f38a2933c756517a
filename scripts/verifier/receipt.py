"""Receipts (DESIGN.md 2.5): that an entry stands in the log, who signed it, and that the key was the author's."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from verifier.checkpoint import Checkpoint, check_checkpoint
from verifier.encoding import INTEGER_MAX, Rejected, parse_canonical, unb64
from verifier.genesis import Genesis, check_attestations, check_policy
from verifier.merkle import check_inclusion, leaf_hash
from verifier.policy import GRADES, Policy
from verifier.record import ACCEPTED, BIND_KIND, Entry, Record, parse_entry, parse_record
from verifier.report import Report, Result
from verifier.signatures import is_device_signature, point_of, thumbprint

T = TypeVar("T")
VERSION = "c2sp.org/tlog-proof@v1"
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
}


@dataclass(frozen=True)
class Proof:
    """An entry proven to stand in the log; a derived entry has no record."""

    entry: Entry
    leaf: bytes
    checkpoint: Checkpoint
    record: Record | None


def split(text: str) -> list[str]:
    """The one or two proofs of a receipt file; Rejected with fault `form`."""
    parts = text.split("\n---\n")
    if len(parts) > 2:
        raise Rejected("form", "more than two proofs")
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
    device_key, data = _parse_extra(unb64(extra.removeprefix("extra "), "form"))
    entry = parse_entry(data)
    if entry.index != int(found[1]):
        raise Rejected("index", "the entry says another index")
    checkpoint = _within("checkpoint", lambda: check_checkpoint(note, policy))
    leaf = leaf_hash(data)
    check_inclusion(leaf, entry.index, checkpoint.size, hashes, checkpoint.root)
    if not checkpoint.grade:
        raise Rejected("not_committed", f"cosigned by {', '.join(checkpoint.signers) or 'nobody'} only")
    return Proof(entry, leaf, checkpoint, None if entry.system else _check_record(entry.record, device_key))


def _within(fault: str, action: Callable[[], T]) -> T:
    try:
        return action()
    except Rejected as error:
        raise Rejected(f"{fault}.{error.fault}", error.detail) from None


def _parse_extra(extra: bytes) -> tuple[object, bytes]:
    value = parse_canonical(extra, "extra")
    if not isinstance(value, dict) or not isinstance(value.get("entry"), str) or value.keys() - {"device_key", "entry"}:
        raise Rejected("extra", "not device_key and entry")
    return value.get("device_key"), value["entry"].encode()


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


def examine(text: str, policy: Policy, genesis: Genesis | None, require: str) -> Report:
    """Check a receipt and report on every check. `require`: empty, or the grade that the receipt must have."""
    names = CHECKS + (GENESIS_CHECKS if genesis else ()) + (("grade",) if require else ())
    report = Report(names)
    try:
        parts = split(text)
        first = check_proof(parts[0], policy)
    except Rejected as error:
        _report_rejection(report, error)
        return report
    _report_first(report, first, policy, len(parts), require)
    bind = _report_owner(report, first, parts[1:], policy, genesis)
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


def _report_first(report: Report, first: Proof, policy: Policy, proofs: int, require: str) -> None:
    entry, checkpoint, record = first.entry, first.checkpoint, first.record
    signers = ", ".join(checkpoint.signers)
    report.say("form", Result.OK, f"{proofs} proof{'s' * (proofs > 1)} of entry {entry.index}")
    report.say("checkpoint", Result.OK, f"{policy.origin}, size {checkpoint.size}; every known signature holds")
    report.say("inclusion", Result.OK, f"leaf {first.leaf.hex()[:16]} stands at index {entry.index}: {entry.outcome}")
    report.say("quorum", Result.OK, f"{checkpoint.grade}: cosigned by {signers}")
    if require:
        is_enough = GRADES.index(checkpoint.grade) >= GRADES.index(require)
        report.say("grade", Result.OK if is_enough else Result.FAILED, f"{require} is asked, it is {checkpoint.grade}")
    if record is None:
        report.say("record", Result.OK, f"a derived entry of kind {entry.system['kind']}: no record")
        report.say("signature", Result.OK, "a derived entry: nobody signs it, the members' signatures vouch for it")
        return
    report.say("record", Result.OK, f"{record.kind} of {record.author}, id {record.id}")
    report.say("signature", Result.OK, f"signed by key {record.kid}")


def _report_owner(
    report: Report, first: Proof, rest: list[str], policy: Policy, genesis: Genesis | None
) -> Record | None:
    """Settle whose key it is; returns the bind that tells, where one does."""
    record = first.record
    if record is None:
        report.say("owner", Result.OK, "a derived entry has no author")
        return None
    try:
        if rest:
            second = check_proof(rest[0], policy)
            check_binding(first, second)
            report.say("owner", Result.OK, f"key bound to {record.author} by entry {second.entry.index}")
            return second.record
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
