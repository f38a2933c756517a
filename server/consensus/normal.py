"""The normal case up to PREPARED: propose, pre-prepare, prepare (PBFT 4.2), one block in flight.

Where it differs from the paper: the driver builds and checks batches beside the core and answers by events; a replica
votes only when it holds the block's attachments (decisions 3); a vote is journalled with its block before it leaves.
"""

from __future__ import annotations

from server.consensus.block import Block, make_block, pack_block, unpack_block
from server.consensus.certificates import pack_certificate
from server.consensus.effects import Build, Check, Entry, Execute, JournalEntry
from server.consensus.events import Built, Checked, Verdict
from server.consensus.messages import Commit, Prepare, PrePrepareMessage, Signed
from server.consensus.packing import pack
from server.consensus.slot import CastVote, PreparedBlock
from server.consensus.state import State
from server.consensus.suspicion import evidence_is_wanted, seal_is_wanted
from server.ledger.block import Header, entries_root
from server.record.canonical import Malformed


def propose(state: State) -> None:
    """Ask for a batch when this replica leads, nothing is in flight and there is work: natural batching.

    Work is a pending record, a timer that is due, a seal that a row waits for, or evidence that is not ordered yet.
    """
    slot = state.slot
    if slot.building or slot.nothing_to_build or not may_propose(state) or not _has_work(state):
        return
    slot.building = True
    state.emit(Build(state.height, state.tip.block_id, max(state.wall_ms, state.tip.time_ms + 1)))


def may_propose(state: State) -> bool:
    """Whether this replica may propose a block of its own at the height in flight.

    It leads the view, has not voted in it, and the NEW-VIEW neither names a block for this height nor starts above it.
    """
    if (
        not state.is_primary
        or not state.may_vote
        or (state.slot.vote is not None and state.slot.vote.view >= state.view)
    ):
        return False
    return state.height > base_of(state) and not named_block(state)


def base_of(state: State) -> int:
    """The height that the installed NEW-VIEW proves committed; 0 in view 0."""
    return state.installed.body.base_height if state.installed else 0


def named_block(state: State) -> str:
    """Id of the block that the NEW-VIEW prescribes for the height in flight, or empty."""
    return state.installed.body.block_id if state.installed and state.height == base_of(state) + 1 else ""


def _has_work(state: State) -> bool:
    due_ms = state.agenda.due_ms
    is_due = due_ms is not None and state.wall_ms >= due_ms
    return bool(len(state.pool)) or is_due or seal_is_wanted(state) or evidence_is_wanted(state)


def on_built(state: State, event: Built) -> None:
    """Propose the batch, if the replica still may. An empty batch: wait for the next record or tick."""
    if event.height != state.height:
        return
    state.slot.building = False
    if not event.items:
        state.slot.nothing_to_build = True
    if not event.items or not may_propose(state) or event.time_ms <= state.tip.time_ms:
        return
    header = Header(
        entries_bytes=sum(map(len, event.items)),
        entries_root=entries_root(event.items),
        epoch=state.config.epoch,
        height=event.height,
        prev=state.tip.block_id,
        proposer=state.config.me,
        rules=event.rules,
        state_digest_prev=state.tip.state_digest,
        time_ms=event.time_ms,
    )
    block = make_block(state.config.cluster_id, header, event.items, event.attachments)
    state.slot.verdicts[block.block_id] = Verdict.OK
    state.slot.hold(block)
    cast_vote(state, block)


def on_pre_prepare(state: State, message: PrePrepareMessage) -> None:
    """A primary proposes. Accepted (PBFT 4.2, consensus.md 2.4) when

    - it is for the view and the height in flight, signed by that view's primary, in this epoch;
    - header and items fit each other and the id that was signed;
    - this replica has not voted in this view at this height;
    - it is the very block that the NEW-VIEW names for this height, if it names one; else
    - the primary is its proposer, and its time is after its predecessor's and within 5 s of the own clock;
    - its predecessor is the own tip, and it names the own state digest.

    Then the driver checks the batch. A block that is held but not voted for can still be committed by others.
    """
    body = message.prepare.body
    if state.phase != "normal" or body.view != state.view or body.height != state.height:
        return
    if body.sender != state.primary(body.view) or not on_prepare(state, message.prepare):
        return
    if state.slot.prepares[body.sender].raw != message.prepare.raw:
        return state.count("equivocation")
    block = state.slot.blocks.get(body.block_id)
    if block is None:
        block = unpack_block(state.config.cluster_id, message.block)
        if block.block_id != body.block_id or block.height != body.height:
            raise Malformed("the block is not the one that was signed")
        state.slot.hold(block)
    if _may_check(state, block):
        check(state, block, body.sender)


def _may_check(state: State, block: Block) -> bool:
    if (
        not state.may_vote
        or (state.slot.vote is not None and state.slot.vote.view >= state.view)
        or state.height <= base_of(state)
    ):
        return False
    named = named_block(state)
    if named:
        return block.block_id == named and extends_tip(state, block)
    header = block.header
    if (
        header.proposer != state.primary(state.view)
        or abs(header.time_ms - state.wall_ms) > state.config.timeouts.clock_skew_ms
    ):
        state.count("proposal_refused")
        return False
    return extends_tip(state, block)


def follows_tip(state: State, block: Block) -> bool:
    """Whether the block's predecessor is the own tip: asked before a vote, a commit, and taking a fetched block.

    Without it two branches agree again on later blocks, and sealed prefixes conflict (consensus.md 1.3 H3).
    """
    return block.header.prev == state.tip.block_id


