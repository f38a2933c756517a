"""C2SP texts: policies, checkpoints and receipts, and genesis, from which the policy follows."""

import re
from collections.abc import Callable
from typing import Any

from samples import (
    ACCEPTED_RECORD,
    BIND_LI,
    BIND_OLD,
    BIND_REFUSED,
    BIND_WANG,
    CLUSTER_ID,
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
    node_seed,
    node_signer,
    payload,
    sample_cosign_line,
    sample_ledger,
    sample_log_line,
)
from server.ledger.block import ACCEPTED
from server.ledger.checkpoint import (
    TYPE_COSIGNATURE,
    TYPE_LOG,
    Checkpoint,
    VerifierKey,
    b64_decode,
    b64_encode,
    cosigner_name,
    note_of,
)
from server.ledger.policy import parse_policy, verify_checkpoint
from server.ledger.receipt import BIND_KIND, receipt_text, verify_receipt
from server.record.canonical import b64u_encode
from server.record.envelope import sign_record
from vector_cases.case import Case, bad, good, respelled, vector_file
from vector_cases.curve_edges import odd_signatures

ONE_WITNESS = VerifierKey(cosigner_name(ORIGIN, "property"), TYPE_COSIGNATURE, node_signer("property", "cosign").public)
OTHER_LOG = VerifierKey("linli.example/other", TYPE_LOG, node_signer("street", "log of another estate").public)
OLD_STREET = node_signer("street", "cosign of the epoch before")


def files() -> dict[str, dict[str, Any]]:
    """This family's files by name."""
    ledger = sample_ledger()
    policies = {"now": POLICY_TEXT}
    checkpoints = [*_good_checkpoints(ledger), *_bad_checkpoints(ledger)]
    receipts = [*_good_receipts(ledger), *_bad_proofs(ledger), *_bad_bindings(ledger)]
    return {
        "genesis.json": vector_file("What follows from genesis.json (DESIGN.md 2.3).", _genesis()),
        "policies.json": vector_file("Policy files (c2sp.org/tlog-policy).", [*_good_policies(), *_bad_policies()]),
        "checkpoints.json": vector_file("Checkpoints under a policy (DESIGN.md 2.5).", checkpoints, policies=policies),
        "receipts.json": vector_file(
            "Receipts under a policy (DESIGN.md 2.5).", receipts, policies=policies, estate=ESTATE
        ),
    }


def _genesis() -> list[Case]:
    text, a_key = GENESIS_BYTES.decode(), b64u_encode(node_signer("street", "cosign").public)
    return [
        good(
            "three organisations",
            text=text,
            cluster_id=b64u_encode(CLUSTER_ID),
            estate=ESTATE,
            policy=POLICY_TEXT,
        ),
        bad("another spelling", "genesis", text=text.replace(":", ": ", 1)),
        bad("another member", "genesis", text='{"a":1,' + text[1:]),
        bad("trailing bits of a key", "genesis", text=_changed(text, a_key, respelled(a_key))),
        bad("a key of 31 bytes", "genesis", text=_changed(text, a_key, b64u_encode(bytes(31)))),
        bad("no members", "genesis", text=re.sub(r'"members":\[.*\],"mode"', '"members":[],"mode"', text)),
    ]


# ---------------------------------------------------------------- policies


def _good_policies() -> list[Case]:
    nested = POLICY_TEXT.replace("quorum committed", "group both any committed sealed\nquorum both")
    spaced = "# ours\n\n \t" + POLICY_TEXT.replace(" ", " \t ").replace("\n", " \n")
    single = POLICY_TEXT.replace("quorum committed", "quorum property")
    with_urls = re.sub(r"^((?:log|witness) .*)$", r"\1 https://node.example/", POLICY_TEXT, flags=re.MULTILINE)
    cases = []
    for name, text in (
        ("three organisations", POLICY_TEXT),
        ("comments and other spaces", spaced),
        ("addresses", with_urls),
        ("a group of groups", nested),
        ("one witness decides", single),
        ("no newline at the end", POLICY_TEXT.rstrip("\n")),
    ):
        policy = parse_policy(text)
        grades = [
            {"signers": list(signers), "grade": grade.value if (grade := policy.grade(signers)) else ""}
            for signers in ((), MEMBERS[:1], MEMBERS[1:2], MEMBERS[:2], MEMBERS)
        ]
        cases.append(good(name, policy=text, origin=policy.origin, witnesses=list(policy.witnesses), grades=grades))
    return cases


