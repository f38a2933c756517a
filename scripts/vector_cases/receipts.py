"""Receipts in C2SP form: proofs under a checkpoint, and the bind that ties a record to its owner."""

from collections.abc import Callable
from typing import Any

from samples import (
    ACCEPTED_RECORD,
    BIND_LI,
    BIND_OLD,
    BIND_REFUSED,
    BIND_WANG,
    ESTATE,
    GENESIS_BYTES,
    LI,
    MEMBERS,
    OFFICER,
    OFFICERS_RECORD,
    OLD_PHONE,
    ORIGIN,
    POLICY_TEXT,
    REFUSED_RECORD,
    SEAL,
    STRANGERS_RECORD,
    WANG,
    ZHAO,
    SampleLedger,
    bind_body,
    bind_record,
    payload,
    sample_ledger,
)
from server.ledger.block import ACCEPTED
from server.ledger.checkpoint import b64_decode, b64_encode
from server.ledger.policy import parse_policy
from server.ledger.receipt import BIND_KIND, receipt_text, verify_receipt
from server.record.canonical import b64u_encode
from server.record.envelope import sign_record
from vector_cases import barrings
from vector_cases.barrings import sample_convict
from vector_cases.case import Case, bad, changed, good, respelled, vector_file
from vector_cases.checkpoints import bent, old_street_line


def files() -> dict[str, dict[str, Any]]:
    """This family's files by name."""
    ledger, policies = sample_ledger(), {"now": POLICY_TEXT}
    cases = [*_good_receipts(ledger), *_bad_proofs(ledger), *_bad_bindings(ledger), *barrings.cases()]
    return {
        "receipts.json": vector_file(
            "Receipts under a policy (DESIGN.md 2.5).",
            cases,
            policies=policies,
            estate=ESTATE,
            genesis=GENESIS_BYTES.decode(),
        )
    }


def _good_receipts(ledger: SampleLedger) -> list[Case]:
    bind, two = ledger.proof(BIND_LI, LI.public), ("owners", "street")
    old = old_street_line(ledger.checkpoint())
    texts = {
        "sealed": receipt_text(ledger.proof(ACCEPTED_RECORD, LI.public), bind),
        "committed": receipt_text(ledger.proof(ACCEPTED_RECORD, LI.public, two), bind),
        "a refusal": receipt_text(ledger.proof(REFUSED_RECORD, LI.public), bind),
        "one proof only: the owner is not checked": ledger.proof(ACCEPTED_RECORD, LI.public),
        "a bind proves its owner itself": bind,
        "a refused bind proves no owner": ledger.proof(BIND_REFUSED, ZHAO.public),
        "an officer: only genesis knows the key": ledger.proof(OFFICERS_RECORD, OFFICER.public),
        "a derived entry, which nobody signs": ledger.proof(SEAL, None),
        "an unknown key's line is ignored": receipt_text(
            ledger.proof(ACCEPTED_RECORD, LI.public) + f"\u2014 witness.example/w1 {b64_encode(bytes(76))}\n", bind
        ),
        "a line of the epoch before is ignored": ledger.proof(BIND_LI, LI.public, ("owners", "property")) + old,
    }
    return [_good_receipt(name, text) for name, text in texts.items()]


def _good_receipt(name: str, text: str) -> Case:
    verified = verify_receipt(text, parse_policy(POLICY_TEXT), ESTATE, convict=sample_convict)
    proven = verified.proven
    members: dict[str, Any] = {
        "grade": verified.grade.value,
        "owner_checked": verified.owner_checked,
        "index": proven.entry.index,
        "outcome": proven.entry.outcome,
    }
    if proven.envelope is not None:
        members |= {"id": proven.envelope.id, "kid": proven.envelope.kid, "author": proven.envelope.payload.author}
    return good(name, policy="now", receipt=text, **members)


