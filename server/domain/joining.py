"""What a node that joins by a peer's snapshot believes, and why: nothing but what the members have signed.

A checkpoint that a quorum cosigned proves the entry `state.root`; that entry names the manifest; the manifest names the
chunks of the state and the root of the log up to there; and each page of the log proves that it belongs under that
root. So a peer that gives anything else is found out by the first piece of it (consensus.md 2.6, DESIGN.md D29). It
must not know who the peers are, nor where anything is kept, and it verifies no certificate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta

from server.domain import ROWS
from server.domain.plan import RecordWork, parse_signed
from server.domain.rules import Rulebook, Rules, RulesUnknown
from server.domain.state_root import Manifest, Schedule, TellStateRoot
from server.ledger.block import ACCEPTED, LEAF_KIND, Header, block_id, genesis_digest, genesis_tip
from server.ledger.genesis import MEMBERS_MAX
from server.ledger.merkle import Frontier, ProofError, leaf_hash, verify_consistency, verify_inclusion
from server.ledger.succession import Link
from server.limits import BLOCK_ITEMS_MAX, HISTORY_BLOCKS_MAX, INTEGER_MAX, OPENINGS_MAX
from server.record.canonical import Malformed, b64u_decode, b64u_encode, decode, encode
from server.record.rows import Row
from server.record.shape import Digest, NodeId, Shape
from server.record.signature import commitment_of

T = TypeVar("T")
_LINKS_MAX = 1_000
_PROOF_MAX = 128
"""An inclusion proof in a tree of 2^53 leaves has 53 hashes, a consistency proof some 106."""
VerifyLine = Callable[[str, int, bytes, str], bool]
"""(member, size, root, line) -> is it this member's cosignature of the checkpoint?"""
Proof = Annotated[tuple[Digest, ...], Meta(max_length=_PROOF_MAX)]


class JoinRefused(ValueError):
    """What a peer gave is not what the members have signed, or does not fit this program: ask another one."""


class CheckpointLine(Shape, frozen=True):
    """A member's cosignature line under the checkpoint of a snapshot."""

    member: NodeId
    text: Annotated[str, Meta(max_length=1_000)]


class Snapshot(Shape, frozen=True):
    """A snapshot that a peer holds, with all that proves it: the manifest, the entry that tells it in the log, and the
    checkpoint under which that entry stands."""

    entry: str
    index: Annotated[int, Meta(ge=0, le=INTEGER_MAX)]
    lines: Annotated[tuple[CheckpointLine, ...], Meta(max_length=MEMBERS_MAX)]
    links: Annotated[tuple[Link, ...], Meta(max_length=_LINKS_MAX)]
    """From genesis to the members who have signed (`ledger/succession.py`)."""
    manifest: str
    proof: Proof
    root: Digest
    size: Annotated[int, Meta(ge=1, le=INTEGER_MAX)]


class OldBlock(Shape, frozen=True):
    """A block below a snapshot, as a peer gives it: its entries with the leaf, its certificate, openings by commitment
    (those that the peer still holds), binary parts in base64url."""

    certificate: str
    entries: Annotated[tuple[str, ...], Meta(min_length=1, max_length=BLOCK_ITEMS_MAX + 1)]
    openings: Annotated[dict[Digest, str], Meta(max_length=BLOCK_ITEMS_MAX * OPENINGS_MAX)]


class Page(Shape, frozen=True):
    """Blocks of the log one after the other, and the proof (RFC 9162 2.1.4) that the log up to their end is a prefix of
    the log under the snapshot."""

    blocks: Annotated[tuple[OldBlock, ...], Meta(min_length=1, max_length=HISTORY_BLOCKS_MAX)]
    proof: Proof


@dataclass(frozen=True, slots=True)
class PastBlock:
    """A block below the snapshot that belongs to the log; whether its certificate holds is for the caller to say."""

    header: Header
    block_id: str
    certificate: bytes
    contents: tuple[bytes, ...]
    """Its log entries, the leaf last."""
    works: tuple[RecordWork | None, ...]
    """For each entry the record in it; None for a derived one."""
    given: Mapping[str, bytes]
    """Openings of its records by commitment, each of the hash that its record says."""
    first_index: int
    size: int
    root: bytes
    peaks: tuple[bytes, ...]
    state_digest: str
    nodes: tuple[tuple[int, int, bytes], ...]
    """The nodes of the tree that its entries completed: (level, index, hash)."""


