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
from server.consensus.suspicion import seal_is_wanted
from server.ledger.block import Header, entries_root
from server.record.canonical import Malformed


def propose(s: State) -> None:
    """Ask for a batch when this replica leads, nothing is in flight and there is work: natural batching.

    Work is a pending record, a timer that is due, or a seal that a row waits for.
    """
    slot = s.slot
    if slot.building or slot.nothing_to_build or not may_propose(s) or not _has_work(s):
        return
    slot.building = True
    s.emit(Build(s.height, s.tip.block_id, max(s.now_ms, s.tip.time_ms + 1)))


def may_propose(s: State) -> bool:
    """Whether this replica may propose a block of its own at the height in flight.

    It leads the view, has not voted in it, and the NEW-VIEW neither names a block for this height nor starts above it.
    """
    if not s.is_primary or not s.may_vote or (s.slot.vote is not None and s.slot.vote.view >= s.view):
        return False
    return s.height > base_of(s) and not named_block(s)


def base_of(s: State) -> int:
    """The height that the installed NEW-VIEW proves committed; 0 in view 0."""
    return s.installed.body.base_height if s.installed else 0


def named_block(s: State) -> str:
    """Id of the block that the NEW-VIEW prescribes for the height in flight, or empty."""
    return s.installed.body.block_id if s.installed and s.height == base_of(s) + 1 else ""


def _has_work(s: State) -> bool:
    due_ms = s.agenda.due_ms
    return bool(len(s.pool)) or (due_ms is not None and s.now_ms >= due_ms) or seal_is_wanted(s)


def on_built(s: State, event: Built) -> None:
    """Propose the batch, if the replica still may. An empty batch: wait for the next record or tick."""
    if event.height != s.height:
        return
    s.slot.building = False
    if not event.items:
        s.slot.nothing_to_build = True
    if not event.items or not may_propose(s) or event.time_ms <= s.tip.time_ms:
        return
    header = Header(
        entries_bytes=sum(map(len, event.items)),
        entries_root=entries_root(event.items),
        epoch=s.config.epoch,
        height=event.height,
        prev=s.tip.block_id,
        proposer=s.config.me,
        rules=event.rules,
        state_digest_prev=s.tip.state_digest,
        time_ms=event.time_ms,
    )
    block = make_block(s.config.cluster_id, header, event.items, event.attachments)
    s.slot.verdicts[block.block_id] = Verdict.OK
    s.slot.hold(block)
    cast_vote(s, block)


def on_pre_prepare(s: State, message: PrePrepareMessage) -> None:
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
    if s.phase != "normal" or body.view != s.view or body.height != s.height:
        return
    if body.sender != s.config.primary(body.view) or not on_prepare(s, message.prepare):
        return
    if s.slot.prepares[body.sender].raw != message.prepare.raw:
        return s.count("equivocation")
    block = s.slot.blocks.get(body.block_id)
    if block is None:
        block = unpack_block(s.config.cluster_id, message.block)
        if block.block_id != body.block_id or block.height != body.height:
            raise Malformed("the block is not the one that was signed")
        s.slot.hold(block)
    if _may_check(s, block):
        check(s, block, body.sender)


def _may_check(s: State, block: Block) -> bool:
    if not s.may_vote or (s.slot.vote is not None and s.slot.vote.view >= s.view) or s.height <= base_of(s):
        return False
    named = named_block(s)
    if named:
        return block.block_id == named and extends_tip(s, block)
    header = block.header
    if header.proposer != s.config.primary(s.view) or abs(header.time_ms - s.now_ms) > s.config.timeouts.clock_skew_ms:
        s.count("proposal_refused")
        return False
    return extends_tip(s, block)


def extends_tip(s: State, block: Block) -> bool:
    """Whether the block is the next of the own chain: height, predecessor, epoch, time and state."""
    header, tip = block.header, s.tip
    return (
        header.height == tip.height + 1
        and header.prev == tip.block_id
        and header.epoch == s.config.epoch
        and header.time_ms > tip.time_ms
        and header.state_digest_prev == tip.state_digest
    )


