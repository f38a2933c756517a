"""C2SP checkpoints: signed notes that say how long the log is, and its root."""

from collections.abc import Callable
from typing import Any

from samples import (
    MEMBERS,
    ORIGIN,
    POLICY_TEXT,
    SampleLedger,
    node_seed,
    node_signer,
    sample_cosign_line,
    sample_ledger,
    sample_log_line,
)
from server.ledger.checkpoint import Checkpoint, b64_decode, b64_encode, cosigner_name, note_of
from server.ledger.policy import parse_policy, verify_checkpoint
from vector_cases.case import Case, bad, changed, good, respelled, vector_file
from vector_cases.curve_edges import odd_signatures

OLD_STREET = node_signer("street", "cosign of the epoch before")


def files() -> dict[str, dict[str, Any]]:
    """This family's files by name."""
    ledger, policies = sample_ledger(), {"now": POLICY_TEXT}
    cases = [*_good_checkpoints(ledger), *_bad_checkpoints(ledger)]
    return {"checkpoints.json": vector_file("Checkpoints under a policy (DESIGN.md 2.5).", cases, policies=policies)}


def old_street_line(checkpoint: Checkpoint) -> str:
    """A cosignature by the key that a member had in the epoch before."""
    return sample_cosign_line(checkpoint, "street", OLD_STREET) + "\n"


def _good_checkpoints(ledger: SampleLedger) -> list[Case]:
    note, checkpoint = ledger.note(), ledger.checkpoint()
    stranger = f"\u2014 witness.example/w1 {b64_encode(bytes(range(76)))}\n"
    later = f"\u2014 {cosigner_name(ORIGIN, 'street')} {b64_encode(bytes(4 + 8 + 2420))}\n"
    old = old_street_line(checkpoint)
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
        "another origin": ("origin", changed(note, ORIGIN, "linli.example/other")),
        "another log, signed": ("origin", note_of(other_origin, [sample_cosign_line(other_origin, "street")])),
        "an extension line": ("extension_line", changed(note, root, f"{root}\nextension")),
        "a leading zero": ("size", changed(note, f"\n{size}\n", f"\n0{size}\n")),
        "a negative size": ("size", changed(note, f"\n{size}\n", f"\n-{size}\n")),
        "a plus sign": ("size", changed(note, f"\n{size}\n", f"\n+{size}\n")),
        "a space after the size": ("size", changed(note, f"\n{size}\n", f"\n{size} \n")),
        "a size of 2^53, signed": ("size", note_of(endless, [sample_log_line(endless)])),
        "a size in other digits": ("size", changed(note, f"\n{size}\n", "\n\u0661\u0663\n")),
        "a root without padding": ("root", changed(note, root, root.rstrip("="))),
        "trailing bits of the root": ("root", changed(note, root, respelled(root))),
        "a root of 31 bytes": ("root", changed(note, root, b64_encode(bytes(31)))),
        "no blank line": ("note_form", note.replace("\n\n", "\n")),
        "a control character": ("note_form", note + f"\u2014 witness\x01.example {b64_encode(bytes(76))}\n"),
        "no newline at the end": ("note_form", note.rstrip("\n")),
        "line ends of another system": ("note_form", note.replace("\n", "\r\n")),
        "no signatures": ("signature_line", note.split("\n\n")[0] + "\n\n"),
        "a hyphen for the dash": ("signature_line", note.replace("\u2014", "-")),
        "two spaces in a line": ("signature_line", changed(note, "\u2014 ", "\u2014  ")),
        "trailing bits of the log's line": ("signature_line", changed(note, lines[0], respelled(lines[0]))),
        "trailing bits of a cosignature": ("signature_line", changed(note, lines[-1], respelled(lines[-1]))),
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
            bent(note, lines[-1], lambda blob: blob[:-1] + b"\x00"),
        ),
        "a known key states another time": ("signature", bent(note, lines[-1], _another_time)),
        "a known key's line is too short": ("signature_length", bent(note, lines[-1], lambda blob: blob[:-1])),
        "a known key's line is too long": ("signature_length", bent(note, lines[-1], lambda blob: blob + b"\x00")),
        "the log's signature is off by a bit": ("signature", bent(note, lines[0], lambda blob: blob[:-1] + b"\x00")),
        "signatures of another size": ("signature", another.text() + "\n" + note.split("\n\n")[1]),
        "no line of the log": ("log_signature_missing", changed(note, lines[0] + "\n", "")),
        **_with_odd_points(ledger, note, lines[-1]),
    }
    return [bad(name, reason, policy="now", note=text) for name, (reason, text) in cases.items()]


def bent(note: str, line: str, bend: Callable[[bytes], bytes]) -> str:
    """A note whose line carries another blob."""
    head, _, blob = line.rpartition(" ")
    return changed(note, line, f"{head} {b64_encode(bend(b64_decode(blob)))}")


def _another_time(blob: bytes) -> bytes:
    return blob[:11] + bytes([blob[11] ^ 1]) + blob[12:]


def _with_odd_points(ledger: SampleLedger, note: str, line: str) -> dict[str, tuple[str, str]]:
    """The last member's signature as he alone can make it, with an odd R."""
    head, _, text = line.rpartition(" ")
    blob = b64_decode(text)
    message = f"cosignature/v1\ntime {int.from_bytes(blob[4:12])}\n{ledger.checkpoint().text()}".encode()
    odd = odd_signatures(node_seed(MEMBERS[-1], "cosign"), node_signer(MEMBERS[-1], "cosign").public, message)
    return {
        name: ("signature", changed(note, line, f"{head} {b64_encode(blob[:12] + signature)}"))
        for name, signature in odd.items()
    }
