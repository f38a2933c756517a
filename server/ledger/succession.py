"""How one membership follows from the one before: proofs that a phone checks with nothing but genesis (DESIGN.md D26).

Each link holds two tlog-proofs. The first shows that the change was ordered, under a checkpoint that everybody who
stays as it is has signed; the operators' signatures are in it. The second shows the last entry of the epoch, signed by
a quorum of the next one: it says for which sizes of the log each membership is good. It must not know where links are
kept.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

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


def follow_links(
    genesis: Genesis, cluster_id: bytes, estate: str, links: Sequence[Link], quorum_of: Callable[[int], int]
) -> Membership:
    """All epochs that the links prove. `quorum_of`: how many of n members decide. Raises SuccessionError."""
    epochs = [founding_epoch(genesis)]
    used: set[str] = set(names_of(genesis.members))
    for link in links:
        try:
            epoch = _next_epoch(genesis.origin, cluster_id, estate, epochs[-1], used, link, quorum_of)
        except (Malformed, ProofError) as error:
            raise SuccessionError(f"from epoch {epochs[-1].number}: {error}") from None
        used.update(names_of(epoch.members))
        epochs.append(epoch)
    return Membership(tuple(epochs))


def _next_epoch(
    origin: str,
    cluster_id: bytes,
    estate: str,
    before: Epoch,
    used: Collection[str],
    link: Link,
    quorum_of: Callable[[int], int],
) -> Epoch:
    entry, checkpoint, signers = _open(link.change, origin, before)
    change = _change_of(entry, estate)
    refusal = refuse_change(before, used, cluster_id, change)
    if refusal is not None:
        raise SuccessionError(f"the change cannot be: {refusal.value}")
    unsealed = {member.id for member in before.members if member in change.change.members} - signers
    if unsealed:
        raise SuccessionError(f"membership changed without {', '.join(sorted(unsealed))}'s signature")
    after = Epoch(before.number + 1, change.change.members, change.change.policy)
    last, _, enders = _open(link.end, origin, after)
    if len(enders) < quorum_of(len(after.members)):
        raise SuccessionError(f"the end of the epoch is signed by {', '.join(sorted(enders)) or 'nobody'} only")
    height, size = _end_of(last, before)
    if size <= checkpoint.size:
        raise SuccessionError("the epoch ends before its change was sealed")
    return msgspec.structs.replace(after, first_height=height + 1, first_size=size)


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
