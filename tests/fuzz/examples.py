"""Valid bytes for every decoder, as the program itself makes them."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TypeVar

import openpyxl

from samples import (
    ACCEPTED_RECORD,
    BIND_LI,
    CLUSTER_ID,
    CREATED_MS,
    GENESIS,
    GENESIS_BYTES,
    LI,
    FixedDevice,
    payload,
    sample_ledger,
)
from server.consensus.block import make_block, pack_attachments, pack_block
from server.consensus.certificates import pack_certificate
from server.consensus.effects import Entry, JournalEntry
from server.consensus.evidence import Branch, accuse, accuse_of_split
from server.consensus.frames import decode_frame, encode_frame, frame_name
from server.consensus.messages import (
    TYPES,
    BatchMessage,
    Commit,
    Cosign,
    EvidenceMessage,
    Fetch,
    Prepare,
    Release,
    Signed,
    SignedBody,
    Suspect,
    ViewChange,
)
from server.consensus.packing import pack
from server.domain import DERIVED, KINDS
from server.ledger.block import Header, entries_root
from server.ledger.merkle import leaf_hash, root_of
from server.ledger.policy import log_key
from server.ledger.receipt import receipt_text
from server.record.canonical import b64u_encode, encode
from server.record.envelope import SESSION_TYPE, sign_jws, sign_record
from server.record.sample import sample_body, sample_record
from server.storage.journal import encode_file, encode_record
from tests.consensus.cluster import Bench
from tests.simulation.keyring import HashKeyring
from vector_cases.forks import good_stories, resolution_of

B = TypeVar("B", bound=SignedBody)
ROSTER = Path(__file__).resolve().parents[2] / "scripts/samples/roster.csv"
LEDGER = sample_ledger()


@cache
def frames() -> list[bytes]:
    """A real frame of each type, from a cluster that lost its primary, and later found it again."""
    bench = Bench(3)
    found: dict[str, bytes] = {}

    def play(*members: str, keep: Callable[[str, str, str], bool] = lambda source, target, name: True) -> None:
        bench.tick(*members, after_ms=300)
        while bench.wire:
            for _, _, frame in bench.wire:
                found.setdefault(frame_name(frame), frame)
            bench.deliver_one(keep)

    bench.submit("a")
    play()
    bench.submit("b", "r9")
    bench.drop()
    for _ in range(30):
        play("b", "c", keep=lambda source, target, name: "a" not in (source, target))
    for _ in range(4):
        play()
    found["release"] = encode_frame(Release(rules=2))
    found["executed"] = encode_frame(bench["a"].state.executed["a"])
    found["fetch"] = encode_frame(Fetch(block_id="w" * 43, height=2))
    found["evidence"] = encode_frame(EvidenceMessage(evidence()[0]))
    found["batch"] = encode_frame(BatchMessage(packed_blocks()[0]))
    return [found[name] for name in sorted(found)]


def packed_parts() -> list[bytes]:
    """Nothing, empty parts, and parts of parts."""
    return [b"", pack([b"", b"a"]), pack([pack([b"ab", b"c"]), b"d" * 300])]


@cache
def packed_blocks() -> list[bytes]:
    """A block of one item, and one of several with attachments."""
    blocks = []
    for items, attachments in [([b"one"], ()), ([b"one", b"two", b"x" * 200], (("name", b"1"), ("other", b"")))]:
        header = Header(
            entries_bytes=sum(map(len, items)),
            entries_root=entries_root(items),
            epoch=0,
            height=7,
            prev=b64u_encode(CLUSTER_ID),
            proposer="owners",
            rules=1,
            state_digest_prev=b64u_encode(bytes(32)),
            time_ms=CREATED_MS,
        )
        blocks.append(pack_block(make_block(CLUSTER_ID, header, items, attachments)))
    return blocks


def headers() -> list[bytes]:
    """The header of a block."""
    header = Header(3, "w" * 43, 0, 7, "8" * 43, "owners", 1, "0" * 43, CREATED_MS)
    return [encode(header)]


def packed_attachments() -> list[bytes]:
    """None, one, and some."""
    return [pack_attachments(each) for each in [(), (("a", b""),), (("a", b"1"), ("b", b"2" * 99))]]


def certificates(shape: type[SignedBody]) -> list[bytes]:
    """None at all, and the signatures of two members."""
    return [b"", pack_certificate([_signed(shape, "a"), _signed(shape, "b")])]


@cache
def evidence() -> list[bytes]:
    """Two votes, a hidden vote, two checkpoints of one size, and two whose trees differ at one entry."""
    vote = _signed_by_a(Commit(block_id="w" * 43, epoch=0, height=1, new_view="", sender="a", view=0))
    other = _signed_by_a(Prepare(block_id="8" * 43, epoch=0, height=1, sender="a", view=0))
    hiding = _signed_by_a(
        ViewChange(epoch=0, last_block="", last_height=0, prepared_block="", prepared_view=0, sender="a", view=1)
    )
    trees = [[b"one", b"two"], [b"one", b"other", b"three"]]
    lines = [_line_of_a(len(tree), root_of(tree)) for tree in trees]
    branches = [
        Branch(index=1, leaf=b64u_encode(leaf_hash(b"two")), proof=(b64u_encode(leaf_hash(b"one")),)),
        Branch(
            index=1,
            leaf=b64u_encode(leaf_hash(b"other")),
            proof=(b64u_encode(leaf_hash(b"one")), b64u_encode(leaf_hash(b"three"))),
        ),
    ]
    found = [
        accuse(vote, other),
        accuse(vote, hiding),
        accuse_of_split(_line_of_a(2, bytes(32)), lines[0]),
        accuse_of_split(lines[0], lines[1], branches),
    ]
    return [each.packed for each in found if each]


def _signed_by_a(body: B) -> Signed[B]:
    raw = encode(body)
    return Signed(body, raw, HashKeyring("a").sign(TYPES[type(body)], raw))


def _line_of_a(size: int, root: bytes) -> Cosign:
    line = HashKeyring("a").cosign(size, root, 12)
    return Cosign(line=line, member="a", root=b64u_encode(root), size=size)


def _signed(shape: type[SignedBody], sender: str) -> Signed[SignedBody]:
    bodies: dict[type[SignedBody], SignedBody] = {
        Prepare: Prepare(block_id="w" * 43, epoch=0, height=1, sender=sender, view=0),
        Commit: Commit(block_id="w" * 43, epoch=0, height=1, new_view="", sender=sender, view=0),
        Suspect: Suspect(epoch=0, height=1, reason="record", sender=sender, view=0),
    }
    return Signed(bodies[shape], encode(bodies[shape]), bytes(64))


@cache
def journals() -> list[bytes]:
    """An empty one, one of appends, and one that was rewritten in between."""
    vote, prepared = JournalEntry(Entry.VOTE, b"v" * 40), JournalEntry(Entry.PREPARED, b"p" * 9)
    appended = encode_file(0, ()) + encode_record(0, [vote]) + encode_record(1, [prepared, vote])
    rewritten = encode_file(5, [vote, prepared]) + encode_record(6, [JournalEntry(Entry.NEW_VIEW, b"")])
    return [encode_file(0, ()), appended, rewritten]


@cache
def entries_of_a_journal() -> list[JournalEntry]:
    """What a backup wrote that voted, prepared, lost its primary and came into the next view."""
    bench = Bench(3)
    bench.submit("a")
    bench.deliver(lambda source, target, name: name != "commit")
    bench.drop()
    for _ in range(20):
        bench.tick("b", "c", after_ms=300)
        bench.deliver(lambda source, target, name: "a" not in (source, target) and name != "commit")
    return list(bench["b"].journal)


def signer_files() -> list[bytes]:
    """A signer that has signed a checkpoint."""
    return [encode({"epoch": 0, "root": b64u_encode(bytes(32)), "size": 7, "time_s": 12})]


def values() -> list[bytes]:
    """Canonical JSON of every type."""
    return [b'{"a":[1,-2,true,"x"],"b.c":{"d_1":"\xe9\x82\xbb"}}', b"[]", b'"\\u0000\\"\\\\"', b"9007199254740991"]


@cache
def records() -> list[bytes]:
    """A record of every kind."""
    device, made = FixedDevice("fuzz"), []
    for name, kind in sorted(KINDS.items()):
        made.append(sign_record(device, payload(name, "li", sample_record(kind, 1).body, f"fuzz {name}")).encode())
    return made


@cache
def derived() -> list[bytes]:
    """A derived entry of every kind."""
    return [
        encode({"body": sample_body(kind, 1), "due_ms": 5, "key": "key", "kind": name})
        for name, kind in sorted(DERIVED.items())
    ]


def genesis() -> list[bytes]:
    """The sample's genesis."""
    return [GENESIS_BYTES]


