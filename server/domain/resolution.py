"""A fork that operators have resolved: the epoch ends without a seal, and the next one begins with this very entry.

What a resolution is and who must agree says `ledger/resolution.py`; that it holds is asked before a node votes, and
again by whoever executes the log anew (`refuse_work`), because an entry that nobody signed as a record is never refused
in the log (consensus.md 1.4, DESIGN.md D32).
"""

from __future__ import annotations

from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from server.domain.agenda import SealWait
from server.domain.evidence import Barred
from server.domain.membership import IN_FORCE, BeginEpoch, EpochBegun, EpochInForce, texts_of
from server.ledger.block import Derived
from server.ledger.genesis import MEMBERS_MAX
from server.ledger.membership import Disputed, Epoch, OperatorSignature, names_of
from server.ledger.resolution import (
    RESOLUTION_KIND,
    CulpritOf,
    Packed,
    Resolution,
    SignedResolution,
    check_culprits,
    check_resolution,
    epoch_after,
    refuse_resolution,
)
from server.record.canonical import Malformed, b64u_encode
from server.record.kind import DerivedKind, Place
from server.record.rows import Key, Row, Rows, key

OFFENCE = "fork"
"""What a culprit is barred for where no earlier entry named it."""


class ForkResolved(Row, frozen=True):
    """A fork and what became of it, for people and for whoever checks old receipts. Id: the epoch that began."""

    table: ClassVar[str] = "fork_resolved"
    index: int
    """Where the resolution stands in the log."""
    time_ms: int
    fork_height: int
    fork_size: int
    kept_height: int
    kept_size: int
    held_by: tuple[str, ...]
    """Who held the kept branch."""
    culprits: tuple[str, ...]
    abandoned: tuple[str, ...]
    """Id of the last block of each abandoned branch."""
    records: int
    """Client records that stood on abandoned branches only."""


def disputed_by(row: ForkResolved | None) -> Disputed | None:
    """Which trees of the epoch before were of two kinds."""
    return None if row is None else Disputed(row.fork_size + 1, row.held_by)


class ResolveFork(DerivedKind, frozen=True):
    """The operators of all members that are not proven culprits keep one branch of a fork; a new epoch begins.

    Its key is the number of that epoch. First in its block, which holds nothing else but a state root that is due.
    """

    kind: ClassVar[str] = RESOLUTION_KIND
    timed: ClassVar[bool] = False

    evidence: Annotated[tuple[Packed, ...], Meta(min_length=1, max_length=MEMBERS_MAX)]
    resolution: Resolution
    signatures: Annotated[tuple[OperatorSignature, ...], Meta(max_length=MEMBERS_MAX)]

    @property
    def signed(self) -> SignedResolution:
        """The document as operators handed it over."""
        return SignedResolution(evidence=self.evidence, resolution=self.resolution, signatures=self.signatures)

    def access(self, key_: str) -> tuple[Key, ...]:
        """The epoch in force and the one that begins, a change that waited, and the culprits."""
        barred = (key(Barred, culprit) for culprit in self.resolution.culprits)
        begun = (key(EpochBegun, key_), key(ForkResolved, key_), key(SealWait, BeginEpoch.kind, key_))
        return (key(EpochInForce, IN_FORCE), *begun, *barred)

    def execute(self, key_: str, rows: Rows, place: Place) -> None:
        """The members of the resolution are in force from this block on. A change that waited is void."""
        before = rows.get(EpochInForce, IN_FORCE)
        assert before is not None, "a resolution is voted for where members have operators"
        after, resolution = epoch_after(before.epoch, self.resolution), self.resolution
        members, used = texts_of(after.members), tuple(sorted({*before.used, *names_of(after.members)}))
        rows.put(EpochBegun(key_, members, before.policy, place.height, place.index))
        rows.put(EpochInForce(IN_FORCE, after.number, members, before.policy, place.height, used))
        rows.put(_resolved(key_, resolution, place))
        waiting = rows.get(SealWait, BeginEpoch.kind, key_)
        if waiting is not None:
            rows.put(msgspec.structs.replace(waiting, done=True))
        for culprit, evidence in zip(resolution.culprits, resolution.evidence, strict=True):
            if rows.get(Barred, culprit) is None:
                rows.put(Barred(culprit, evidence, OFFENCE, place.height))


def _resolved(key_: str, resolution: Resolution, place: Place) -> ForkResolved:
    kept, tips = resolution.kept, tuple(branch.block_id for branch in resolution.abandoned)
    return ForkResolved(
        key_,
        place.index,
        place.time_ms,
        resolution.fork_height,
        resolution.fork_size,
        kept.height,
        kept.size,
        kept.held_by,
        resolution.culprits,
        tips,
        resolution.records.count,
    )


def resolution_item(signed: SignedResolution) -> Derived:
    """The derived entry that carries a resolution."""
    body = msgspec.to_builtins(signed)
    return Derived(body, 0, str(signed.resolution.epoch + 1), RESOLUTION_KIND)


def refuse_work(
    rule: ResolveFork, rows: Rows, end: tuple[int, bytes], cluster_id: bytes, culprit_of: CulpritOf
) -> str | None:
    """Why a resolution does not hold on the log that ends with `end` (size, root), or None.

    `rows` hold the epoch in force; height and predecessor are for `check_batch`.
    """
    standing = rows.loaded.get(key(EpochInForce, IN_FORCE))
    if not isinstance(standing, EpochInForce):
        return "the members have no operators"
    return refuse_signed(rule.signed, standing.epoch, standing.used, end, cluster_id, culprit_of)


def refuse_signed(
    signed: SignedResolution,
    before: Epoch,
    used: tuple[str, ...],
    end: tuple[int, bytes],
    cluster_id: bytes,
    culprit_of: CulpritOf,
) -> str | None:
    """The same of a document, before it stands in any block."""
    kept = signed.resolution.kept
    if (kept.size, kept.root) != (end[0], b64u_encode(end[1])):
        return "the log is not the kept branch"
    try:
        check_resolution(signed)
        check_culprits(signed, before, culprit_of)
    except Malformed as error:
        return str(error)
    refusal = refuse_resolution(before, used, cluster_id, signed)
    return None if refusal is None else refusal.value