def check(s: State, block: Block, proposer: str) -> None:
    """Have a block checked that may be voted for, once; vote if it was found good before."""
    verdict = s.slot.verdicts.get(block.block_id)
    if verdict is Verdict.OK:
        cast_vote(s, block)
    elif verdict is None and block.block_id not in s.slot.checking:
        missing_ms = s.slot.missing_ms
        if missing_ms is not None and s.now_ms - missing_ms < s.config.timeouts.retry_ms:
            return
        s.slot.checking[block.block_id] = None
        s.emit(Check(block, proposer))


def on_checked(s: State, event: Checked) -> None:
    """Vote for the block that was found good, if it is still the one to vote for."""
    block = s.slot.blocks.get(event.block_id)
    if block is None or s.slot.checking.pop(event.block_id, "absent") == "absent":
        return
    s.slot.missing_ms = s.now_ms if event.verdict is Verdict.ATTACHMENTS_MISSING else None
    if s.slot.missing_ms is None:
        s.slot.verdicts[event.block_id] = event.verdict
    s.count(f"checked_{event.verdict.value}")
    if event.verdict is not Verdict.OK:
        return
    primary = s.slot.prepares.get(s.config.primary(s.view))
    proposed = primary is not None and (primary.body.view, primary.body.block_id) == (s.view, event.block_id)
    if (proposed or named_block(s) == event.block_id) and _may_check(s, block):
        cast_vote(s, block)


def cast_vote(s: State, block: Block) -> None:
    """Journal block and PREPARE, then send it. At most one vote at a view and height, also across restarts."""
    assert s.slot.vote is None or s.slot.vote.view < s.view
    prepare = s.sign(
        Prepare(block_id=block.block_id, epoch=s.config.epoch, height=block.height, sender=s.config.me, view=s.view)
    )
    entry = JournalEntry(Entry.VOTE, pack([prepare.raw, prepare.signature, pack_block(block)]))
    s.slot.vote = CastVote(prepare, s.now_ms, entry)
    s.slot.prepares[s.config.me] = prepare
    s.persist(entry)
    if is_proposal(s):
        s.send(PrePrepareMessage(prepare, pack_block(block)))
    else:
        s.send(prepare)


def is_proposal(s: State) -> bool:
    """Whether the own vote is the view's proposal: the primary's, for a block that no NEW-VIEW has announced."""
    return s.is_primary and s.slot.vote is not None and named_block(s) != s.slot.vote.block_id


def on_prepare(s: State, prepare: Signed[Prepare]) -> bool:
    """A vote. Kept when it is for the height in flight, signed by a member of this epoch, and of a later view than
    the sender's last one: each sender counts once in a view (PBFT 4.2). Returns whether the sender's vote is known."""
    body = prepare.body
    if body.height != s.height:
        return False
    known = s.slot.prepares.get(body.sender)
    if known is not None and known.body.view >= body.view:
        return known.body.view == body.view
    if not s.certifier.signed(prepare):
        s.count("bad_signature")
        return False
    s.slot.prepares[body.sender] = prepare
    return True


def prepare_if_quorum(s: State) -> None:
    """PBFT 4.2, prepared(m, v, n, i): a quorum of PREPAREs, the own one among them, for one block in the own view.

    The certificate is journalled with the own COMMIT before the block is executed and the COMMIT leaves.
    """
    vote, prepared = s.slot.vote, s.slot.prepared
    if s.phase != "normal" or vote is None or vote.view != s.view or (prepared and prepared.view >= vote.view):
        return
    votes = s.slot.preparers(vote.view, vote.block_id)
    if len(votes) < s.config.quorum:
        return
    commit = s.sign(
        Commit(
            block_id=vote.block_id,
            epoch=s.config.epoch,
            height=s.height,
            new_view=s.installed.digest if s.installed else "",
            sender=s.config.me,
            view=s.view,
        )
    )
    certificate = pack_certificate(votes)
    entry = JournalEntry(Entry.PREPARED, pack([certificate, commit.raw, commit.signature]))
    block = s.slot.blocks[vote.block_id]
    s.slot.prepared = PreparedBlock(vote.view, block, certificate, commit, (vote.entry, entry))
    s.slot.commit_sent = None
    s.persist(entry)
    execute(s, block)


def execute(s: State, block: Block) -> None:
    """Have a block executed in memory, once."""
    if block.block_id not in s.slot.results and block.block_id not in s.slot.executing:
        s.slot.executing[block.block_id] = None
        s.emit(Execute(block))