def _bad_proofs(ledger: SampleLedger) -> list[Case]:
    text = ledger.proof(ACCEPTED_RECORD, LI.public)
    lines = text.split("\n")
    size, root = len(ledger.entries), b64_encode(ledger.root(len(ledger.entries)))
    last = text.rstrip("\n").split("\n")[-1]
    old = old_street_line(ledger.checkpoint())
    path = "\n".join(lines[3:7])
    cases = {
        "another version": ("form", changed(text, "@v1", "@v2")),
        "no extra data": ("form", changed(text, lines[1] + "\n", "")),
        "an index with a leading zero": ("form", changed(text, "index 5", "index 05")),
        "a hash that is not base64": ("form", changed(text, lines[3], "?" + lines[3][1:])),
        "three proofs of one record": ("binding", "---\n".join([text] * 3)),
        "nineteen proofs": ("form", "---\n".join([text] * 19)),
        "line ends of another system": ("form", text.replace("\n", "\r\n")),
        "nothing": ("form", ""),
        "a record alone": ("form", ledger.entries[ACCEPTED_RECORD].decode()),
        "trailing bits of a hash": ("form", changed(text, lines[3], respelled(lines[3]))),
        "trailing bits of the extra data": ("form", changed(text, lines[1], respelled(lines[1]))),
        "extra data in another spelling": ("extra", _with_extra(text, lambda extra: extra.replace(b":", b": ", 1))),
        "extra data with another member": ("extra", _with_extra(text, lambda extra: b'{"a":1,' + extra[1:])),
        "extra data without an entry": ("extra", _with_extra(text, lambda _: b"{}")),
        "an entry in another spelling": (
            "entry",
            _with_extra(text, lambda extra: _changed_bytes(extra, b'{\\"', b'{ \\"')),
        ),
        "an entry with another member": (
            "entry",
            _with_extra(text, lambda e: _changed_bytes(e, b'{\\"', b'{\\"a\\":1,\\"')),
        ),
        "another index": ("index", changed(text, "index 5", "index 6")),
        "another outcome": ("not_in_tree", _with_extra(text, lambda e: _changed_bytes(e, b"accepted", b"refused"))),
        "another time": ("not_in_tree", _with_extra(text, lambda e: _changed_bytes(e, b"90000002000", b"90000002001"))),
        "a proof too short": ("not_in_tree", changed(text, lines[3] + "\n", "")),
        "a proof too long": ("not_in_tree", changed(text, lines[3], f"{lines[3]}\n{lines[3]}")),
        "steps exchanged": ("not_in_tree", changed(text, path, "\n".join([lines[4], lines[3], *lines[5:7]]))),
        "a step of 31 bytes": ("not_in_tree", changed(text, lines[3], b64_encode(bytes(31)))),
        "another origin": ("checkpoint.origin", changed(text, f"\n{ORIGIN}\n", "\nlinli.example/other\n")),
        "an extension line": ("checkpoint.extension_line", changed(text, root, f"{root}\nextension")),
        "a size with a leading zero": ("checkpoint.size", changed(text, f"\n{size}\n", f"\n0{size}\n")),
        "a signer twice": ("checkpoint.signer_twice", text + last + "\n"),
        "a known key's bad signature": ("checkpoint.signature", bent(text, last, lambda blob: blob[:-1] + b"\x00")),
        "one cosignature only": ("not_committed", ledger.proof(ACCEPTED_RECORD, LI.public, ["owners"])),
        "a line of the epoch before does not count": (
            "not_committed",
            ledger.proof(ACCEPTED_RECORD, LI.public, ["owners"]) + old,
        ),
        "a device key that is not the kid's": ("device_key", ledger.proof(ACCEPTED_RECORD, WANG.public)),
        "no device key": ("device_key", ledger.proof(ACCEPTED_RECORD, None)),
    }
    made = [bad(name, reason, policy="now", receipt=receipt) for name, (reason, receipt) in cases.items()]
    forged = ("device_signature", _forged(ledger))
    two_of_three = ledger.proof(ACCEPTED_RECORD, LI.public, ("owners", "street"))
    return [
        *made,
        bad("a record that the device did not sign", forged[0], policy="now", receipt=forged[1]),
        bad("2 of 3 labelled sealed", "not_sealed", policy="now", receipt=two_of_three, require="sealed"),
    ]


