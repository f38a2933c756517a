"""Opening a node: the one place where its parts are made and put together, and taken apart again in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import structlog

from server.config import Config
from server.consensus.certificates import Certifier
from server.consensus.config import BOUNDARIES_KEPT_MAX
from server.consensus.replica import Replica
from server.consensus.restored import Boundary, Restored, Tip
from server.domain import RULEBOOK
from server.domain.genesis_rows import trust_of
from server.domain.rules import Rulebook
from server.domain.state_root import Schedule
from server.gateway.photos import PhotoFiles
from server.ledger.genesis import Genesis, estate_of, parse_genesis
from server.node.admission import Admission
from server.node.answers import Answers
from server.node.attachments import AttachmentDesk
from server.node.derivations import Derivations
from server.node.driver import Driver, Durable, first_failure
from server.node.evidence import EvidenceDesk
from server.node.keyring import read_secret
from server.node.node import Node
from server.node.outside import open_outside
from server.node.parts import Parts
from server.node.photo_desk import PhotoDesk
from server.node.pool import Pool
from server.node.private import Private, open_private
from server.node.receipts import Receipts
from server.node.room import check_room
from server.node.standing import Standing, StartRefused, make_peers, make_replica_config, read_standing
from server.node.transport import Peers
from server.node.upkeep import keep_up
from server.record.canonical import Malformed, b64u_encode
from server.storage.database import Database
from server.storage.journal import Journal, replace_file
from server.storage.ledger import Ledger
from server.storage.photos import PhotoIndex
from server.storage.replay import open_ledger
from server.storage.signer import SignerFile
from server.storage.snapshots import Snapshots
from server.storage.transcripts import TranscriptStore
from server.storage.vault import Vault

log = structlog.get_logger()


@asynccontextmanager
async def open_node(
    config: Config, schedule: Schedule | None = None, rulebook: Rulebook = RULEBOOK
) -> AsyncIterator[Node]:
    """A node with its replica running and its peers being sought. All nodes of a ledger have one `schedule`.

    `rulebook`: the rules that this release knows; a test gives another one to be an older or a later release.

    Raises StartRefused, NoRoom, DatabaseFault, JournalCorrupt, SignerRefused, ReplayDiffers; later, into the
    caller's block, NodeFailed.
    """
    founding, cluster_id, data_bytes = _read_genesis(Path(config.node.genesis))
    vault = Vault(read_secret(Path(config.node.keys) / "vault.key"))
    data = _make_folder(Path(config.node.data))
    check_room(data)
    async with _without_groups(), AsyncExitStack() as stack:
        database = await Database.open(config.database.url or f"sqlite://{data / 'node.db'}")
        stack.push_async_callback(database.close)
        ledger = await open_ledger(database, founding, cluster_id, vault, schedule, rulebook)
        standing = await read_standing(config, founding, cluster_id, ledger)
        peers = make_peers(standing)
        private = open_private(database, vault, standing.keys)
        outside = await stack.enter_async_context(open_outside(config, standing.keys.token))
        files, index = PhotoFiles(data / "photos"), PhotoIndex(database)
        photos = PhotoDesk(files, index, peers, config.node.id, outside.clock.now_ms)
        parts = await _make_parts(standing, rulebook, ledger, private, peers, photos)
        node = Node(parts, peers, outside, private, data_bytes)
        stack.push_async_callback(node.finish)
        stack.push_async_callback(parts.attachments.close)
        stack.push_async_callback(parts.snapshots.close)
        await _start(stack, node, data)
        yield node


@asynccontextmanager
async def _without_groups() -> AsyncIterator[None]:
    """The node's tasks run in a group; whoever opened the node is told the one failure that ended it."""
    try:
        yield
    except BaseExceptionGroup as failures:
        raise first_failure(failures) from failures


