"""Checkpoints as C2SP texts: the note, the log's own line (0x01) and the members' cosignatures (0x04).

Strict where the specifications leave room: no extension lines, because cosignature/v1 says nothing about them; one
spelling of every number and base64 text; no signer twice. Sources: c2sp.org/signed-note, tlog-checkpoint,
tlog-cosignature. It must not know whose keys count: that is the policy's.
"""

from __future__ import annotations

import base64
import binascii
import enum
import re
from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Literal

import msgspec

from server.ledger.merkle import ProofError
from server.limits import INTEGER_MAX, KIB
from server.record.canonical import Malformed
from server.record.signature import MessageSigner, verify_node

TYPE_LOG: Literal[1] = 1
"""signed-note: Ed25519 over the note text."""
TYPE_COSIGNATURE: Literal[4] = 4
"""tlog-cosignature: Ed25519 over a time and the note text."""
KeyType = Literal[1, 4]
NOTE_BYTES_MAX = 128 * KIB
"""A note with sixteen post-quantum lines of strangers still fits (signed-note: at least 16 signatures)."""
SIGNATURES_MAX = 64
TIME_MAX = 2**63 - 1
"""tlog-cosignature: the latest time that a line may state."""
_HASH_BYTES = 32
_KEY_ID_BYTES = 4
_TIME_BYTES = 8
_SIGNATURE_BYTES = 64
_COUNT = re.compile(r"0|[1-9][0-9]{0,15}")
_LINE = re.compile(r"\u2014 ([^\s+]+) ([A-Za-z0-9+/]+={0,2})")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")


class CheckpointFault(enum.Enum):
    """What is wrong with a checkpoint; the same words as on the phone and in schemas/vectors."""

    NOTE_FORM = "note_form"
    ORIGIN = "origin"
    SIZE = "size"
    EXTENSION_LINE = "extension_line"
    ROOT = "root"
    SIGNATURE_LINE = "signature_line"
    SIGNER_TWICE = "signer_twice"
    SIGNATURE_LENGTH = "signature_length"
    SIGNATURE = "signature"
    LOG_SIGNATURE_MISSING = "log_signature_missing"


class CheckpointError(ProofError):
    """The checkpoint is not of its form, or a known key's signature does not hold."""

    def __init__(self, fault: CheckpointFault) -> None:
        super().__init__(fault.value)
        self.fault = fault


class Checkpoint(msgspec.Struct, frozen=True):
    """How large the log is and what it holds. `root` is 32 bytes."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """The note text that is signed: three lines, no extension (tlog-checkpoint)."""
        return f"{self.origin}\n{self.size}\n{b64_encode(self.root)}\n"


class SignatureLine(msgspec.Struct, frozen=True):
    """One signature line of a note; `blob` begins with the 4 bytes of the key id."""

    name: str
    blob: bytes


class Note(msgspec.Struct, frozen=True):
    """A parsed checkpoint whose signatures have not been checked yet."""

    checkpoint: Checkpoint
    lines: tuple[SignatureLine, ...]


class VerifierKey(msgspec.Struct, frozen=True):
    """A public key under the name that it signs with (signed-note: vkey)."""

    name: str
    type: KeyType
    public: bytes

    @property
    def id(self) -> bytes:
        """4 bytes that name key and type."""
        return key_id(self.name, self.type, self.public)

    def text(self) -> str:
        """`<name>+<hex key id>+<b64 of type and key>`."""
        return f"{self.name}+{self.id.hex()}+{b64_encode(bytes([self.type]) + self.public)}"


def key_id(name: str, key_type: int, public: bytes) -> bytes:
    """SHA-256(name || 0x0A || type || public key)[:4] (signed-note)."""
    return sha256(name.encode() + b"\n" + bytes([key_type]) + public).digest()[:_KEY_ID_BYTES]


def cosigner_name(origin: str, member: str) -> str:
    """The name under which a member cosigns."""
    return f"{origin}/{member}"


def cosign_line(signer: MessageSigner, origin: str, member: str, size: int, root: bytes, time_s: int) -> str:
    """A member's cosignature line over (size, root), without a line end. `time_s`: seconds since 1970."""
    return witness_line(signer, cosigner_name(origin, member), Checkpoint(origin, size, root), time_s)


def witness_line(signer: MessageSigner, name: str, checkpoint: Checkpoint, time_s: int) -> str:
    """The cosignature line of whoever signs under this name, without a line end. `time_s`: seconds since 1970."""
    key = VerifierKey(name, TYPE_COSIGNATURE, signer.public)
    return _line(name, key.id + time_s.to_bytes(_TIME_BYTES) + signer.sign(_cosigned_message(time_s, checkpoint)))


def log_line(signer: MessageSigner, origin: str, size: int, root: bytes) -> str:
    """A node's own line over (size, root), named as the origin, without a line end (decisions 11)."""
    key = VerifierKey(origin, TYPE_LOG, signer.public)
    return _line(origin, key.id + signer.sign(Checkpoint(origin, size, root).text().encode()))


