"""Every decoder of bytes that come from outside, or from a disk: how it is called, and what it may answer.

A decoder gives a value or raises what it declares. `write` makes bytes of the value again where the form is canonical.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from samples import CLUSTER_ID, ESTATE, ORIGIN, POLICY_TEXT
from server.api.errors import Declined
from server.api.session import Challenges, Tokens, parse_proof
from server.api.tiles import WIDTH, read_place, tile_path
from server.config import Config, ConfigError, load_config
from server.consensus.block import pack_attachments, pack_block, read_header, unpack_attachments, unpack_block
from server.consensus.certificates import Certifier, read_certificate
from server.consensus.evidence import unpack_evidence
from server.consensus.frames import decode_frame, encode_frame
from server.consensus.judgement import verify
from server.consensus.messages import Commit, Prepare, Signed, SignedBody, Suspect
from server.consensus.packing import pack, unpack
from server.domain import RULEBOOK
from server.domain.plan import parse_derived, parse_signed
from server.gateway.roster import read_roster
from server.gateway.roster_file import RosterError
from server.gateway.roster_homes import Roster
from server.ledger.checkpoint import TYPE_LOG, CheckpointError, Note, note_line, note_of, parse_line, parse_note
from server.ledger.genesis import parse_genesis
from server.ledger.policy import parse_policy, parse_vkey, verify_checkpoint
from server.ledger.receipt import ReceiptError, parse_entry, verify_receipt
from server.ledger.receipt import parse_proof as parse_tlog_proof
from server.ledger.resolution import parse_resolution
from server.node.photo_desk import unpack_photo
from server.record.canonical import Malformed, b64u_decode, b64u_encode, decode, encode
from server.record.envelope import parse_record
from server.storage.journal import JournalCorrupt, scan
from server.storage.signer import SignerFile, SignerRefused
from tests.consensus.cluster import Bench
from tests.fuzz import examples
from tests.simulation.keyring import HashKeyring

T = TypeVar("T")
TODAY = date(2026, 11, 20)
RULES = RULEBOOK.find(1)
POLICY = parse_policy(POLICY_TEXT)


class FixedClock:
    """It is always the same moment."""

    def now_ms(self) -> int:
        return 1_790_000_000_000

    def monotonic_ms(self) -> int:
        return 0


TOKENS = Tokens("owners", CLUSTER_ID, bytes(32), FixedClock())
CHALLENGES = Challenges(bytes(32), FixedClock())


@dataclass(frozen=True)
class Decoder:
    """One decoder, with bytes that it takes, and what it raises for others."""

    name: str
    read: Callable[[bytes], Any]
    samples: Callable[[], list[bytes]]
    raises: tuple[type[Exception], ...] = (Malformed,)
    write: Callable[[Any], bytes] | None = None
    dear: bool = False
    """A call takes milliseconds: fewer of them."""
    hostile_bytes: int = 100_000
    """How much of what breaks parsers it is given at once."""
    is_text: bool = False
    """It reads text: bytes that are no UTF-8 come to it as the character that stands for them."""

    def survives(self, data: bytes) -> bool:
        """Whether it reads these bytes; what is not declared comes out as it is, and so does another spelling."""
        if self.is_text:
            data = data.decode("utf-8", "replace").encode()
        try:
            value = self.read(data)
        except self.raises:
            return False
        assert self.write is None or self.write(value) == data
        return True


def of_text(
    name: str,
    read: Callable[[str], Any],
    samples: Callable[[], list[bytes]],
    raises: tuple[type[Exception], ...] = (Malformed,),
    write: Callable[[Any], str] | None = None,
) -> Decoder:
    """A decoder of text, which others decode from UTF-8."""
    rewrite = None if write is None else lambda value: write(value).encode()
    return Decoder(name, lambda data: read(data.decode()), samples, raises, rewrite, is_text=True)


def write_note(note: Note) -> str:
    return note_of(note.checkpoint, map(note_line, note.lines))


def write_place(place: tuple[int, int]) -> str:
    number, width = place
    return tile_path(number) + ("" if width == WIDTH else f".p/{width}")


def read_file(data: bytes, suffix: str, read: Callable[[Path], T]) -> T:
    """What a reader of files makes of these bytes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "file" + suffix)
        path.write_bytes(data)
        return read(path)


def read_config(data: bytes) -> Config:
    return read_file(data, ".toml", lambda path: load_config(path, {}))


