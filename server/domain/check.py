"""May a proposed batch be voted for? Pure checks against the rows that it touches; every replica answers alike.

What needs more than rows stays with the node: bodies that are recomputed from openings, a seal's lines, attachments,
and the signatures themselves, which `signature_checks` names and threads verify.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from server.domain.activation import PLAN_KEY, version_at
from server.domain.agenda import SEALED, Seal, Sealed, SealWait, Timer, due_order
from server.domain.evidence import Barred, OrderEvidence
from server.domain.member import BindDevice, Device, Nonce
from server.domain.membership import IN_FORCE, EpochInForce
from server.domain.plan import DerivedWork, RecordWork, Work
from server.domain.resolution import ResolveFork
from server.domain.retirement import OrderRetiredKey
from server.domain.rules import Rules
from server.domain.state_root import TellStateRoot
from server.domain.tally import FINALITY, FinalizeWithout, absent_from
from server.ledger.block import Derived, Header, entries_root
from server.limits import BLOCK_BYTES_MAX, BLOCK_ITEMS_MAX, BLOCK_TIMERS_MAX, NONCE_KEPT_MS, RECORD_BYTES_MAX
from server.record.canonical import Malformed
from server.record.rows import Rows, key


class BatchInvalid(ValueError):
    """A batch that no honest node proposes. `reason` says why, for people."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class SignatureCheck(NamedTuple):
    """One ES256 signature that must hold: the arguments of `server.record.signature.verify`."""

    point: bytes
    message: bytes
    signature: bytes


def check_batch(
    header: Header,
    items: Sequence[bytes],
    works: Sequence[Work],
    rows: Rows,
    due: Sequence[Timer],
    rules: Rules,
    told: Derived | None = None,
) -> None:
    """Raise BatchInvalid unless an honest node could have proposed this.

    `rules` are those of the header's version, which must be the one in force at its height as the rows say.
    `works` are the parsed `items`, in order; `rows` hold their access set and the sealed size; `due` are the timers not
    done with due_ms <= header.time_ms, at least the earliest BLOCK_TIMERS_MAX of them; `told` is the root of the state
    that this very block must tell (`Schedule.told_at`), as it was computed from own rows.
    """
    assert len(items) == len(works)
    check_version(header, rows)
    assert rules.version == header.rules, "a block is checked by the version that its header names"
    _check_sizes(header, items)
    resolution = _find_resolution(works)
    _check_epoch(header, rows, begins=resolution is not None)
    if resolution is not None:
        return _check_resolution(header, works, resolution, told)
    evidence, seals, roots, finals, timers, records = _split(works)
    _check_evidence(evidence, rows)
    _check_seal(seals, rows)
    check_state_root(roots, told)
    _check_finals(header, finals, seals, rows)
    _check_timers(header, timers, due)
    _check_once(header, records, rows)
    for record in records:
        _device_point(record, rows)
    for check in rules.checks:
        check(header, works, rows)


def check_version(header: Header, rows: Rows) -> None:
    """Raise BatchInvalid unless the header names the version in force at its height (decisions 8).

    `rows` hold the plan as the blocks before left it, so that every replica knows the version before it parses."""
    wanted = version_at(rows.loaded[PLAN_KEY], header.height)
    if header.rules != wanted:
        raise BatchInvalid(f"it is of rules {header.rules}, at its height rules {wanted} are in force")


def _check_sizes(header: Header, items: Sequence[bytes]) -> None:
    if not 0 < len(items) <= BLOCK_ITEMS_MAX:
        raise BatchInvalid("a batch has 1 to 500 items")
    if max(len(item) for item in items) > RECORD_BYTES_MAX:
        raise BatchInvalid("an item is too large for a log entry")
    total = sum(len(item) for item in items)
    if total > BLOCK_BYTES_MAX:
        raise BatchInvalid("the batch is too large")
    if (header.entries_bytes, header.entries_root) != (total, entries_root(items)):
        raise BatchInvalid("the header is not of these items")


def _check_epoch(header: Header, rows: Rows, *, begins: bool) -> None:
    """A block is of the epoch in force, but that with a resolution: it is the first of the next one (D32)."""
    standing = rows.loaded.get(key(EpochInForce, IN_FORCE))
    if header.epoch != (standing.number if isinstance(standing, EpochInForce) else 0) + begins:
        raise BatchInvalid("it is not of the epoch in force")


