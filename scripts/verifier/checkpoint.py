"""Checkpoints (c2sp.org/tlog-checkpoint) with the log's line and the members' cosignatures, checked under a policy."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from verifier.encoding import HASH_BYTES, INTEGER_MAX, Rejected, b64, unb64
from verifier.policy import COSIGNATURE_TYPE, KEY_ID_BYTES, Key, Policy
from verifier.signatures import SIGNATURE_BYTES, is_member_signature

LINES_MAX = 64
TIME_BYTES = 8
_LINE = re.compile("\u2014 ([^\\s+]+) (\\S+)")


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint whose signatures hold: `signers` are witnesses of the policy, `times` the seconds they stated."""

    size: int
    root: bytes
    times: dict[str, int]
    grade: str

    @property
    def signers(self) -> list[str]:
        """Names of the witnesses that signed, sorted."""
        return sorted(self.times)


def check_checkpoint(note: str, policy: Policy) -> Checkpoint:
    """Take a note apart and check every line of a known key; Rejected with a code of schemas/vectors.

    A log of the policy must have signed (tlog-policy). Whether the cosignatures suffice is `grade`.
    """
    text, blank, lines = note.rpartition("\n\n")
    if not blank or not note.endswith("\n") or re.search(r"[\x00-\x09\x0b-\x1f]", note):
        raise Rejected("note_form", "not a signed note")
    size, root = _parse_text(text, policy.origin)
    signed = _check_lines(lines[:-1].split("\n"), text + "\n", [*policy.logs, *policy.witnesses.values()])
    if not any(log in signed for log in policy.logs):
        raise Rejected("log_signature_missing", "no log of the policy has signed")
    times = {name: signed[key] for name, key in policy.witnesses.items() if key in signed}
    return Checkpoint(size, root, times, policy.grade(times))


def _parse_text(text: str, origin: str) -> tuple[int, bytes]:
    name, *rest = text.split("\n")
    if name != origin:
        raise Rejected("origin", f"of another log: {name[:100]!r}")
    if not rest or not re.fullmatch(r"0|[1-9][0-9]{0,15}", rest[0]) or int(rest[0]) > INTEGER_MAX:
        raise Rejected("size", "the tree size is not a plain number")
    if len(rest) < 2:
        raise Rejected("note_form", "the root is missing")
    if len(rest) > 2:
        raise Rejected("extension_line", "lines after the root: cosignatures say nothing about them")
    root = unb64(rest[1], "root")
    if len(root) != HASH_BYTES:
        raise Rejected("root", "the root is not 32 bytes")
    return int(rest[0]), root


def _check_lines(lines: list[str], text: str, keys: Iterable[Key]) -> dict[Key, int]:
    known = {(key.name, key.id): key for key in keys}
    signed: dict[Key, int] = {}
    if len(lines) > LINES_MAX:
        raise Rejected("signature_line", "too many signature lines")
    parsed = [_parse_line(line) for line in lines]
    for name, blob in parsed:
        key = known.get((name, blob[:KEY_ID_BYTES]))
        if key is None:
            continue  # signed-note: lines of unknown keys are ignored
        if key in signed:
            raise Rejected("signer_twice", f"two lines of {name}")
        signed[key] = _check_line(key, blob, text)
    return signed


def _parse_line(line: str) -> tuple[str, bytes]:
    found = _LINE.fullmatch(line)
    if found is None:
        raise Rejected("signature_line", "not a signature line")
    return found[1], unb64(found[2], "signature_line")


def _check_line(key: Key, blob: bytes, text: str) -> int:
    """Returns the stated time in seconds, 0 for a log's line."""
    is_cosignature = key.typed[0] == COSIGNATURE_TYPE
    begin = KEY_ID_BYTES + (TIME_BYTES if is_cosignature else 0)
    if len(blob) != begin + SIGNATURE_BYTES:
        raise Rejected("signature_length", f"the signature of {key.name} has another length")
    time = int.from_bytes(blob[KEY_ID_BYTES:begin], "big")
    message = f"cosignature/v1\ntime {time}\n{text}" if is_cosignature else text
    if time >= 2**63 or not is_member_signature(key.typed[1:], message.encode(), blob[begin:]):
        raise Rejected("signature", f"the signature of {key.name} does not hold")
    return time


def size_of(text: str) -> int:
    """The size of the log that a checkpoint says, or the first one of a receipt; 0 for none. Nothing is checked."""
    found = re.search(r"(?:^|\n\n)[^\n]+\n([0-9]{1,16})\n", text)
    return int(found[1]) if found else 0


def open_cosigned(note: str, origin: str, witnesses: dict[str, Key]) -> tuple[int, bytes, set[str]]:
    """Size, root and the witnesses that signed; no log's own line is asked for. Rejected."""
    text, blank, lines = note.rpartition("\n\n")
    if not blank or not note.endswith("\n") or re.search(r"[\x00-\x09\x0b-\x1f]", note):
        raise Rejected("note_form", "not a signed note")
    size, root = _parse_text(text, origin)
    signed = _check_lines(lines[:-1].split("\n"), text + "\n", witnesses.values())
    return size, root, {name for name, key in witnesses.items() if key in signed}


def members_that_signed(origin: str, size: int, root: bytes, lines: list[str], witnesses: dict[str, Key]) -> set[str]:
    """Witnesses whose cosignature lines over (size, root) stand here and hold; Rejected when one does not."""
    text = f"{origin}\n{size}\n{b64(root)}\n"
    signed = _check_lines(lines, text, witnesses.values())
    return {name for name, key in witnesses.items() if key in signed}