def read_signer(data: bytes) -> SignerFile:
    return read_file(data, "", lambda path: SignerFile.open(path, expected=True))


def read_sheet(data: bytes) -> Roster:
    return read_roster(data, TODAY)


CERTIFIED: tuple[type[SignedBody], ...] = (Prepare, Commit, Suspect)


def of_certificate(shape: type[SignedBody]) -> Decoder:
    def write(statements: list[Signed[SignedBody]]) -> bytes:
        return pack([part for each in statements for part in (each.raw, each.signature)])

    name = f"certificate of {shape.__name__}"
    return Decoder(name, partial(read_certificate, shape), partial(examples.certificates, shape), write=write)


def verify_evidence(data: bytes) -> None:
    keyring = HashKeyring("b")
    verify(unpack_evidence(data), Certifier(Bench(3).config("b"), keyring), keyring)


CONSENSUS = [
    Decoder("parts", unpack, examples.packed_parts, write=pack),
    Decoder("frame", decode_frame, examples.frames, write=encode_frame),
    Decoder("block", lambda data: unpack_block(CLUSTER_ID, data), examples.packed_blocks, write=pack_block),
    Decoder("header", read_header, examples.headers, write=encode),
    Decoder("attachments", unpack_attachments, examples.packed_attachments, write=pack_attachments),
    Decoder("evidence", unpack_evidence, examples.evidence, write=lambda found: found.packed),
    Decoder("evidence with its signatures", verify_evidence, examples.evidence),
    *map(of_certificate, CERTIFIED),
]
DISK = [
    Decoder("journal", scan, examples.journals, (JournalCorrupt,)),
    Decoder("signer file", read_signer, examples.signer_files, (SignerRefused,)),
    Decoder("configuration", read_config, examples.configurations, (ConfigError,), dear=True, hostile_bytes=5_000),
]
RECORDS = [
    Decoder("canonical JSON", decode, examples.values, write=encode),
    of_text("base64url", b64u_decode, lambda: [b"", b"AA", b"_-8"], write=b64u_encode),
    of_text("record", lambda text: parse_record(text, ESTATE), examples.records, write=lambda record: record.jws),
    of_text("record with its body", lambda text: parse_signed(text, ESTATE, RULES), examples.records),
    Decoder(
        "derived entry", lambda data: parse_derived(data, (), RULES), examples.derived, write=lambda v: encode(v.item)
    ),
    of_text("session proof", parse_proof, examples.session_proofs),
    of_text("challenge", CHALLENGES.is_fresh, lambda: [CHALLENGES.make().encode()]),
    of_text("access token", TOKENS.read, lambda: [TOKENS.issue("li", "w" * 43, "f")[0].encode()], (Declined,)),
    Decoder("photo for a peer", unpack_photo, examples.photos),
]
LEDGER = [
    Decoder("genesis", parse_genesis, examples.genesis, write=lambda value: encode(value[0])),
    Decoder("resolution of a fork", parse_resolution, examples.resolutions, write=encode),
    of_text("checkpoint", lambda text: parse_note(text, ORIGIN), examples.notes, (CheckpointError,), write_note),
    of_text(
        "checkpoint with its signatures",
        lambda text: verify_checkpoint(text, POLICY),
        examples.notes,
        (CheckpointError,),
    ),
    of_text("signature line", parse_line, examples.lines, (CheckpointError,), note_line),
    of_text("policy", parse_policy, lambda: [POLICY_TEXT.encode()]),
    of_text("verifier key", lambda text: parse_vkey(text, TYPE_LOG), examples.log_keys, write=lambda key: key.text()),
    of_text("proof", parse_tlog_proof, examples.proofs, (ReceiptError,)),
    of_text("receipt", lambda text: verify_receipt(text, POLICY, ESTATE), examples.receipts, (ReceiptError,)),
    Decoder("log entry", parse_entry, examples.entries, (ReceiptError,), write=encode),
    of_text(
        "place of a tile", read_place, lambda: [b"000", b"x001/067", b"x001/x002/003.p/17"], (Declined,), write_place
    ),
]
SHEETS = [
    Decoder("roster as text", read_sheet, examples.rosters, (RosterError,), dear=True),
    Decoder("roster as a workbook", read_sheet, examples.workbooks, (RosterError,), dear=True),
]
DECODERS = [*CONSENSUS, *DISK, *RECORDS, *LEDGER, *SHEETS]