def verify_cosign_line(public: bytes, origin: str, member: str, size: int, root: bytes, line: str) -> bool:
    """Is `line` this member's cosignature of (size, root)? False for every bad input."""
    key = VerifierKey(cosigner_name(origin, member), TYPE_COSIGNATURE, public)
    try:
        parsed = parse_line(line)
        if (parsed.name, parsed.blob[:_KEY_ID_BYTES]) != (key.name, key.id):
            return False
        _verify_line(key, parsed.blob, Checkpoint(origin, size, root))
    except CheckpointError:
        return False
    return True


def note_of(checkpoint: Checkpoint, lines: Iterable[str]) -> str:
    """The whole note: text, blank line, signature lines."""
    return checkpoint.text() + "\n" + "".join(line + "\n" for line in lines)


def parse_note(note: str, origin: str) -> Note:
    """Take a checkpoint of this log apart. Raises CheckpointError; says nothing yet about signatures."""
    text, separator, signatures = note.rpartition("\n\n")
    is_formed = len(note) <= NOTE_BYTES_MAX and separator and note.endswith("\n") and not _CONTROL.search(note)
    if not is_formed:
        raise CheckpointError(CheckpointFault.NOTE_FORM)
    checkpoint = _parse_text(text + "\n", origin)
    lines = signatures.split("\n")[:-1]
    if not 0 < len(lines) <= SIGNATURES_MAX:
        raise CheckpointError(CheckpointFault.SIGNATURE_LINE)
    return Note(checkpoint, tuple(parse_line(line) for line in lines))


def _parse_text(text: str, origin: str) -> Checkpoint:
    lines = text.split("\n")
    if lines[0] != origin:
        raise CheckpointError(CheckpointFault.ORIGIN)
    if len(lines) < 2 or not _COUNT.fullmatch(lines[1]) or int(lines[1]) > INTEGER_MAX:
        raise CheckpointError(CheckpointFault.SIZE)
    if len(lines) < 4:
        raise CheckpointError(CheckpointFault.NOTE_FORM)
    if len(lines) > 4:
        raise CheckpointError(CheckpointFault.EXTENSION_LINE)
    try:
        root = b64_decode(lines[2])
    except Malformed:
        raise CheckpointError(CheckpointFault.ROOT) from None
    if len(root) != _HASH_BYTES:
        raise CheckpointError(CheckpointFault.ROOT)
    return Checkpoint(origin, int(lines[1]), root)


def parse_line(line: str) -> SignatureLine:
    """One signature line, without its line end. Raises CheckpointError."""
    found = _LINE.fullmatch(line)
    if found is None:
        raise CheckpointError(CheckpointFault.SIGNATURE_LINE)
    try:
        return SignatureLine(found[1], b64_decode(found[2]))
    except Malformed:
        raise CheckpointError(CheckpointFault.SIGNATURE_LINE) from None


def note_line(line: SignatureLine) -> str:
    """A signature line as it stands in a note, without its line end."""
    return _line(line.name, line.blob)


def verify_lines(note: Note, keys: Sequence[VerifierKey]) -> dict[VerifierKey, int]:
    """Check every line of a known key; lines of unknown keys are ignored (signed-note).

    Returns the keys that signed with the second each stated (0 for a log line, which states none). Raises
    CheckpointError when a known key's line does not hold or comes twice.
    """
    known = {(key.name, key.id): key for key in keys}
    signed: dict[VerifierKey, int] = {}
    for line in note.lines:
        key = known.get((line.name, line.blob[:_KEY_ID_BYTES]))
        if key is None:
            continue
        if key in signed:
            raise CheckpointError(CheckpointFault.SIGNER_TWICE)
        signed[key] = _verify_line(key, line.blob, note.checkpoint)
    return signed


def _verify_line(key: VerifierKey, blob: bytes, checkpoint: Checkpoint) -> int:
    begin = _KEY_ID_BYTES + (_TIME_BYTES if key.type == TYPE_COSIGNATURE else 0)
    if len(blob) != begin + _SIGNATURE_BYTES:
        raise CheckpointError(CheckpointFault.SIGNATURE_LENGTH)
    time_s = int.from_bytes(blob[_KEY_ID_BYTES:begin])
    is_cosignature = key.type == TYPE_COSIGNATURE
    message = _cosigned_message(time_s, checkpoint) if is_cosignature else checkpoint.text().encode()
    if time_s > TIME_MAX or not verify_node(key.public, message, blob[begin:]):
        raise CheckpointError(CheckpointFault.SIGNATURE)
    return time_s


def _cosigned_message(time_s: int, checkpoint: Checkpoint) -> bytes:
    return f"cosignature/v1\ntime {time_s}\n{checkpoint.text()}".encode()


def _line(name: str, blob: bytes) -> str:
    return f"\u2014 {name} {b64_encode(blob)}"


def b64_encode(data: bytes) -> str:
    """Standard base64 with padding, as C2SP texts use it."""
    return base64.b64encode(data).decode("ascii")


def b64_decode(text: str) -> bytes:
    """Strict standard base64: padded, zero trailing bits. Raises Malformed."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Malformed("not base64") from None
    if b64_encode(data) != text:
        raise Malformed("not base64: another spelling of the same bytes")
    return data
