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
from server.consensus.normal import follows_tip, named_block
from server.consensus.slot import Committed
from server.consensus.state import State
from server.consensus.view_change import stop_if_forked

_FRAME_ROOM = FRAME_BYTES_MAX * 3 // 4
"""Room for blocks in a reply; the rest is for certificates and lengths."""


def note_height(state: State, member: str, height: int) -> None:
    """A peer claims to have stored this height. Not trusted: it only says whom to ask."""
    state.sync.heights[member] = height


def ask_if_behind(state: State) -> None:
    """Ask one peer that claims more, another one after each retry time, while nothing fetched waits to be executed.

    Being one block behind is the normal case for a moment; it counts only when it lasts.
    """
    sync, retry_ms = state.sync, state.config.timeouts.retry_ms
    ahead = [member for member in state.config.others if sync.heights.get(member, 0) > state.tip.height]
    if not ahead or state.slot.committed is not None or sync.queue:
        sync.behind_since_ms = None
        return
    if sync.behind_since_ms is None:
        sync.behind_since_ms = state.now_ms
    far = max(sync.heights[member] for member in ahead) > state.height
    if not far and state.now_ms - sync.behind_since_ms < retry_ms // 2:
        return
    if sync.asked_ms is not None and state.now_ms - sync.asked_ms < retry_ms:
        return
    later = [member for member in ahead if member > sync.asked]
    sync.asked, sync.asked_ms = (later or ahead)[0], state.now_ms
    state.send(SyncRequest(from_height=state.height), sync.asked)


def ask_for_proof_of_fork(state: State, sender: str, height: int, tip: str) -> None:
    """A peer claims another block at an own height: ask for it with its certificate. If there is one, that is a fork;
    the claim alone is nothing (consensus.md 1.3 H3)."""
    sync = state.sync
    if state.recent.get(height, tip) == tip or (
        sync.asked_ms is not None and state.now_ms - sync.asked_ms < state.config.timeouts.retry_ms
    ):
        return
    sync.asked_ms = state.now_ms
    state.send(SyncRequest(from_height=height), sender)


def on_sync_request(state: State, sender: str, message: SyncRequest) -> None:
    """A peer asks for blocks. Served also by a stopped replica: what it stored is certified. One answer at a time."""
    if 1 <= message.from_height <= state.tip.height:
        state.emit(ReadBlocks(sender, message.from_height, SYNC_BLOCKS_MAX, SYNC_BYTES_MAX))


def on_blocks_read(state: State, event: BlocksRead) -> None:
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
        state.send(SyncReplyMessage(tuple(pairs)), event.to)


def on_sync_reply(state: State, message: SyncReplyMessage) -> None:
    """Blocks of a peer. Each is taken when its certificate holds and it follows the one before; the first that does not
    ends the reply. A certified block that is not the own one at its height, or whose predecessor is not the own tip, is
    a fork: stop (consensus.md 1.3 H3). Another answer while one is worked on is dropped."""
    state.sync.asked_ms = None
    if state.phase == "stopped" or state.sync.queue or state.slot.committed is not None:
        return
    prev, height = state.tip.block_id, state.tip.height
    for packed, certificate in message.blocks:
        block = unpack_block(state.config.cluster_id, packed)
        if block.height > height + 1 or block.header.epoch != state.config.epoch:
            return
        if block.height <= state.tip.height and state.recent.get(block.height) == block.block_id:
            continue
        if state.config.abandons(block.height, block.block_id):
            return state.count("abandoned")
        if not state.certifier.committed(certificate, block.height, block.block_id):
            return state.count("bad_certificate")
        if block.height <= state.tip.height:
            stop_if_forked(state, block.height, block.block_id)
            return
        if block.header.prev != prev:
            if height == state.tip.height:
                state.stop(
                    "fork", f"a quorum committed block {block.height} after {block.header.prev}, not after {prev}"
                )
            return
        state.sync.queue.append((block, certificate))
        prev, height = block.block_id, block.height
    state.count("sync_replies")


def take_synced(state: State) -> None:
    """The next fetched block is as good as committed here: it has the certificate.

    The tip may meanwhile be another block, committed by votes; two certified blocks at one height are a fork.
    """
    if state.slot.committed is not None or state.phase == "stopped":
        return
    while state.sync.queue:
        block, certificate = state.sync.queue.pop(0)
        if block.height == state.height and not follows_tip(state, block):
            return state.stop("fork", f"block {block.height} was fetched with a certificate, but follows another chain")
        if block.height == state.height:
            first = read_certificate(Commit, certificate)[0].body
            state.slot.committed = Committed(block, certificate, first.view, first.new_view)
            return


def fetch_named_block(state: State) -> None:
    """Ask a peer for the batch of the block that the NEW-VIEW names, each retry time another one (decisions 9)."""
    named = named_block(state)
    if not named or not state.may_vote or named in state.slot.blocks:
        state.sync.fetched_ms = None
        return
    if state.sync.fetched_ms is not None and state.now_ms - state.sync.fetched_ms < state.config.timeouts.retry_ms:
        return
    others = state.config.others
    state.sync.fetched_ms, state.sync.fetches = state.now_ms, state.sync.fetches + 1
    state.send(Fetch(block_id=named, height=state.height), others[state.sync.fetches % len(others)])


def on_fetch(state: State, sender: str, message: Fetch) -> None:
    """A peer lacks a batch: answered when the block is held for the height in flight."""
    block = state.slot.blocks.get(message.block_id)
    if block is not None and message.height == state.height:
        state.send(BatchMessage(pack_block(block)), sender)


def on_batch(state: State, message: BatchMessage) -> None:
    """The batch of the block that the NEW-VIEW names; any other is ignored."""
    named = named_block(state)
    if named and named not in state.slot.blocks:
        block = unpack_block(state.config.cluster_id, message.block)
        if block.block_id == named:
            state.slot.hold(block)
