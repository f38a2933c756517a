"""Execute an ordered block: (header, work, rows) -> entries, outcomes, changed rows, digest.

Pure: the same on every node. It must not know where rows come from, nor what orders blocks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from server.domain.agenda import Timer, timer_key
from server.domain.member import Device, Member, Nonce, usable_roles
from server.domain.membership import trust_in_force
from server.domain.plan import DerivedWork, RecordWork, Work
from server.domain.rules import Rules
from server.ledger.block import ACCEPTED, Header, derived_entry, leaf_entry, next_digest, record_entry
from server.ledger.merkle import Frontier, leaf_hash
from server.limits import NONCE_KEPT_MS, RECORD_AHEAD_MS_MAX
from server.record.kind import Context, Place, Signed, Trust
from server.record.rows import Key, Row, Rows

COMMON_REFUSALS = ("nonce_conflict", "expired", "not_yet_valid", "device_unknown", "device_revoked", "role_missing")
"""Refusals that every kind shares, in order of precedence (decisions 14)."""
PERMANENT_COMMON = frozenset({"nonce_conflict", "expired", "device_revoked"})


class Executed(msgspec.Struct, frozen=True):
    """What a block does: nothing of it exists until the block is committed and stored."""

    header: Header
    entries: tuple[bytes, ...]
    outcomes: tuple[str, ...]
    changed: Mapping[Key, Row]
    first_index: int
    size: int
    peaks: tuple[bytes, ...]
    root: bytes
    nodes: tuple[tuple[int, int, bytes], ...]
    state_digest: str
    before: Mapping[Key, Row | None]
    """What the changed rows were before the block."""


def execute_block(
    header: Header, works: Sequence[Work], rows: Rows, tree: Frontier, founding: Trust, rules: Rules
) -> Executed:
    """Execute the work of a block on loaded rows. `tree` is the log before it and is not changed.

    `founding`: what genesis has rules trust; in a later epoch the rows say what they trust. `rules` are those of the
    version that the header names, by which the works were parsed.
    """
    assert rules.version == header.rules, "a block is executed by the version that its header names"
    trust = trust_in_force(rows, founding)
    first_index = tree.size
    outcomes: list[str] = []
    entries: list[bytes] = []
    for offset, work in enumerate(works):
        place = Place(header.height, first_index + offset, header.time_ms)
        if isinstance(work, RecordWork):
            outcome = execute_record(work, rows, place, trust)
            entries.append(record_entry(place.height, place.index, place.time_ms, work.envelope.jws, outcome))
        else:
            outcome = execute_derived(work, rows, place, rules)
            entry = derived_entry(trust.cluster_id, place.height, place.index, place.time_ms, work.item, outcome)
            entries.append(entry)
        outcomes.append(outcome)
    digest = next_digest(header.state_digest_prev, outcomes, rows.changed_lines(rules.line))
    entries.append(leaf_entry(trust.cluster_id, header, first_index + len(works), digest))
    grown = tree.copy()
    nodes = [node for entry in entries for node in grown.append(leaf_hash(entry))]
    return Executed(
        header,
        tuple(entries),
        tuple(outcomes),
        rows.changed,
        first_index,
        grown.size,
        tuple(grown.peaks),
        grown.root(),
        tuple(nodes),
        digest,
        {name: rows.loaded[name] for name in rows.changed},
    )


def execute_record(work: RecordWork, rows: Rows, place: Place, trust: Trust) -> str:
    """Execute one record; its (kid, nonce) is used up whatever becomes of it. Returns the outcome."""
    signed = work.signed
    rows.begin(work.keys)
    refusal = refuse_common(signed, rows, place, trust)
    if refusal is None:
        context = Context(signed, place, roles_in_force(signed, rows, place, trust), trust)
        refused = signed.body.execute(rows, context)
        refusal = None if refused is None else str(refused.value)
    rows.end(keep=refusal is None)
    rows.begin(work.keys)
    rows.put(_used_nonce(signed, rows, place))
    rows.end(keep=True)
    return refusal or ACCEPTED


def _used_nonce(signed: Signed, rows: Rows, place: Place) -> Nonce:
    """The row of the record's nonce after it. A record that comes too late keeps the row, longer if it lives longer."""
    before, forget_ms = rows.get(Nonce, signed.kid, signed.nonce), signed.expires_ms + NONCE_KEPT_MS
    if before is None or before.forget_ms <= place.time_ms:
        return Nonce(f"{signed.kid}/{signed.nonce}", signed.id, forget_ms)
    conflicts = (*before.conflicts, signed.id)
    return msgspec.structs.replace(before, conflicts=conflicts, forget_ms=max(before.forget_ms, forget_ms))


def refuse_common(signed: Signed, rows: Rows, place: Place, trust: Trust) -> str | None:
    """The refusals before a kind's own rule, in the order of decisions 14."""
    nonce = rows.get(Nonce, signed.kid, signed.nonce)
    if nonce is not None and nonce.forget_ms > place.time_ms:
        return "nonce_conflict"
    if place.time_ms >= signed.expires_ms:
        return "expired"
    if signed.made_ms > place.time_ms + RECORD_AHEAD_MS_MAX:
        return "not_yet_valid"
    if signed.body.binds_device:
        return None
    device = rows.get(Device, signed.kid)
    if device is None or device.member != signed.author:
        return "device_unknown"
    if device.revoked:
        return "device_revoked"
    wanted = {role.value for role in signed.body.signed_by}
    held = {role.partition("@")[0] for role in roles_in_force(signed, rows, place, trust)}
    return None if not wanted or wanted & held else "role_missing"


def roles_in_force(signed: Signed, rows: Rows, place: Place, trust: Trust) -> tuple[str, ...]:
    """The roles that the author may use with the device that signed, in the block's time."""
    member, device = rows.get(Member, signed.author), rows.get(Device, signed.kid)
    if member is None or device is None or device.member != member.id:
        return ()
    return usable_roles(member, device, place.time_ms, trust)


def execute_derived(work: DerivedWork, rows: Rows, place: Place, rules: Rules) -> str:
    """Execute one derived entry, and what a seal makes final."""
    rows.begin(work.keys)
    item = work.item
    timer = timer_key(item.kind, item.key)
    if timer in work.keys:
        # Before the rule, which may arm the same timer anew.
        rows.put(Timer(timer.id, item.due_ms, item.kind, item.key, done=True))
    work.rule.execute(item.key, rows, place)
    for wait in work.waits:
        rules.finals[wait.kind]().execute(wait.key, rows, place)
        rows.put(msgspec.structs.replace(wait, done=True))
    rows.end(keep=True)
    return ACCEPTED