def _with_extra(text: str, change: Callable[[bytes], bytes]) -> str:
    extra = text.split("\n")[1].removeprefix("extra ")
    return changed(text, extra, b64_encode(change(b64_decode(extra))))


def _changed_bytes(data: bytes, old: bytes, new: bytes) -> bytes:
    assert old in data, old
    return data.replace(old, new, 1)


def _forged(ledger: SampleLedger) -> str:
    """All members have signed a log with a record that its device did not sign: a lie that phones must notice."""
    record = ledger.entries[ACCEPTED_RECORD].decode().split('"record":"')[1].split('"')[0]
    head = record.rpartition(".")[0]
    lying = _grown(ledger, f"{head}.{b64u_encode(WANG.sign(head.encode()))}")
    return lying.proof(len(ledger.entries), LI.public)


def _bad_bindings(ledger: SampleLedger) -> list[Case]:
    record = ledger.proof(ACCEPTED_RECORD, LI.public)
    strangers = ledger.proof(STRANGERS_RECORD, ZHAO.public)
    weak = ledger.proof(BIND_LI, LI.public, ["owners"])
    pairs = {
        "the bind of another member": ("binding", record, ledger.proof(BIND_WANG, WANG.public)),
        "the bind of another key of the member": ("binding", record, ledger.proof(BIND_OLD, OLD_PHONE.public)),
        "the same key bound to another member": (
            "binding",
            *_after_lie(ledger, bind_record(LI, "m-wang", label="lie")),
        ),
        "a bind that names another key than it is signed by": ("binding", *_after_lie(ledger, _misnamed_bind())),
        "a refused bind": ("binding", strangers, ledger.proof(BIND_REFUSED, ZHAO.public)),
        "a second proof that is no bind": ("binding", record, ledger.proof(REFUSED_RECORD, LI.public)),
        "a derived entry for a bind": ("binding", record, ledger.proof(SEAL, None)),
        "a bind after the record": ("binding", ledger.proof(ACCEPTED_RECORD, LI.public), _late_bind(ledger)),
        "a bind that is not committed": ("not_committed", record, weak),
        "a bind whose proof does not hold": ("not_in_tree", record, changed(weak, weak.split("\n")[3] + "\n", "")),
    }
    return [
        bad(name, reason, policy="now", receipt=receipt_text(first, second))
        for name, (reason, first, second) in pairs.items()
    ]


def _late_bind(ledger: SampleLedger) -> str:
    """A second, later bind of the same key by the same member."""
    later = _grown(ledger, bind_record(LI, "m-li", label="bind again"))
    return later.proof(len(ledger.entries), LI.public)


def _after_lie(ledger: SampleLedger, bind: str) -> tuple[str, str]:
    """Proofs of a record of Li and of a false bind before it; no honest member would have accepted that bind."""
    said = payload("device.revoke", "m-li", {"revoked": OLD_PHONE.kid}, "after a lie")
    later = _grown(_grown(ledger, bind), sign_record(LI, said))
    return later.proof(len(later.entries) - 2, LI.public), later.proof(len(ledger.entries), LI.public)


def _misnamed_bind() -> str:
    body = bind_body(LI, "m-li", MEMBERS) | {"device_key": bind_body(WANG, "m-li", MEMBERS)["device_key"]}
    return sign_record(LI, payload(BIND_KIND, "m-li", body, "misnamed"))


def _grown(ledger: SampleLedger, record: str) -> SampleLedger:
    """The ledger with one more block."""
    grown = SampleLedger(list(ledger.entries), list(ledger.boundaries), ledger.tip, ledger.digest)
    grown.add_block([(record, ACCEPTED)])
    return grown
