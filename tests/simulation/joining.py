"""A simulated node joins by a snapshot: the real rules of what is believed, over answers that come late, wrong or not.

Each answer is asked of a node within reach and kept on the disk once it was found right; the node may be killed before
any of them. Whoever answers deceives now and then: with another state that fits its own manifest, with an entry and a
checkpoint of its own making, with other bytes, with another outcome in the log, or with silence.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace as replace_fields
from random import Random
from typing import TYPE_CHECKING

from msgspec.structs import replace

from server.consensus.block import make_block
from server.consensus.certificates import Certifier, read_certificate
from server.consensus.config import Config
from server.consensus.messages import Commit
from server.consensus.restored import Boundary
from server.domain import joining
from server.domain.joining import CheckpointLine, History, JoinRefused, OldBlock, Page, PastBlock, Snapshot
from server.domain.member import Nonce
from server.domain.state_root import After, Manifest, cut_chunks, is_forgotten, manifest_of, row_line
from server.ledger.block import derived_entry, derived_id
from server.ledger.merkle import Frontier, consistency_proof, inclusion_proof, leaf_hash
from server.record.canonical import b64u_decode, b64u_encode, decode, encode
from tests.simulation.disk import StoredBlock
from tests.simulation.domain import RULEBOOK, DomainApplication
from tests.simulation.domain_ledger import SCHEDULE, Tables
from tests.simulation.keyring import HashKeyring

if TYPE_CHECKING:
    from tests.simulation.node import Node

BEHIND = 2
"""Blocks behind from which a starting node joins by a snapshot."""
PAGE_BLOCKS = 3
TRIES_MAX = 60
"""Questions after which a node gives up, and fetches blocks."""
STEP_MS = (5, 120)
DECEITS = ("another chunk", "another state", "another checkpoint", "another outcome", "silence")


class Library:
    """What one node can show of its log and its states, told from its application and its newest signed checkpoint."""

    def __init__(self, node: Node) -> None:
        application = node.application
        assert isinstance(application, DomainApplication)
        self._application, self._signed, self._blocks = application, node.signed, node.disk.blocks
        self.contents = [one for each in self._blocks for one in application.entries[each.block.block_id]]
        self._leaves = [leaf_hash(content) for content in self.contents]

    def node(self, level: int, index: int) -> bytes:
        """A perfect subtree's hash."""
        tree = Frontier()
        for leaf in self._leaves[index << level : (index + 1) << level]:
            tree.append(leaf)
        return tree.root()

    def show(self) -> Snapshot | None:
        """The newest state that the log tells under a signed checkpoint."""
        for manifest in sorted(self._application.ledger.states, key=lambda each: -each.height):
            name = derived_id(self._application.cluster_id, "state.root", str(manifest.height), 0)
            told = [index for index, content in enumerate(self.contents) if name.encode() in content]
            if told and self._signed is not None and told[0] < self._signed.size <= len(self.contents):
                return self._prove(manifest, told[0])
        return None

    def _prove(self, manifest: Manifest, index: int) -> Snapshot:
        assert self._signed is not None
        size = self._signed.size
        return Snapshot(
            entry=self.contents[index].decode(),
            index=index,
            lines=tuple(CheckpointLine(member=member, text=line) for member, line in self._signed.lines),
            links=(),
            manifest=encode(manifest).decode(),
            proof=tuple(map(b64u_encode, inclusion_proof(index, size, self.node))),
            root=b64u_encode(self._signed.root),
            size=size,
        )

    def tables(self, height: int) -> Tables | None:
        """The rows after a block whose state is kept."""
        states = self._application.ledger.states
        return next((rows for manifest, rows in states.items() if manifest.height == height), None)

    def page(self, begin: int, end: int) -> Page:
        """Some blocks of the log."""
        blocks = self._blocks[begin - 1 : min(begin + PAGE_BLOCKS - 1, end)]
        size1, size2 = blocks[-1].boundary.size, self._blocks[end - 1].boundary.size
        proof = consistency_proof(size1, size2, self.node)
        return Page(blocks=tuple(map(self._old, blocks)), proof=tuple(map(b64u_encode, proof)))

    def _old(self, stored: StoredBlock) -> OldBlock:
        entries = self._application.entries[stored.block.block_id]
        return OldBlock(
            certificate=b64u_encode(stored.certificate),
            entries=tuple(entry.decode() for entry in entries),
            openings={name: b64u_encode(data) for name, data in stored.block.attachments},
        )

    def forge_checkpoint(self, shown: Snapshot, manifest: Manifest) -> Snapshot:
        """The entry tells another state, under a tree that nobody signed."""
        entry = decode(shown.entry.encode())
        item = manifest.item()
        content = derived_entry(
            self._application.cluster_id, entry["height"], shown.index, entry["time_ms"], item, "accepted"
        )
        self._leaves[shown.index] = leaf_hash(content)
        proof = inclusion_proof(shown.index, shown.size, self.node)
        tree = Frontier()
        for leaf in self._leaves[: shown.size]:
            tree.append(leaf)
        return replace(
            shown,
            entry=content.decode(),
            manifest=encode(manifest).decode(),
            proof=tuple(map(b64u_encode, proof)),
            root=b64u_encode(tree.root()),
        )