def _make_folder(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    return path


def _read_genesis(path: Path) -> tuple[Genesis, bytes, bytes]:
    try:
        data = path.read_bytes()
        genesis, cluster_id = parse_genesis(data)
    except OSError as error:
        raise StartRefused(f"cannot read {path}: {error.strerror}") from None
    except Malformed as error:
        raise StartRefused(f"{path} is not a genesis file: {error}") from None
    return genesis, cluster_id, data


async def _make_parts(
    standing: Standing, rulebook: Rulebook, ledger: Ledger, private: Private, peers: Peers, photos: PhotoDesk
) -> Parts:
    config, genesis, cluster_id = standing.config, standing.genesis, standing.cluster_id
    pool = Pool()
    attachments = AttachmentDesk(ledger.openings, photos, peers, pool)
    attachments.serve()
    keyring = standing.keyring
    transcripts = TranscriptStore(ledger.database)
    replica_config = await make_replica_config(standing, rulebook, keyring, ledger)
    evidence = EvidenceDesk(transcripts, peers, Certifier(replica_config, keyring), keyring)
    await evidence.load()
    parts = Parts(
        config=config,
        genesis=genesis,
        membership=standing.membership,
        replica_config=replica_config,
        cluster_id=cluster_id,
        estate=estate_of(genesis, cluster_id),
        trust=trust_of(genesis, cluster_id),
        keys=standing.keys,
        keyring=keyring,
        ledger=ledger,
        attachments=attachments,
        derivations=Derivations(ledger.rows, private.queries, attachments),
        transcripts=transcripts,
        photos=photos,
        evidence=evidence,
        pool=pool,
        snapshots=Snapshots(ledger, Path(config.node.data) / "snapshots", rulebook),
        rulebook=rulebook,
    )
    await parts.read_agenda()
    return parts


async def _start(stack: AsyncExitStack, node: Node, data: Path) -> None:
    """Restore the replica from what is durable, then run it and look for the peers."""
    parts, config = node.parts, node.config
    ledger = parts.ledger
    has_blocks = ledger.tip.height > 0
    mark, own = Path(config.node.keys) / "voted", b64u_encode(parts.keys.consensus.public)
    if not has_blocks:
        _check_mark(mark, own, data)
    if parts.keyring.is_member:
        _mark_beginning(mark, own)
    journal = await asyncio.to_thread(Journal.open, data / "journal", expected=has_blocks)
    stack.callback(journal.close)
    # Blocks alone do not say that it has signed: it may have ended between storing its first one and signing that.
    has_signed = has_blocks and await ledger.cosignatures.newest_size(len(node.members())) > 0
    signer = SignerFile.open(data / "signer", expected=has_signed)
    restored = await _restore(ledger, journal, signer, parts.evidence)
    admission = Admission(ledger.rows, parts.attachments, parts.estate, lambda: parts.rules)
    receipts = Receipts(ledger, parts.checkpoints, parts.genesis.origin, parts.keys.log)
    answers = Answers(parts, admission, receipts, node.now_ms, node.note_changes, node.note_stop)
    replica = Replica(parts.replica_config, parts.keyring, restored)
    driver = Driver(replica, Durable(journal, signer), answers, node.send, node.now_ms)
    parts.evidence.report = driver.put
    node.begin(driver, admission, receipts)
    driver.put(parts.agenda)
    await parts.snapshots.begin()
    stack.push_async_callback(node.hang_up)
    await _listen(node)
    tasks = await stack.enter_async_context(asyncio.TaskGroup())
    beside = {
        "expiry": node.drop_expired,
        "upkeep": lambda: keep_up(ledger, node.photos, node.now_ms),
        "photos": node.photos.fetch_awaited,
    }
    running = [tasks.create_task(driver.run(config.consensus.tick_ms, beside), name="driver")]
    running += [tasks.create_task(coroutine, name="peer") for coroutine in node.seek_peers()]
    stack.callback(lambda: [task.cancel() for task in running])


async def _listen(node: Node) -> None:
    transport = node.config.transport
    try:
        await node.listen_to_peers()
    except OSError as error:
        raise StartRefused(f"cannot listen for peers on {transport.host}:{transport.port}: {error.strerror}") from None


def _marked(mark: Path) -> list[str]:
    return mark.read_text("ascii").split() if mark.exists() else []


def _mark_beginning(mark: Path, own: str) -> None:
    """Note beside the keys that this one votes from now on."""
    known = _marked(mark)
    if own not in known:
        replace_file(mark, "\n".join([*known, own, ""]).encode())


def _check_mark(mark: Path, own: str, data: Path) -> None:
    """Refuse a folder without a journal for a key that has voted, whether it is a member's now or will be found to be.

    The ledger cannot tell: it was lost with the journal. Keys and data are seldom lost together. Raises StartRefused.
    """
    if own in _marked(mark) and not (data / "journal").exists():
        raise StartRefused(
            f"{data} holds no journal, but this node has voted before ({mark} says so), and may have voted what it no "
            "longer knows. Put the folder back as it was at its end. If that cannot be, let the operators agree on new "
            "keys (docs/members.md). Where there are none: make sure that the other nodes have ordered blocks since, "
            "remove the mark, and start again; the ledger is then fetched from them."
        )


async def _restore(ledger: Ledger, journal: Journal, signer: SignerFile, evidence: EvidenceDesk) -> Restored:
    stored = ledger.tip
    tip = Tip(stored.height, stored.block_id, stored.time_ms, stored.size, stored.root, stored.state_digest)
    boundaries, certificate = [], b""
    height = max(1, stored.height - BOUNDARIES_KEPT_MAX + 1)
    while height <= stored.height:
        blocks = await ledger.blocks(height)
        boundaries += [Boundary(one.header.height, one.block_id, one.size, one.root) for one in blocks]
        certificate = blocks[-1].certificate
        height = blocks[-1].header.height + 1
    kept = tuple(one.packed for one in evidence.all)
    return Restored(tip, certificate, journal.entries, signer.mark, tuple(boundaries), kept)
