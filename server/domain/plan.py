"""From the items of a batch to units of work: parsed, with the rows that each may touch.

`parse_items` is where bytes become records and derived entries, by the rules of one version; a batch that does not
parse is never voted for.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from server.domain.activation import PLAN_KEY
from server.domain.agenda import SEALED, Seal, Sealed, SealWait, timer_key
from server.domain.member import Device, Member, Nonce
from server.domain.membership import IN_FORCE, EpochInForce
from server.domain.rules import Rules
from server.ledger.block import Derived
from server.record.canonical import Malformed, decode
from server.record.envelope import Envelope, parse_record
from server.record.kind import DerivedKind, Signed
from server.record.rows import Key, key
from server.record.shape import parse


class RecordWork(msgspec.Struct, frozen=True):
    """A client record of a batch. `envelope` still carries the signature for whoever checks it."""

    envelope: Envelope
    signed: Signed
    keys: tuple[Key, ...]


class DerivedWork(msgspec.Struct, frozen=True):
    """A derived entry of a batch; `waits` are the rows that a seal makes final."""

    item: Derived
    rule: DerivedKind
    keys: tuple[Key, ...]
    waits: tuple[SealWait, ...] = ()


Work = RecordWork | DerivedWork


def parse_signed(jws: str, estate: str, rules: Rules) -> RecordWork:
    """A record with its kind's body under these rules. Raises Malformed; the signature is not checked here."""
    envelope = parse_record(jws, estate)
    payload = envelope.payload
    kind = rules.kinds.get(payload.kind)
    if kind is None:
        raise Malformed("no such kind of record", "kind")
    body = parse(kind, payload.body)
    signed = Signed(
        envelope.id,
        envelope.kid,
        payload.author,
        payload.kind,
        payload.nonce,
        payload.made_ms,
        payload.expires_ms,
        body,
    )
    return RecordWork(envelope, signed, common_keys(signed) + body.access(signed))


def common_keys(signed: Signed) -> tuple[Key, ...]:
    """Every rule begins with who (decisions 14): device, member and nonce."""
    return (key(Device, signed.kid), key(Member, signed.author), key(Nonce, signed.kid, signed.nonce))


def parse_derived(item: bytes, waits: Sequence[SealWait], rules: Rules) -> DerivedWork:
    """A derived entry with its rule. `waits`: rows that wait for a seal, oldest first. Raises Malformed."""
    derived = parse(Derived, decode(item))
    kind = rules.derived.get(derived.kind)
    if kind is None:
        raise Malformed("no such kind of derived entry", "kind")
    rule = parse(kind, derived.body)
    keys = rule.access(derived.key)
    if isinstance(rule, Seal):
        ready = tuple(wait for wait in waits if wait.index < rule.size)
        return DerivedWork(derived, rule, keys + _wait_keys(ready, rules), ready)
    return DerivedWork(derived, rule, (*keys, timer_key(derived.kind, derived.key)) if rule.timed else keys)


def parse_items(items: Iterable[bytes], estate: str, waits: Sequence[SealWait], rules: Rules) -> list[Work]:
    """The work of a batch, in order. Raises Malformed for the first item that is not of its form."""
    return [
        parse_derived(item, waits, rules) if item.startswith(b"{") else parse_signed(_text(item), estate, rules)
        for item in items
    ]


def access_set(works: Iterable[Work]) -> list[Key]:
    """Every row that the block may touch or is checked against, sorted, so that storage loads them all before.

    The epoch in force is among them: what rules trust follows from it.
    """
    checked = {PLAN_KEY, key(EpochInForce, IN_FORCE), key(Sealed, SEALED)}
    return sorted({*checked, *(name for work in works for name in work.keys)})


def _wait_keys(waits: Sequence[SealWait], rules: Rules) -> tuple[Key, ...]:
    keys: list[Key] = []
    for wait in waits:
        keys.append(key(SealWait, wait.id))
        keys.extend(rules.finals[wait.kind]().access(wait.key))
    return tuple(keys)


def _text(item: bytes) -> str:
    try:
        return item.decode("ascii")
    except UnicodeDecodeError:
        raise Malformed("a record is ASCII", "record") from None