def _bad_policies() -> list[Case]:
    log, witness = POLICY_TEXT.split("\n")[0], f"witness property {ONE_WITNESS.text()}"
    ids = " ".join(MEMBERS)
    changes: dict[str, tuple[str, str]] = {
        "no quorum": ("quorum committed\n", ""),
        "two quorums": ("quorum committed\n", "quorum committed\nquorum committed\n"),
        "an undefined quorum": ("quorum committed", "quorum majority"),
        "a quorum of nobody": ("quorum committed", "quorum none"),
        "a threshold above the members": ("committed 2 ", "committed 4 "),
        "a threshold of zero": ("committed 2 ", "committed 0 "),
        "a threshold with a leading zero": ("committed 2 ", "committed 02 "),
        "a threshold in words": ("committed 2 ", "committed two "),
        "an undefined member": (f"committed 2 {ids}", f"committed 2 {ids} nobody"),
        "a member twice": (f"committed 2 {ids}", f"committed 2 {ids} street"),
        "a group without members": (f"committed 2 {ids}", "committed 1"),
        "a group used before it is defined": ("group committed 2", "group committed 2 sealed"),
        "a name twice": ("group sealed", "group committed"),
        "the name none": ("group sealed", "group none"),
        "a log twice": (log, f"{log}\n{log}"),
        "a witness twice": (witness, f"{witness}\n{witness.replace('witness property', 'witness again')}"),
        "an unknown line": ("quorum committed", "threshold 2\nquorum committed"),
        "a key of another type": (witness, f"witness property {log.removeprefix('log ')}"),
        "a key id that does not fit": (ONE_WITNESS.id.hex(), "00000000"),
        "another name of the key": (f"{ORIGIN}/property+", f"{ORIGIN}/someone+"),
        "another name of the log's key": (log, log.replace(ORIGIN, ORIGIN + "/x")),
        "a log of another origin": (log, f"log {OTHER_LOG.text()}"),
        "a control character": ("quorum committed", "quorum\x0bcommitted"),
        "a line end of another system": ("quorum committed\n", "quorum committed\r\n"),
    }
    cases = [bad(name, "policy", policy=_changed(POLICY_TEXT, *change)) for name, change in changes.items()]
    without_logs = re.sub(r"^log .*\n", "", POLICY_TEXT, flags=re.MULTILINE)
    return [*cases, bad("nothing", "policy", policy=""), bad("no log", "policy", policy=without_logs)]


def _changed(text: str, old: str, new: str) -> str:
    assert old in text, old
    return text.replace(old, new, 1)


# ---------------------------------------------------------------- checkpoints


def _good_checkpoints(ledger: SampleLedger) -> list[Case]:
    note, checkpoint = ledger.note(), ledger.checkpoint()
    stranger = f"\u2014 witness.example/w1 {b64_encode(bytes(range(76)))}\n"
    later = f"\u2014 {cosigner_name(ORIGIN, 'street')} {b64_encode(bytes(4 + 8 + 2420))}\n"
    old = sample_cosign_line(checkpoint, "street", OLD_STREET) + "\n"
    empty = Checkpoint(ORIGIN, 0, SampleLedger().root(0))
    notes = {
        "sealed": note,
        "committed": ledger.note(["owners", "street"]),
        "one cosignature is no grade": ledger.note(["owners"]),
        "the log's line alone": ledger.note([]),
        "an unknown key is ignored": note + stranger,
        "an unknown key twice is ignored": note + stranger + stranger,
        "another type of key under a known name is ignored": ledger.note(["owners", "property"]) + later,
        "a key of the epoch before is ignored": ledger.note(["owners", "property"]) + old,
        "lines of two logs": note + sample_log_line(checkpoint, "owners") + "\n",
        "an empty log": note_of(empty, [sample_log_line(empty), sample_cosign_line(empty, "street")]),
    }
    return [_good_checkpoint(name, text) for name, text in notes.items()]