def extends_tip(state: State, block: Block) -> bool:
    """Whether the block is the next of the own chain: height, predecessor, epoch, time and state."""
    header, tip = block.header, state.tip
    return (
        header.height == tip.height + 1
        and follows_tip(state, block)
        and header.epoch == state.config.epoch
        and header.time_ms > tip.time_ms
        and header.state_digest_prev == tip.state_digest
    )


def check(state: State, block: Block, proposer: str) -> None:
    """Have a block checked that may be voted for, once; vote if it was found good before."""
    verdict = state.slot.verdicts.get(block.block_id)
    if verdict is Verdict.OK:
        cast_vote(state, block)
    elif verdict is None and block.block_id not in state.slot.checking:
        missing_ms = state.slot.missing_ms
        if missing_ms is not None and state.now_ms - missing_ms < state.config.timeouts.retry_ms:
            return
        state.slot.checking[block.block_id] = None
        state.emit(Check(block, proposer))


def on_checked(state: State, event: Checked) -> None:
    """Vote for the block that was found good, if it is still the one to vote for."""
    block = state.slot.blocks.get(event.block_id)
    if block is None or state.slot.checking.pop(event.block_id, "absent") == "absent":
        return
    state.slot.missing_ms = state.now_ms if event.verdict is Verdict.ATTACHMENTS_MISSING else None
    if state.slot.missing_ms is None:
        state.slot.verdicts[event.block_id] = event.verdict
    state.count(f"checked_{event.verdict.value}")
    if event.verdict is not Verdict.OK:
        return
    primary = state.slot.prepares.get(state.primary(state.view))
    proposed = primary is not None and (primary.body.view, primary.body.block_id) == (state.view, event.block_id)
    if (proposed or named_block(state) == event.block_id) and _may_check(state, block):
        cast_vote(state, block)


def cast_vote(state: State, block: Block) -> None:
    """Journal block and PREPARE, then send it. At most one vote at a view and height, also across restarts."""
    assert state.slot.vote is None or state.slot.vote.view < state.view
    prepare = state.sign(
        Prepare(
            block_id=block.block_id,
            epoch=state.config.epoch,
            height=block.height,
            sender=state.config.me,
            view=state.view,
        )
    )
    packed = pack_block(block)
    entry = JournalEntry(Entry.VOTE, pack([prepare.raw, prepare.signature, packed]))
    state.slot.vote = CastVote(prepare, state.now_ms, entry)
    state.slot.prepares[state.config.me] = prepare
    state.persist(entry)
    if is_proposal(state):
        state.send(PrePrepareMessage(prepare, packed))
    else:
        state.send(prepare)


def is_proposal(state: State) -> bool:
    """Whether the own vote is the view's proposal: the primary's, for a block that no NEW-VIEW has announced."""
    return state.is_primary and state.slot.vote is not None and named_block(state) != state.slot.vote.block_id


def on_prepare(state: State, prepare: Signed[Prepare]) -> bool:
    """A vote. Kept when it is for the height in flight, signed by a member of this epoch, and of a later view than
    the sender's last one: each sender counts once in a view (PBFT 4.2). Returns whether the sender's vote is known."""
    body = prepare.body
    if body.height != state.height:
        return False
    if body.sender == state.config.me:
        return _recall(state, prepare)
    known = state.slot.prepares.get(body.sender)
    if known is not None and known.body.view >= body.view:
        return known.body.view == body.view
    if not state.certifier.signed(prepare):
        state.count("bad_signature")
        return False
    state.slot.prepares[body.sender] = prepare
    return True


def _recall(state: State, prepare: Signed[Prepare]) -> bool:
    """A peer shows a vote of this member. One that it does not know was cast before its folder was put back."""
    vote = state.slot.vote
    if (vote is None or vote.view < prepare.body.view) and state.certifier.signed(prepare):
        state.recall(prepare.body.height)
    return vote is not None and vote.view == prepare.body.view


def prepare_if_quorum(state: State) -> None:
    """PBFT 4.2, prepared(m, v, n, i): a quorum of PREPAREs, the own one among them, for one block in the own view.

    The certificate is journalled with the own COMMIT before the block is executed and the COMMIT leaves.
    """
    vote, prepared = state.slot.vote, state.slot.prepared
    if state.phase != "normal" or vote is None or vote.view != state.view or (prepared and prepared.view >= vote.view):
        return
    votes = state.slot.preparers(vote.view, vote.block_id)
    if len(votes) < state.config.quorum:
        return
    commit = state.sign(
        Commit(
            block_id=vote.block_id,
            epoch=state.config.epoch,
            height=state.height,
            new_view=state.installed.digest if state.installed else "",
            sender=state.config.me,
            view=state.view,
        )
    )
    certificate = pack_certificate(votes)
    entry = JournalEntry(Entry.PREPARED, pack([certificate, commit.raw, commit.signature]))
    block = state.slot.blocks[vote.block_id]
    state.slot.prepared = PreparedBlock(vote.view, block, certificate, commit, (vote.entry, entry))
    state.slot.commit_sent = None
    state.persist(entry)
    execute(state, block)


def execute(state: State, block: Block) -> None:
    """Have a block executed in memory, once; one of rules that this release does not know stops it instead."""
    if state.stop_if_outdated(block.header.rules, f"block {block.height}"):
        return
    if block.block_id not in state.slot.results and block.block_id not in state.slot.executing:
        state.slot.executing[block.block_id] = None
        state.emit(Execute(block))