def read_json(data: bytes, shape: type[T]) -> T:
    """What a peer or a file says, in this shape. Raises JoinRefused."""
    try:
        return msgspec.json.decode(data, type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise JoinRefused(f"not a {shape.__name__.lower()}: {error}") from None


def check_snapshot(shown: Snapshot, quorum: int, verify: VerifyLine, schedule: Schedule, rules: int) -> Manifest:
    """The manifest of a snapshot that a quorum of members stands for. Raises JoinRefused, saying what does not hold.

    Args: `quorum` of distinct members of that time that must have cosigned (consensus.md 1.4, *committed*), whom the
    snapshot's links prove; `rules`: the newest version of the rules that this program knows.
    """
    root = _digest(shown.root)
    signers = dict.fromkeys(line.member for line in shown.lines if verify(line.member, shown.size, root, line.text))
    if len(signers) < quorum:
        raise JoinRefused(f"the checkpoint of size {shown.size} is signed by {len(signers)} members only")
    content = shown.entry.encode()
    try:
        verify_inclusion(leaf_hash(content), shown.index, shown.size, [_digest(step) for step in shown.proof], root)
    except ProofError as error:
        raise JoinRefused(f"the entry of the state's root is not under the checkpoint: {error}") from None
    manifest = _read_manifest(shown.manifest.encode())
    _compare(content, manifest, schedule)
    if shown.index < manifest.size:
        raise JoinRefused("the state is told before its own block")
    if manifest.rules > rules:
        raise JoinRefused(f"the state is of rules {manifest.rules}, this program knows those up to {rules}")
    return manifest


def _read_manifest(data: bytes) -> Manifest:
    manifest = read_json(data, Manifest)
    if encode(manifest) != data:
        raise JoinRefused("the manifest is not canonical")
    return manifest


def _compare(content: bytes, manifest: Manifest, schedule: Schedule) -> None:
    """The entry must be the one that tells this manifest, in the block in which it is due."""
    try:
        entry = decode(content)
        system = entry["system"]
        told = (system["kind"], system["key"], system["body"], entry["outcome"], entry["height"])
    except (Malformed, KeyError, TypeError) as error:
        raise JoinRefused(f"not the entry of a state's root: {error}") from None
    item = manifest.item()
    if told != (TellStateRoot.kind, item.key, item.body, ACCEPTED, manifest.height + schedule.lag):
        raise JoinRefused("the log tells another state than the manifest")


def check_chunk(manifest: Manifest, number: int, chunk: bytes) -> None:
    """Raise JoinRefused unless these bytes are that chunk of the state."""
    if b64u_encode(sha256(chunk).digest()) != manifest.chunks[number]:
        raise JoinRefused(f"chunk {number} of the state after block {manifest.height} is another one")


def read_rows(chunk: bytes) -> list[Row]:
    """The rows of a chunk that was checked; members that its version of the rules had not yet have their defaults.

    Raises JoinRefused: this program has no such rows.
    """
    rows = list[Row]()
    for line in chunk.splitlines():
        try:
            table, _, row = msgspec.json.decode(line)
            rows.append(msgspec.convert(row, ROWS[table]))
        except (msgspec.DecodeError, KeyError, ValueError, TypeError) as error:
            raise JoinRefused(f"the state holds a row that this program does not know: {error!r}") from None
    return rows


@dataclass(slots=True)
class History:
    """Mutable. The log below a snapshot, as far as it has come; it begins at the own tip and ends at the snapshot."""

    cluster_id: bytes
    estate: str
    rulebook: Rulebook
    manifest: Manifest
    height: int
    block_id: str
    state_digest: str
    tree: Frontier = field(default_factory=Frontier)

    @classmethod
    def from_genesis(cls, cluster_id: bytes, estate: str, rulebook: Rulebook, manifest: Manifest) -> History:
        """Of a node that has no blocks."""
        return cls(cluster_id, estate, rulebook, manifest, 0, genesis_tip(cluster_id), genesis_digest(cluster_id))

    @property
    def is_whole(self) -> bool:
        """Has it come to the snapshot's block?"""
        return self.height == self.manifest.height

    def take(self, page: Page) -> list[PastBlock]:
        """The blocks of the next page. Raises JoinRefused, and then stands where it stood: another peer may know."""
        tree, blocks = self.tree.copy(), list[PastBlock]()
        place = (self.height, self.block_id, self.state_digest)
        for old in page.blocks:
            try:
                past = self._read(old, place, tree)
            except (KeyError, TypeError, AttributeError) as error:
                raise JoinRefused(f"block {place[0] + 1} is not of its form: {error!r}") from None
            blocks.append(past)
            place = (past.header.height, past.block_id, past.state_digest)
        self._check_end(place, tree, page, blocks[-1])
        (self.height, self.block_id, self.state_digest), self.tree = place, tree
        return blocks

    def _check_end(self, place: tuple[int, str, str], tree: Frontier, page: Page, last: PastBlock) -> None:
        manifest, (height, name, digest) = self.manifest, place
        if height > manifest.height or tree.size > manifest.size:
            raise JoinRefused("the log goes on behind the snapshot")
        proof = [_digest(step) for step in page.proof]
        try:
            verify_consistency(tree.size, manifest.size, proof, tree.root(), b64u_decode(manifest.root, 32))
        except ProofError as error:
            raise JoinRefused(f"blocks up to {height} are not of the log under the snapshot: {error}") from None
        end = (name, digest, tree.size, last.header.time_ms)
        if height == manifest.height and end != (
            manifest.block_id, manifest.state_digest, manifest.size, manifest.time_ms
        ):  # fmt: skip
            raise JoinRefused("the log does not end at the snapshot's block")

    def _read(self, old: OldBlock, place: tuple[int, str, str], tree: Frontier) -> PastBlock:
        """A block after `place`; its entries are appended to `tree`."""
        height, prev, digest = place
        contents = tuple(entry.encode() for entry in old.entries)
        entries = [_decode(content) for content in contents]
        leaf = _leaf(entries, height + 1, prev)
        items = [_item(entry) for entry in entries[:-1]]
        header = Header(
            sum(map(len, items)), leaf["entries_root"], leaf["epoch"], height + 1, prev, leaf["proposer"],
            leaf["rules"], digest, entries[-1]["time_ms"],
        )  # fmt: skip
        if block_id(self.cluster_id, header) != leaf["block_id"]:
            raise JoinRefused(f"block {height + 1} is not the one that its leaf names")
        rules = self._find(leaf["rules"])
        works = tuple(self._work(entry, rules) for entry in entries)
        first, nodes = tree.size, [node for content in contents for node in tree.append(leaf_hash(content))]
        return PastBlock(
            header, leaf["block_id"], _bytes(old.certificate), contents, works, _given(old.openings, works), first,
            tree.size, tree.root(), tuple(tree.peaks), leaf["state_digest"], tuple(nodes),
        )  # fmt: skip

    def _find(self, version: int) -> Rules:
        try:
            return self.rulebook.find(version)
        except RulesUnknown as error:
            raise JoinRefused(str(error)) from None

    def _work(self, entry: Mapping[str, Any], rules: Rules) -> RecordWork | None:
        try:
            return parse_signed(entry["record"], self.estate, rules) if "record" in entry else None
        except Malformed as error:
            raise JoinRefused(f"not a record: {error}") from None


def _decode(content: bytes) -> dict[str, Any]:
    try:
        entry = decode(content)
        if not isinstance(entry, dict) or ("record" in entry) == ("system" in entry):
            raise JoinRefused("neither a record's entry nor a derived one")
        return entry
    except Malformed as error:
        raise JoinRefused(f"not a log entry: {error}") from None


def _leaf(entries: Sequence[Mapping[str, Any]], height: int, prev: str) -> dict[str, Any]:
    """The body of the leaf: the last entry is one, and no other is."""
    leaves = [entry for entry in entries if entry.get("system", {}).get("kind") == LEAF_KIND]
    if len(leaves) != 1 or leaves[0] is not entries[-1]:
        raise JoinRefused(f"block {height} does not end with its leaf")
    body = leaves[0]["system"]["body"]
    if (leaves[0]["height"], body["prev"]) != (height, prev):
        raise JoinRefused(f"not block {height}, or it follows another one")
    return dict(body)


def _item(entry: Mapping[str, Any]) -> bytes:
    """The item of a batch behind an entry, byte for byte (DESIGN.md 2.4)."""
    if "record" in entry:
        return str(entry["record"]).encode("ascii", "replace")
    return encode({name: entry["system"][name] for name in ("body", "due_ms", "key", "kind")})


def _given(openings: Mapping[str, str], works: Sequence[RecordWork | None]) -> dict[str, bytes]:
    """Openings that records of the block ask for, each of the right hash. Raises JoinRefused for any other."""
    wanted = {name for work in works if work is not None for name in work.signed.body.commitments()}
    given = {name: _bytes(text) for name, text in openings.items()}
    if any(name not in wanted or commitment_of(opening) != name for name, opening in given.items()):
        raise JoinRefused("an opening does not fit its record")
    return given


def _bytes(text: str) -> bytes:
    try:
        return b64u_decode(text)
    except Malformed as error:
        raise JoinRefused(str(error)) from None


def _digest(text: str) -> bytes:
    return b64u_decode(text, 32)


def whole_chunks(manifest: Manifest, read: Callable[[int], bytes]) -> Iterator[list[Row]]:
    """The rows of the state, a chunk at a time, each checked once more. Raises JoinRefused."""
    for number in range(len(manifest.chunks)):
        chunk = read(number)
        check_chunk(manifest, number, chunk)
        yield read_rows(chunk)