def _good_checkpoint(name: str, note: str) -> Case:
    verified = verify_checkpoint(note, parse_policy(POLICY_TEXT))
    said = verified.checkpoint
    members = {"size": said.size, "root": said.root.hex(), "signers": sorted(verified.cosigned)}
    return good(name, policy="now", note=note, **members, grade=verified.grade.value if verified.grade else "")


def _bad_checkpoints(ledger: SampleLedger) -> list[Case]:
    note, size, root = ledger.note(), len(ledger.entries), b64_encode(ledger.root(len(ledger.entries)))
    lines = note.split("\n\n")[1].splitlines()
    another, stranger = ledger.checkpoint(ledger.boundaries[0]), "\u2014 witness.example/w1"
    other_origin = Checkpoint("linli.example/other", size, ledger.root(size))
    endless = Checkpoint(ORIGIN, 2**53, ledger.root(size))
    cases = {
        "another origin": ("origin", _changed(note, ORIGIN, "linli.example/other")),
        "another log, signed": ("origin", note_of(other_origin, [sample_cosign_line(other_origin, "street")])),
        "an extension line": ("extension_line", _changed(note, root, f"{root}\nextension")),
        "a leading zero": ("size", _changed(note, f"\n{size}\n", f"\n0{size}\n")),
        "a negative size": ("size", _changed(note, f"\n{size}\n", f"\n-{size}\n")),
        "a plus sign": ("size", _changed(note, f"\n{size}\n", f"\n+{size}\n")),
        "a space after the size": ("size", _changed(note, f"\n{size}\n", f"\n{size} \n")),
        "a size of 2^53, signed": ("size", note_of(endless, [sample_log_line(endless)])),
        "a size in other digits": ("size", _changed(note, f"\n{size}\n", "\n\u0661\u0663\n")),
        "a root without padding": ("root", _changed(note, root, root.rstrip("="))),
        "trailing bits of the root": ("root", _changed(note, root, respelled(root))),
        "a root of 31 bytes": ("root", _changed(note, root, b64_encode(bytes(31)))),
        "no blank line": ("note_form", note.replace("\n\n", "\n")),
        "a control character": ("note_form", note + f"\u2014 witness\x01.example {b64_encode(bytes(76))}\n"),
        "no newline at the end": ("note_form", note.rstrip("\n")),
        "line ends of another system": ("note_form", note.replace("\n", "\r\n")),
        "no signatures": ("signature_line", note.split("\n\n")[0] + "\n\n"),
        "a hyphen for the dash": ("signature_line", note.replace("\u2014", "-")),
        "two spaces in a line": ("signature_line", _changed(note, "\u2014 ", "\u2014  ")),
        "trailing bits of the log's line": ("signature_line", _changed(note, lines[0], respelled(lines[0]))),
        "trailing bits of a cosignature": ("signature_line", _changed(note, lines[-1], respelled(lines[-1]))),
        "trailing bits of an unknown key's line": (
            "signature_line",
            note + respelled(f"{stranger} {b64_encode(bytes(76))}") + "\n",
        ),
        "a line that is not base64": ("signature_line", note + "\u2014 witness.example/w1 ?\n"),
        "a signer twice": ("signer_twice", note + lines[-1] + "\n"),
        "the log twice": ("signer_twice", note + lines[0] + "\n"),
        "a member twice, at two times": ("signer_twice", note + ledger.seal(size).body["signatures"][0] + "\n"),
        "a known key's signature is off by a bit": (
            "signature",
            _bent(note, lines[-1], lambda blob: blob[:-1] + b"\x00"),
        ),
        "a known key states another time": ("signature", _bent(note, lines[-1], _another_time)),
        "a known key's line is too short": ("signature_length", _bent(note, lines[-1], lambda blob: blob[:-1])),
        "a known key's line is too long": ("signature_length", _bent(note, lines[-1], lambda blob: blob + b"\x00")),
        "the log's signature is off by a bit": ("signature", _bent(note, lines[0], lambda blob: blob[:-1] + b"\x00")),
        "signatures of another size": ("signature", another.text() + "\n" + note.split("\n\n")[1]),
        "no line of the log": ("log_signature_missing", _changed(note, lines[0] + "\n", "")),
        **_with_odd_points(ledger, note, lines[-1]),
    }
    return [bad(name, reason, policy="now", note=text) for name, (reason, text) in cases.items()]