def _find_resolution(works: Sequence[Work]) -> DerivedWork | None:
    found = [work for work in works if isinstance(work, DerivedWork) and isinstance(work.rule, ResolveFork)]
    if len(found) > 1 or (found and works[0] is not found[0]):
        raise BatchInvalid("a resolution is the first entry of its block, and one of its kind")
    return found[0] if found else None


def _check_resolution(header: Header, works: Sequence[Work], work: DerivedWork, told: Derived | None) -> None:
    """It stands on the kept tip, and alone: timers and records wait for the next block, which the new members check."""
    rule = work.rule
    assert isinstance(rule, ResolveFork)
    kept = rule.resolution.kept
    if (header.prev, header.height) != (kept.block_id, kept.height + 1):
        raise BatchInvalid("the resolution does not stand on the tip that was kept")
    if (work.item.due_ms, work.item.key) != (0, str(header.epoch)):
        raise BatchInvalid("the resolution is not named after the epoch that it begins")
    if not all(isinstance(other, DerivedWork) and isinstance(other.rule, TellStateRoot) for other in works[1:]):
        raise BatchInvalid("a block with a resolution holds nothing else but the state's root")
    check_state_root(works, told)


def _split(
    works: Sequence[Work],
) -> tuple[
    list[DerivedWork], list[DerivedWork], list[DerivedWork], list[DerivedWork], list[DerivedWork], list[RecordWork]
]:
    """Evidence, seals, state roots, finals without a member, timers and records: the order of a block (decisions 4)."""
    derived = [work for work in works if isinstance(work, DerivedWork)]
    evidence = [work for work in derived if isinstance(work.rule, OrderEvidence | OrderRetiredKey)]
    seals = [work for work in derived if isinstance(work.rule, Seal)]
    roots = [work for work in derived if isinstance(work.rule, TellStateRoot)]
    finals = [work for work in derived if isinstance(work.rule, FinalizeWithout)]
    timers = [work for work in derived if work.rule.timed]
    records = [work for work in works if isinstance(work, RecordWork)]
    if list(works) != [*evidence, *seals, *roots, *finals, *timers, *records]:
        raise BatchInvalid("the items do not stand in the order evidence, seal, state root, finals, timers, records")
    return evidence, seals, roots, finals, timers, records


def _check_evidence(evidence: Sequence[DerivedWork], rows: Rows) -> None:
    """One entry for each culprit, and for each retired key, ever: what more is found is kept, and changes nothing."""
    culprits = [work.rule.culprit for work in evidence if isinstance(work.rule, OrderEvidence)]
    if len(set(culprits)) != len(culprits) or any(rows.loaded.get(key(Barred, culprit)) for culprit in culprits):
        raise BatchInvalid("the culprit is named already")
    keys = [work.rule.row for work in evidence if isinstance(work.rule, OrderRetiredKey)]
    if len(set(keys)) != len(keys) or any(rows.loaded.get(name) for name in keys):
        raise BatchInvalid("the retired key is named already")
    if any(work.item.due_ms for work in evidence):
        raise BatchInvalid("evidence is not due at a time")


def _check_seal(seals: Sequence[DerivedWork], rows: Rows) -> None:
    """At most one, and it says more than the chain knows: else seals would be a reason for seals (decisions 7)."""
    if len(seals) > 1:
        raise BatchInvalid("a batch has one seal at most")
    for work in seals:
        rule = work.rule
        assert isinstance(rule, Seal)
        sealed = rows.loaded.get(key(Sealed, SEALED))
        if isinstance(sealed, Sealed) and rule.size <= sealed.size:
            raise BatchInvalid("the seal is not newer than the one before")
        if (work.item.due_ms, work.item.key) != (0, str(rule.size)):
            raise BatchInvalid("the seal is not named after its size")


def _check_finals(header: Header, finals: Sequence[DerivedWork], seals: Sequence[DerivedWork], rows: Rows) -> None:
    """Each of something that still waits for a seal, past its time, under a checkpoint that covers it (decisions 21).

    Whose lines stand under the checkpoint is the node's to check.
    """
    sealed = max((work.rule.size for work in seals if isinstance(work.rule, Seal)), default=0)
    if len({work.item.key for work in finals}) != len(finals):
        raise BatchInvalid("a motion becomes final once")
    for work in finals:
        rule, wait = work.rule, rows.loaded.get(key(SealWait, FINALITY, work.item.key))
        assert isinstance(rule, FinalizeWithout)
        if not isinstance(wait, SealWait) or wait.done or wait.index < sealed:
            raise BatchInvalid("the motion does not wait for a seal, or this batch brings it")
        if not 0 < wait.without_ms <= header.time_ms or rule.size <= wait.index:
            raise BatchInvalid("the time to go on without a member has not come, or the checkpoint is too old")
        if work.item.due_ms:
            raise BatchInvalid("what becomes final without a member is not due at a time")