def chunks_of(tables: Tables, time_ms: int) -> list[bytes]:
    """The chunks of a state."""
    rows = sorted(
        ((table, row) for table, of in tables.items() for row in of.values()), key=lambda at: (at[0], at[1].id)
    )
    lines = [line for table, row in rows if not is_forgotten(line := row_line(table, row), time_ms)]
    return list(cut_chunks(lines))


def robbed(tables: Tables) -> Tables:
    """The same state without one row that matters."""
    table = next(name for name in sorted(tables) if name != Nonce.table and tables[name])
    return {**tables, table: dict(list(tables[table].items())[1:])}


class Joining:
    """Mutable. One start of a node that may join."""

    def __init__(self, node: Node) -> None:
        self._node, self._world = node, node.world
        self._random = Random(f"joining {node.world.options.seed} {node.address} {node.incarnation} {node.world.now}")
        self._liars: dict[str, None] = {}
        self._manifest: Manifest | None = None
        self._history: History | None = None
        self._past: list[PastBlock] = []
        self._chunks: list[bytes] = []
        self._tries = 0
        self._robbed: Tables | None = None
        self._asked, self._deceit = node, ""

    def begin(self) -> None:
        """Ask a first question some time later."""
        self._world.at(self._random.randint(*STEP_MS), self._step)

    def _step(self) -> None:
        node, options = self._node, self._world.options
        if node.joining is not self:
            return None
        if not self._world.healed and self._random.random() < options.lose / 10:
            self._world.note(node, "is killed while it joins")
            node.joining = None
            return self._world.at(self._random.randint(50, 4_000), node.boot)
        self._tries += 1
        if self._tries > TRIES_MAX or not self._wants():
            return node.end_joining(joined=False)
        try:
            if self._advance():
                return node.end_joining(joined=True)
        except JoinRefused as error:
            self._world.note(node, f"finds out {self._asked.address}: {error}")
            self._world.watch.lies_found += 1
            self._liars[self._asked.address] = None
        return self.begin()

    def _wants(self) -> bool:
        """Is anybody so far ahead?"""
        heights = [other.height for other in self._world.nodes if other is not self._node]
        return max(heights, default=0) - len(self._node.disk.blocks) >= BEHIND

    def _advance(self) -> bool:
        """Ask for the next thing that is missing. True when all of it is here and loaded. Raises JoinRefused."""
        disk = self._node.disk
        if self._manifest is None:
            if disk.shown is None:
                return self._ask(self._show)
            if self._begin_with(disk.shown) is None:
                return False
        assert self._manifest is not None and self._history is not None
        if len(self._chunks) < len(self._manifest.chunks):
            number = len(self._chunks)
            return self._piece(f"chunk {number}", lambda library: self._chunk(library, number), self._take_chunk)
        if not self._history.is_whole:
            begin, end = self._history.height + 1, self._manifest.height
            return self._piece(f"page {begin}", lambda library: self._page(library, begin, end), self._take_page)
        return self._load()

    def _piece(self, name: str, ask: Callable[[Library], bytes], take: Callable[[bytes], None]) -> bool:
        kept = self._node.disk.pieces.get(name)
        if kept is not None:
            take(kept)
            return False

        def ask_and_keep(library: Library) -> None:
            answer = ask(library)
            take(answer)
            self._node.disk.pieces[name] = answer

        return self._ask(ask_and_keep)

    def _ask(self, question: Callable[[Library], None]) -> bool:
        """Of somebody within reach who was not found lying; the last of them is honest, or the run would not end."""
        others = [
            other
            for other in self._world.nodes
            if other.member != self._node.member and other.address not in self._liars and other.replica is not None
        ]
        if others:
            self._asked = self._random.choice(others)
            if self._world.reach(self._node, self._asked) and self._world.reach(self._asked, self._node):
                deceives = len(others) > 1 and self._random.random() < self._world.options.deceive
                self._deceit = self._random.choice(DECEITS) if deceives else ""
                if self._deceit != "silence":
                    question(Library(self._asked))
        return False

    # -- what is asked

    def _show(self, library: Library) -> None:
        shown, self._robbed = library.show(), None
        if shown is None:
            return
        if self._deceit in ("another state", "another checkpoint"):
            shown = self._forge(library, shown)
        raw = encode(shown)
        if self._begin_with(raw) is not None:
            self._node.disk.shown, self._node.disk.forged = raw, self._robbed

    def _forge(self, library: Library, shown: Snapshot) -> Snapshot:
        """A state that lacks a row, with a manifest that fits it."""
        manifest = joining.read_json(shown.manifest.encode(), Manifest)
        rows = robbed(library.tables(manifest.height) or {})
        after = After(
            manifest.height, manifest.block_id, manifest.size, b64u_decode(manifest.root), manifest.state_digest,
            manifest.time_ms, manifest.rules,
        )  # fmt: skip
        forged = manifest_of(
            after, ((table, row) for table, of in rows.items() for row in of.values()), RULEBOOK.find(manifest.rules)
        )
        self._robbed = rows
        if self._deceit == "another checkpoint":
            return library.forge_checkpoint(shown, forged)
        return replace(shown, manifest=encode(forged).decode())

    def _begin_with(self, raw: bytes) -> Manifest | None:
        """Fetch this state, if it is ahead. Raises JoinRefused."""
        node = self._node
        shown, annals = joining.read_json(raw, Snapshot), self._world.annals
        # Whom the links would prove (tests/ledger/test_succession.py); the annals know without.
        verify, quorum = self._world.keyring.verify_cosignature, annals.quorum(annals.of_size(shown.size))
        manifest = joining.check_snapshot(shown, quorum, verify, SCHEDULE, node.rules)
        application = node.application
        assert isinstance(application, DomainApplication)
        if manifest.height - len(node.disk.blocks) < 1:
            node.disk.forget_pieces()
            return None
        ledger, last = application.ledger, node.disk.blocks[-1].block if node.disk.blocks else None
        history = History.from_genesis(application.cluster_id, application.estate, RULEBOOK, manifest)
        if last is not None:
            history.height, history.block_id = last.height, last.block_id
            history.state_digest, history.tree = ledger.digest, ledger.frontier.copy()
        self._manifest, self._history = manifest, history
        return manifest

    def _chunk(self, library: Library, number: int) -> bytes:
        assert self._manifest is not None
        tables = library.tables(self._manifest.height)
        if tables is None:
            return self._start_over()
        chunks = chunks_of(self._node.disk.forged or tables, self._manifest.time_ms)
        if self._deceit == "another chunk":
            chunks = chunks_of(robbed(tables), self._manifest.time_ms)
        return chunks[number] if number < len(chunks) else b""

    def _page(self, library: Library, begin: int, end: int) -> bytes:
        if len(library.contents) < self._size():
            return b"{}"
        raw = encode(library.page(begin, end))
        if self._deceit == "another outcome":
            return raw.replace(
                b'\\"outcome\\":\\"accepted\\",\\"record\\"', b'\\"outcome\\":\\"expired\\",\\"record\\"', 1
            )
        return raw

    def _size(self) -> int:
        assert self._manifest is not None
        return self._manifest.size

    def _start_over(self) -> bytes:
        """The peer has let go of this state: another one is chosen."""
        self._node.disk.forget_pieces()
        self._manifest = self._history = None
        self._chunks, self._past = [], []
        return b""

    # -- what is believed

    def _take_chunk(self, chunk: bytes) -> None:
        if self._manifest is not None:
            joining.check_chunk(self._manifest, len(self._chunks), chunk)
            self._chunks.append(chunk)

    def _take_page(self, raw: bytes) -> None:
        assert self._history is not None
        history = replace_fields(self._history, tree=self._history.tree.copy())
        blocks = history.take(joining.read_json(raw, Page))
        for past in blocks:
            if not self._certifier(past.header.epoch).committed(past.certificate, past.header.height, past.block_id):
                raise JoinRefused(f"block {past.header.height} has no certificate")
        self._history = history
        self._past += blocks

    def _certifier(self, epoch: int) -> Certifier:
        """Of the members of an epoch, whoever asks."""
        annals, mode = self._world.annals, self._world.options.mode
        members = annals.epochs[epoch].members if epoch < len(annals.epochs) else ()
        cluster_id = self._node.config.cluster_id
        config = Config(members or ("nobody",), self._node.member, cluster_id, epoch, observes=True, mode=mode)
        return Certifier(config, HashKeyring(self._node.member, annals=annals, epoch=epoch))

    def _load(self) -> bool:
        """All at once, as the database's transaction does."""
        node, manifest = self._node, self._manifest
        assert manifest is not None
        application = node.application
        assert isinstance(application, DomainApplication)
        rows = [row for chunk in self._chunks for row in joining.read_rows(chunk)]
        node.disk.blocks += [_stored(application.cluster_id, past) for past in self._past]
        for past in self._past:
            node.disk.held.update(past.given)
        application.take_snapshot(manifest, rows, self._past)
        node.disk.forget_pieces()
        self._world.note(node, f"joins by the state after block {manifest.height}")
        return True


def _stored(cluster_id: bytes, past: PastBlock) -> StoredBlock:
    items = [item for content in past.contents if (item := _item(content)) is not None]
    block = make_block(cluster_id, past.header, items, tuple(sorted(past.given.items())))
    view = read_certificate(Commit, past.certificate)[0].body.view
    boundary = Boundary(block.height, block.block_id, past.size, past.root)
    return StoredBlock(block, past.certificate, view, boundary, past.state_digest)


def _item(content: bytes) -> bytes | None:
    """The item of a batch behind an entry, as DESIGN.md 2.4 says; None for the leaf."""
    entry: Mapping[str, object] = decode(content)
    if "record" in entry:
        return str(entry["record"]).encode()
    system = entry["system"]
    assert isinstance(system, dict)
    return None if system["kind"] == "block.leaf" else encode({k: system[k] for k in ("body", "due_ms", "key", "kind")})