@cache
def resolutions() -> list[bytes]:
    """Documents that end forks, with every offence that can be proved."""
    return [resolution_of(story) for story in good_stories().values()]


@cache
def proofs() -> list[bytes]:
    """A proof of a record."""
    return [LEDGER.proof(ACCEPTED_RECORD, LI.public).encode()]


@cache
def receipts() -> list[bytes]:
    """With the proof of the bind, and without."""
    proof = LEDGER.proof(ACCEPTED_RECORD, LI.public)
    return [receipt_text(proof).encode(), receipt_text(proof, LEDGER.proof(BIND_LI, LI.public)).encode()]


def notes() -> list[bytes]:
    """A checkpoint with all its lines."""
    return [proofs()[0].partition(b"\n\n")[2]]


def lines() -> list[bytes]:
    """The signature lines of a checkpoint."""
    return notes()[0].partition(b"\n\n")[2].splitlines()


def log_keys() -> list[bytes]:
    """The keys of the members' log lines."""
    return [log_key(GENESIS, member.id).text().encode() for member in GENESIS.members]


def entries() -> list[bytes]:
    """An entry of a record, and a derived one."""
    system = {"body": {"a": 1}, "due_ms": 1, "id": "i", "key": "k", "kind": "block.leaf"}
    place = {"height": 1, "index": 2, "outcome": "accepted", "time_ms": 3}
    return [encode({**place, "record": records()[0].decode()}), encode({**place, "system": system})]


