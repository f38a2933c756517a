"""How one membership follows from the one before: proofs that a phone checks with nothing but genesis (DESIGN.md D26).

Each link holds two tlog-proofs. The first shows that the change was ordered, under a checkpoint that everybody who
stays as it is has signed; the operators' signatures are in it. The second shows the last entry of the epoch, signed by
a quorum of the next one: it says for which sizes of the log each membership is good. It must not know where links are
kept.

Where an epoch ended in a fork (D32) the first proof shows the resolution, first entry of the next epoch, and the second
the last entry of the kept branch right before it, both signed by a quorum of the next one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple

import msgspec

from server.ledger.block import ACCEPTED, LEAF_KIND
from server.ledger.checkpoint import Checkpoint, parse_note, verify_lines
from server.ledger.genesis import Genesis
from server.ledger.membership import (
    Epoch,
    Membership,
    SignedChange,
    check_change,
    founding_epoch,
    names_of,
    refuse_change,
)
from server.ledger.merkle import ProofError, leaf_hash, verify_inclusion
from server.ledger.receipt import DerivedEntry, Entry, RecordEntry, parse_entry, parse_proof
from server.ledger.resolution import (
    RESOLUTION_KIND,
    CulpritOf,
    SignedResolution,
    check_culprits,
    check_resolution,
    epoch_after,
    refuse_resolution,
)
from server.record.canonical import Malformed, decode
from server.record.envelope import parse_record
from server.record.shape import parse

CHANGE_KIND = "members.change"


class Link(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """From one epoch to the next: two tlog-proofs."""

    change: str
    end: str


class SuccessionError(ProofError):
    """The links do not lead from genesis to another membership. The message says at which one and why."""


class Ground(NamedTuple):
    """What links are followed on: the ledger's names, how many of n members decide, and how guilt is proved."""

    origin: str
    cluster_id: bytes
    estate: str
    quorum_of: Callable[[int], int]
    culprit_of: CulpritOf


def follow_links(
    genesis: Genesis,
    cluster_id: bytes,
    estate: str,
    links: Sequence[Link],
    quorum_of: Callable[[int], int],
    culprit_of: CulpritOf,
) -> Membership:
    """All epochs that the links prove. `quorum_of`: how many of n members decide. Raises SuccessionError."""
    ground = Ground(genesis.origin, cluster_id, estate, quorum_of, culprit_of)
    epochs = [founding_epoch(genesis)]
    used: set[str] = set(names_of(genesis.members))
    for link in links:
        try:
            entry = _entry_of(link.change)
            is_change = isinstance(entry, RecordEntry)
            epoch = (_after_change if is_change else _after_fork)(ground, epochs[-1], used, link)
        except (Malformed, ProofError) as error:
            raise SuccessionError(f"from epoch {epochs[-1].number}: {error}") from None
        used.update(names_of(epoch.members))
        epochs.append(epoch)
    return Membership(tuple(epochs))


def _after_change(ground: Ground, before: Epoch, used: Collection[str], link: Link) -> Epoch:
    entry, checkpoint, signers = _open(link.change, ground.origin, before)
    change = _change_of(entry, ground.estate)
    refusal = refuse_change(before, used, ground.cluster_id, change)
    if refusal is not None:
        raise SuccessionError(f"the change cannot be: {refusal.value}")
    unsealed = {member.id for member in before.members if member in change.change.members} - signers
    if unsealed:
        raise SuccessionError(f"membership changed without {', '.join(sorted(unsealed))}'s signature")
    after = Epoch(before.number + 1, change.change.members, change.change.policy)
    last, _ = _open_by_quorum(link.end, ground, after)
    height, size = _end_of(last, before)
    if size <= checkpoint.size:
        raise SuccessionError("the epoch ends before its change was sealed")
    return msgspec.structs.replace(after, first_height=height + 1, first_size=size, change_index=entry.index)