def check_seal_lines(unsigned: Mapping[str, str], excused: Sequence[str]) -> None:
    """Raise BatchInvalid unless all members signed a seal. `unsigned`: those whose line does not hold, with that line,
    or none; `excused`: whom a seal of this size does not wait for."""
    if not all(member in excused and not line for member, line in unsigned.items()):
        raise BatchInvalid("the seal is not signed by all members")


def check_final_lines(
    final: FinalizeWithout, unsigned: Mapping[str, str], members: Sequence[str], barred: Sequence[str], quorum: int
) -> None:
    """Raise BatchInvalid unless a quorum signed what goes on without a member, and it names just who did not."""
    if any(unsigned.values()) or len(members) - len(unsigned) < quorum:
        raise BatchInvalid("what is final without a member is not signed by a quorum")
    if final.absent != absent_from(final.signatures, members, barred):
        raise BatchInvalid("the absent are not those who have no line")


def check_state_root(works: Sequence[Work], told: Derived | None) -> None:
    """Raise BatchInvalid unless the block tells exactly the state root that it must tell, or none."""
    found = [work.item for work in works if isinstance(work, DerivedWork) and isinstance(work.rule, TellStateRoot)]
    if found != ([] if told is None else [told]):
        raise BatchInvalid("the block does not tell the root of the state that it must tell, as we compute it")


def _check_timers(header: Header, timers: Sequence[DerivedWork], due: Sequence[Timer]) -> None:
    """Every due timer must be there, the earliest ones where they are too many, and no other (decisions 4)."""
    assert all(not timer.done and timer.due_ms <= header.time_ms for timer in due)
    wanted = sorted(due, key=due_order)[:BLOCK_TIMERS_MAX]
    found = [(work.item.due_ms, work.item.kind, work.item.key) for work in timers]
    if found != [(timer.due_ms, timer.kind, timer.key) for timer in wanted]:
        raise BatchInvalid("the timers are not exactly those that are due, in their order")


def _check_once(header: Header, records: Sequence[RecordWork], rows: Rows) -> None:
    """A record is ordered once. What a nonce's row has forgotten is too old to be ordered at all."""
    ids = [record.signed.id for record in records]
    if len(set(ids)) != len(ids):
        raise BatchInvalid("a record stands twice in the batch")
    for record in records:
        signed = record.signed
        nonce = rows.loaded.get(key(Nonce, signed.kid, signed.nonce))
        if isinstance(nonce, Nonce) and nonce.has_seen(signed.id):
            raise BatchInvalid(f"record {signed.id} was ordered before")
        if header.time_ms >= signed.expires_ms + NONCE_KEPT_MS:
            raise BatchInvalid(f"record {signed.id} is too old to be told from a repeated one")


def signature_checks(records: Iterable[RecordWork], rows: Rows) -> list[SignatureCheck]:
    """The signatures that must hold for these records to be ordered, in their order. Raises BatchInvalid.

    A device's key is its row's; for a record that binds a device the key is in the body, and must be the kid's: else
    anybody could use up another key's nonces.
    """
    return [
        SignatureCheck(_device_point(record, rows), record.envelope.signing_input, record.envelope.signature)
        for record in records
    ]


def _device_point(record: RecordWork, rows: Rows) -> bytes:
    signed = record.signed
    if isinstance(signed.body, BindDevice):
        if signed.body.device_key.thumbprint() != signed.kid:
            raise BatchInvalid(f"record {signed.id} is not signed by the key that it binds")
        try:
            return signed.body.device_key.point()
        except Malformed as error:
            raise BatchInvalid(f"record {signed.id} binds what is no key: {error}") from None
    device = rows.loaded.get(key(Device, signed.kid))
    if not isinstance(device, Device):
        raise BatchInvalid(f"record {signed.id} is signed by a key that no ordered record bound")
    return device.key().point()