def session_proofs() -> list[bytes]:
    """A proof as a phone makes it."""
    content = encode({"challenge": "w" * 43, "cluster_id": b64u_encode(CLUSTER_ID), "node": "owners"})
    return [sign_jws(FixedDevice("fuzz"), content, SESSION_TYPE).encode()]


def photos() -> list[bytes]:
    """A picture that nobody is said to have uploaded, and one of two."""
    told = [{"member": member, "original_sha256": "ab" * 32} for member in ("li", "wang")]
    heads = [{"sha256": "cd" * 32, "uploads": []}, {"sha256": "cd" * 32, "uploads": told}]
    return [encode(head) + b"\n" + b"\xff\xd8 a picture\n" for head in heads]


def configurations() -> list[bytes]:
    """A short one, and one with sections and lists."""
    short = '[node]\nid = "street"\n'
    long = short + '[http]\nport = 8101\ntrusted_proxies = ["127.0.0.1"]\n[peers.owners]\nhost = "::1"\nport = 1\n'
    return [short.encode(), long.encode()]


@cache
def rosters() -> list[bytes]:
    """The sample roster as UTF-8 and as GB 18030."""
    text = "".join(ROSTER.read_text("utf-8-sig").splitlines(keepends=True)[:12])
    return [text.encode(), text.encode("gb18030")]


@cache
def workbooks() -> list[bytes]:
    """The sample roster as a workbook."""
    book, file = openpyxl.Workbook(), io.BytesIO()
    sheet = book.active
    assert sheet is not None
    for row in csv.reader(io.StringIO(rosters()[0].decode())):
        sheet.append(row)
    book.save(file)
    return [file.getvalue()]


def message_types() -> list[str]:
    """The types of frames that are among the samples."""
    return sorted(type(decode_frame(frame)).__name__ for frame in frames())