def _after_fork(ground: Ground, before: Epoch, used: Collection[str], link: Link) -> Epoch:
    """The operators' signatures and the evidence are in the entry; the new members say that it stands in the log."""
    signed = resolution_of(_entry_of(link.change), before)
    refusal = refuse_resolution(before, used, ground.cluster_id, signed)
    if refusal is not None:
        raise SuccessionError(f"the resolution cannot be: {refusal.value}")
    check_culprits(signed, before, ground.culprit_of)
    after, kept = epoch_after(before, signed.resolution), signed.resolution.kept
    entry, _ = _open_by_quorum(link.change, ground, after)
    last, _ = _open_by_quorum(link.end, ground, after)
    if (entry.index, entry.height) != (kept.size, kept.height + 1):
        raise SuccessionError("the resolution does not stand behind the kept branch")
    is_tip = isinstance(last, DerivedEntry) and last.system.body.get("block_id") == kept.block_id
    if _end_of(last, before) != (kept.height, kept.size) or not is_tip:
        raise SuccessionError("the block before the resolution is not the tip that was kept")
    return after


def resolution_of(entry: Entry, before: Epoch) -> SignedResolution:
    """The resolution in an entry that ends this epoch, by its form alone. Raises Malformed."""
    if not isinstance(entry, DerivedEntry) or entry.outcome != ACCEPTED or entry.system.kind != RESOLUTION_KIND:
        raise Malformed("neither a change of members nor the resolution of a fork", "change")
    if entry.system.key != str(before.number + 1):
        raise Malformed("a resolution that begins another epoch", "change")
    signed = parse(SignedResolution, entry.system.body)
    check_resolution(signed)
    return signed


def _open_by_quorum(text: str, ground: Ground, after: Epoch) -> tuple[Entry, Checkpoint]:
    entry, checkpoint, signers = _open(text, ground.origin, after)
    if len(signers) < ground.quorum_of(len(after.members)):
        raise SuccessionError(f"the end of the epoch is signed by {', '.join(sorted(signers)) or 'nobody'} only")
    return entry, checkpoint


def _entry_of(text: str) -> Entry:
    """The entry that a proof is about; nothing is proved yet. Raises Malformed, ProofError."""
    extra = decode(parse_proof(text).extra)
    if not isinstance(extra, dict) or not isinstance(extra.get("entry"), str):
        raise Malformed("a proof without its entry", "extra")
    return parse_entry(extra["entry"].encode())


def _open(text: str, origin: str, epoch: Epoch) -> tuple[Entry, Checkpoint, set[str]]:
    """The entry of a proof, the checkpoint under which it stands, and which members of the epoch signed that.

    No log's own line is asked for: whoever shows the link may have joined later.
    """
    proof = parse_proof(text)
    extra = decode(proof.extra)
    if not isinstance(extra, dict) or not isinstance(extra.get("entry"), str):
        raise Malformed("a proof without its entry", "extra")
    data = extra["entry"].encode()
    note, keys = parse_note(proof.note, origin), epoch.cosign_keys(origin)
    good = verify_lines(note, tuple(keys.values()))
    verify_inclusion(leaf_hash(data), proof.index, note.checkpoint.size, proof.hashes, note.checkpoint.root)
    entry = parse_entry(data)
    if entry.index != proof.index:
        raise Malformed("the entry says another index", "index")
    return entry, note.checkpoint, {node for node, key in keys.items() if key in good}


def _change_of(entry: Entry, estate: str) -> SignedChange:
    if not isinstance(entry, RecordEntry) or entry.outcome != ACCEPTED:
        raise Malformed("the change did not take effect", "change")
    payload = parse_record(entry.record, estate).payload
    if payload.kind != CHANGE_KIND:
        raise Malformed("not a change of members", "change")
    signed = parse(SignedChange, payload.body)
    check_change(signed)
    return signed


def _end_of(entry: Entry, before: Epoch) -> tuple[int, int]:
    """Height of the last block of the epoch, and the size of the log with it."""
    body: dict[str, Any] = entry.system.body if isinstance(entry, DerivedEntry) else {}
    if not isinstance(entry, DerivedEntry) or entry.system.kind != LEAF_KIND or body.get("epoch") != before.number:
        raise Malformed("not the last entry of the epoch", "end")
    return entry.height, entry.index + 1
