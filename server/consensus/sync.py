"""Catching up (consensus.md 2.6): fetch committed blocks with their certificates, verify, execute, store.

A certificate decides, not who sent it. Also here: fetching by id the batch of a block that a NEW-VIEW names.
"""

from __future__ import annotations

from server.consensus.block import pack_block, unpack_block
from server.consensus.certificates import read_certificate
from server.consensus.config import FRAME_BYTES_MAX, SYNC_BLOCKS_MAX, SYNC_BYTES_MAX
from server.consensus.effects import ReadBlocks
from server.consensus.events import BlocksRead
from server.consensus.messages import BatchMessage, Commit, Fetch, SyncReplyMessage, SyncRequest
from server.consensus.normal import named_block
from server.consensus.slot import Committed
from server.consensus.state import State
from server.consensus.view_change import stop_if_forked

_FRAME_ROOM = FRAME_BYTES_MAX * 3 // 4
"""Room for blocks in a reply; the rest is for certificates and lengths."""


def note_height(s: State, member: str, height: int) -> None:
    """A peer claims to have stored this height. Not trusted: it only says whom to ask."""
    s.sync.heights[member] = height


def ask_if_behind(s: State) -> None:
    """Ask one peer that claims more, another one after each retry time, while nothing fetched waits to be executed.

    Being one block behind is the normal case for a moment; it counts only when it lasts.
    """
    sync, retry_ms = s.sync, s.config.timeouts.retry_ms
    ahead = [member for member in s.config.others if sync.heights.get(member, 0) > s.tip.height]
    if not ahead or s.slot.committed is not None or sync.queue:
        sync.behind_since_ms = None
        return
    if sync.behind_since_ms is None:
        sync.behind_since_ms = s.now_ms
    far = max(sync.heights[member] for member in ahead) > s.height
    if not far and s.now_ms - sync.behind_since_ms < retry_ms // 2:
        return
    if sync.asked_ms is not None and s.now_ms - sync.asked_ms < retry_ms:
        return
    later = [member for member in ahead if member > sync.asked]
    sync.asked, sync.asked_ms = (later or ahead)[0], s.now_ms
    s.send(SyncRequest(from_height=s.height), sync.asked)


def ask_for_proof_of_fork(s: State, sender: str, height: int, tip: str) -> None:
    """A peer claims another block at an own height: ask for it with its certificate. If there is one, that is a fork;
    the claim alone is nothing (consensus.md 1.3 H3)."""
    sync = s.sync
    if s.recent.get(height, tip) == tip or (
        sync.asked_ms is not None and s.now_ms - sync.asked_ms < s.config.timeouts.retry_ms
    ):
        return
    sync.asked_ms = s.now_ms
    s.send(SyncRequest(from_height=height), sender)


def on_sync_request(s: State, sender: str, message: SyncRequest) -> None:
    """A peer asks for blocks. Served also by a stopped replica: what it stored is certified. One answer at a time."""
    if 1 <= message.from_height <= s.tip.height:
        s.emit(ReadBlocks(sender, message.from_height, SYNC_BLOCKS_MAX, SYNC_BYTES_MAX))


def on_blocks_read(s: State, event: BlocksRead) -> None:
    """Send the blocks that fit a frame, with certificates and the small attachments that are still here."""
    pairs: list[tuple[bytes, bytes]] = []
    room = _FRAME_ROOM
    for block, certificate in event.blocks[:SYNC_BLOCKS_MAX]:
        packed = pack_block(block)
        room -= len(packed) + len(certificate)
        if room < 0 and pairs:
            break
        pairs.append((packed, certificate))
    if pairs:
        s.send(SyncReplyMessage(tuple(pairs)), event.to)


def on_sync_reply(s: State, message: SyncReplyMessage) -> None:
    """Blocks of a peer. Each is taken when its certificate holds and it follows the one before; the first that does not
    ends the reply. A certified block that is not the own one at its height, or whose predecessor is not the own tip, is
    a fork: stop (consensus.md 1.3 H3). Another answer while one is worked on is dropped."""
    s.sync.asked_ms = None
    if s.phase == "stopped" or s.sync.queue or s.slot.committed is not None:
        return
    prev, height = s.tip.block_id, s.tip.height
    for packed, certificate in message.blocks:
        block = unpack_block(s.config.cluster_id, packed)
        if block.height > height + 1 or block.header.epoch != s.config.epoch:
            return
        if block.height <= s.tip.height and s.recent.get(block.height) == block.block_id:
            continue
        if not s.certifier.committed(certificate, block.height, block.block_id):
            return s.count("bad_certificate")
        if block.height <= s.tip.height:
            stop_if_forked(s, block.height, block.block_id)
            return
        if block.header.prev != prev:
            if height == s.tip.height:
                s.stop("fork", f"a quorum committed block {block.height} after {block.header.prev}, not after {prev}")
            return
        s.sync.queue.append((block, certificate))
        prev, height = block.block_id, block.height
    s.count("sync_replies")


def take_synced(s: State) -> None:
    """The next fetched block is as good as committed here: it has the certificate.

    The tip may meanwhile be another block, committed by votes; two certified blocks at one height are a fork.
    """
    if s.slot.committed is not None or s.phase == "stopped":
        return
    while s.sync.queue:
        block, certificate = s.sync.queue.pop(0)
        if block.height == s.height and block.header.prev != s.tip.block_id:
            return s.stop("fork", f"block {block.height} was fetched with a certificate, but follows another chain")
        if block.height == s.height:
            first = read_certificate(Commit, certificate)[0].body
            s.slot.committed = Committed(block, certificate, first.view, first.new_view)
            return


def fetch_named_block(s: State) -> None:
    """Ask a peer for the batch of the block that the NEW-VIEW names, each retry time another one (decisions 9)."""
    named = named_block(s)
    if not named or not s.may_vote or named in s.slot.blocks:
        s.sync.fetched_ms = None
        return
    if s.sync.fetched_ms is not None and s.now_ms - s.sync.fetched_ms < s.config.timeouts.retry_ms:
        return
    others = s.config.others
    s.sync.fetched_ms, s.sync.fetches = s.now_ms, s.sync.fetches + 1
    s.send(Fetch(block_id=named, height=s.height), others[s.sync.fetches % len(others)])


def on_fetch(s: State, sender: str, message: Fetch) -> None:
    """A peer lacks a batch: answered when the block is held for the height in flight."""
    block = s.slot.blocks.get(message.block_id)
    if block is not None and message.height == s.height:
        s.send(BatchMessage(pack_block(block)), sender)


def on_batch(s: State, message: BatchMessage) -> None:
    """The batch of the block that the NEW-VIEW names; any other is ignored."""
    named = named_block(s)
    if named and named not in s.slot.blocks:
        block = unpack_block(s.config.cluster_id, message.block)
        if block.block_id == named:
            s.slot.hold(block)