def _bent(note: str, line: str, bend: Callable[[bytes], bytes]) -> str:
    head, _, blob = line.rpartition(" ")
    return _changed(note, line, f"{head} {b64_encode(bend(b64_decode(blob)))}")


def _another_time(blob: bytes) -> bytes:
    return blob[:11] + bytes([blob[11] ^ 1]) + blob[12:]


def _with_odd_points(ledger: SampleLedger, note: str, line: str) -> dict[str, tuple[str, str]]:
    """The last member's signature as he alone can make it, with an odd R."""
    head, _, text = line.rpartition(" ")
    blob = b64_decode(text)
    message = f"cosignature/v1\ntime {int.from_bytes(blob[4:12])}\n{ledger.checkpoint().text()}".encode()
    odd = odd_signatures(node_seed(MEMBERS[-1], "cosign"), node_signer(MEMBERS[-1], "cosign").public, message)
    return {
        name: ("signature", _changed(note, line, f"{head} {b64_encode(blob[:12] + signature)}"))
        for name, signature in odd.items()
    }


# ---------------------------------------------------------------- receipts


def _good_receipts(ledger: SampleLedger) -> list[Case]:
    bind, two = ledger.proof(BIND_LI, LI.public), ("owners", "street")
    old = sample_cosign_line(ledger.checkpoint(), "street", OLD_STREET) + "\n"
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
    verified = verify_receipt(text, parse_policy(POLICY_TEXT), ESTATE)
    proven = verified.proven
    members: dict[str, Any] = {
        "grade": proven.grade.value,
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
    old = sample_cosign_line(ledger.checkpoint(), "street", OLD_STREET) + "\n"
    path = "\n".join(lines[3:7])
    cases = {
        "another version": ("form", _changed(text, "@v1", "@v2")),
        "no extra data": ("form", _changed(text, lines[1] + "\n", "")),
        "an index with a leading zero": ("form", _changed(text, "index 5", "index 05")),
        "a hash that is not base64": ("form", _changed(text, lines[3], "?" + lines[3][1:])),
        "three proofs": ("form", "---\n".join([text] * 3)),
        "line ends of another system": ("form", text.replace("\n", "\r\n")),
        "nothing": ("form", ""),
        "a record alone": ("form", ledger.entries[ACCEPTED_RECORD].decode()),
        "trailing bits of a hash": ("form", _changed(text, lines[3], respelled(lines[3]))),
        "trailing bits of the extra data": ("form", _changed(text, lines[1], respelled(lines[1]))),
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
        "another index": ("index", _changed(text, "index 5", "index 6")),
        "another outcome": ("not_in_tree", _with_extra(text, lambda e: _changed_bytes(e, b"accepted", b"refused"))),
        "another time": ("not_in_tree", _with_extra(text, lambda e: _changed_bytes(e, b"90000002000", b"90000002001"))),
        "a proof too short": ("not_in_tree", _changed(text, lines[3] + "\n", "")),
        "a proof too long": ("not_in_tree", _changed(text, lines[3], f"{lines[3]}\n{lines[3]}")),
        "steps exchanged": ("not_in_tree", _changed(text, path, "\n".join([lines[4], lines[3], *lines[5:7]]))),
        "a step of 31 bytes": ("not_in_tree", _changed(text, lines[3], b64_encode(bytes(31)))),
        "another origin": ("checkpoint.origin", _changed(text, f"\n{ORIGIN}\n", "\nlinli.example/other\n")),
        "an extension line": ("checkpoint.extension_line", _changed(text, root, f"{root}\nextension")),
        "a size with a leading zero": ("checkpoint.size", _changed(text, f"\n{size}\n", f"\n0{size}\n")),
        "a signer twice": ("checkpoint.signer_twice", text + last + "\n"),
        "a known key's bad signature": ("checkpoint.signature", _bent(text, last, lambda blob: blob[:-1] + b"\x00")),
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
    return _changed(text, extra, b64_encode(change(b64_decode(extra))))


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
        "a bind whose proof does not hold": ("not_in_tree", record, _changed(weak, weak.split("\n")[3] + "\n", "")),
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
