"""Opening a node: the one place where its parts are made and put together, and taken apart again in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
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
from server.ledger.genesis import estate_of
from server.node.admission import Admission
from server.node.answers import Answers
from server.node.attachments import AttachmentDesk
from server.node.derivations import Derivations
from server.node.driver import Driver, Durable, first_failure
from server.node.evidence import EvidenceDesk
from server.node.footing import Footing, Founded, read_founded, stand
from server.node.joining import Ground, Joining
from server.node.mending import Mending
from server.node.node import Node
from server.node.outside import open_outside
from server.node.parts import Parts
from server.node.photo_desk import PhotoDesk
from server.node.pool import Pool
from server.node.private import Private, open_private
from server.node.receipts import Receipts
from server.node.resubmission import resubmit_abandoned
from server.node.snapshot_desk import SnapshotDesk
from server.node.standing import make_replica_config
from server.node.upkeep import keep_up
from server.storage.joining import JoiningFolder
from server.storage.ledger import Ledger
from server.storage.photos import PhotoIndex
from server.storage.snapshots import Snapshots
from server.storage.transcripts import TranscriptStore

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
    founded = read_founded(config, schedule, rulebook)
    async with _without_groups(), AsyncExitStack() as stack:
        footing = await stand(stack, founded)
        if await _make_joining(founded, footing).join():
            # The members may be others now: whom it talks to, and as whom.
            await stack.aclose()
            footing = await stand(stack, founded)
        standing, ledger, peers = footing.standing, footing.ledger, footing.peers
        private = open_private(ledger.database, founded.vault, standing.keys)
        outside = await stack.enter_async_context(open_outside(config, standing.keys.token))
        files, index = PhotoFiles(founded.data / "photos"), PhotoIndex(ledger.database)
        photos = PhotoDesk(files, index, peers, config.node.id, outside.clock.now_ms)
        parts = await _make_parts(footing, rulebook, private, photos, outside.clock.now_ms)
        SnapshotDesk(parts).serve(peers)
        node = Node(parts, peers, footing.guard, outside, private, founded.genesis_bytes)
        stack.push_async_callback(node.finish)
        stack.push_async_callback(parts.attachments.close)
        stack.push_async_callback(parts.snapshots.close)
        await _start(stack, node, footing.durable)
        yield node


@asynccontextmanager
async def _without_groups() -> AsyncIterator[None]:
    """The node's tasks run in a group; whoever opened the node is told the one failure that ended it."""
    try:
        yield
    except BaseExceptionGroup as failures:
        raise first_failure(failures) from failures


async def _make_parts(
    footing: Footing, rulebook: Rulebook, private: Private, photos: PhotoDesk, now_ms: Callable[[], int]
) -> Parts:
    standing, ledger, peers, keyring = footing.standing, footing.ledger, footing.peers, footing.keyring
    config, genesis, cluster_id = standing.config, standing.genesis, standing.cluster_id
    pool, estate = Pool(), estate_of(genesis, cluster_id)
    attachments = AttachmentDesk(ledger.openings, photos, peers, pool)
    attachments.serve()
    transcripts = TranscriptStore(ledger.database)
    replica_config = await make_replica_config(standing, rulebook, keyring, ledger)
    evidence = EvidenceDesk(transcripts, ledger, peers, Certifier(replica_config, keyring), keyring)
    await evidence.load()
    parts = Parts(
        config=config,
        genesis=genesis,
        membership=standing.membership,
        replica_config=replica_config,
        cluster_id=cluster_id,
        estate=estate,
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
        mending=Mending(ledger, attachments, estate, rulebook, now_ms),
        snapshots=Snapshots(ledger, Path(config.node.data) / "snapshots", rulebook),
        rulebook=rulebook,
        given=standing.given,
    )
    await parts.read_agenda()
    return parts


def _make_joining(founded: Founded, footing: Footing) -> Joining:
    standing = footing.standing
    node, pinned = founded.config.node.id, dict(standing.pinned)
    ground = Ground(founded.genesis, founded.cluster_id, founded.rulebook, standing.keys, node, pinned)
    return Joining(founded.config, ground, footing.ledger, footing.peers, JoiningFolder(founded.data / "joining"))


async def _start(stack: AsyncExitStack, node: Node, durable: Durable) -> None:
    """Restore the replica from what is durable, then run it and look for the peers."""
    parts, config = node.parts, node.config
    ledger = parts.ledger
    restored = await _restore(ledger, durable, parts.evidence)
    admission = Admission(ledger.rows, parts.attachments, parts.estate, lambda: parts.rules)
    trust = (parts.genesis, parts.cluster_id)
    receipts = Receipts(ledger, parts.checkpoints, parts.evidence, trust, parts.keys.log)
    answers = Answers(parts, admission, receipts, node.now_ms, node.note_changes, node.note_stop)
    replica = Replica(parts.replica_config, parts.keyring, restored)
    driver = Driver(replica, durable, answers, node.send, node.now_ms)
    parts.evidence.report = driver.put
    node.begin(driver, admission, receipts)
    driver.put(parts.agenda)
    await parts.snapshots.begin()
    stack.push_async_callback(node.hang_up)
    node.hear_peers()
    tasks = await stack.enter_async_context(asyncio.TaskGroup())
    beside = {
        "expiry": node.drop_expired,
        "upkeep": lambda: keep_up(ledger, node.photos, node.now_ms),
        "photos": node.photos.fetch_awaited,
    }
    if parts.keyring.is_member:  # nobody else is shown what is private
        beside["mending"] = parts.mending.run
    running = [tasks.create_task(driver.run(config.consensus.tick_ms, beside), name="driver")]
    running += [tasks.create_task(coroutine, name="peer") for coroutine in node.seek_peers()]
    data = Path(config.node.data)
    running.append(tasks.create_task(resubmit_abandoned(node, data), name="resubmission"))
    stack.callback(lambda: [task.cancel() for task in running])


async def _restore(ledger: Ledger, durable: Durable, evidence: EvidenceDesk) -> Restored:
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
    return Restored(tip, certificate, durable.journal.entries, durable.signer.mark, tuple(boundaries), kept)
