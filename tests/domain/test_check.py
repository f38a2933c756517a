"""What a proposed batch must be before anybody votes for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from server.domain.agenda import SEALED, Sealed, Timer, due_item, timer_key
from server.domain.check import BatchInvalid, check_batch, signature_checks
from server.domain.plan import RecordWork, parse_signed
from server.ledger.block import Derived
from server.limits import BLOCK_ITEMS_MAX, BLOCK_TIMERS_MAX, DAY_MS, HOUR_MS, NONCE_KEPT_MS
from server.record.canonical import Malformed, encode
from server.record.rows import Key, key
from server.record.signature import verify
from tests.domain.world import World, device, motion_body, record_id

REPORT: dict[str, Any] = {"category": "door", "contact": "", "home": True, "photos": [], "place": "", "text": "!"}


def check(world: World, items: list[bytes], time_ms: int = 0, **header: Any) -> None:
    """Check a batch as it would come from a proposer."""
    at_ms = time_ms or world.time_ms + 1
    works, rows = world.plan(items)
    proposed = msgspec.structs.replace(world.header_of(items, at_ms), **header)
    check_batch(proposed, items, works, rows, world.due(at_ms), world.rules)


def report(world: World, author: str = "li", **envelope: Any) -> bytes:
    return world.record(author, "ticket.report", REPORT, **envelope).encode()


def arm(world: World, count: int) -> list[Timer]:
    """Timers of tickets that are due now, made directly: a hundred completions would say no more."""
    timers = []
    for number in range(count):
        name = f"{number:043d}/{number:043d}"
        timer = Timer(timer_key("ticket.autoconfirm", name).id, world.time_ms - number, "ticket.autoconfirm", name)
        world.rows[Key(Timer.table, timer.id)] = timer
        timers.append(timer)
    return sorted(timers, key=lambda timer: (timer.due_ms, timer.id))


def test_an_honest_batch_is_voted_for(world: World) -> None:
    items = [world.seal_item(), *(due_item(timer, {}) for timer in arm(world, 3)), report(world), report(world, "chen")]
    check(world, items)


def test_an_empty_batch_and_one_of_too_many_items_are_refused(world: World) -> None:
    with pytest.raises(BatchInvalid, match="1 to 500"):
        check(world, [])
    record = report(world)
    with pytest.raises(BatchInvalid, match="1 to 500"):
        check(world, [record] * (BLOCK_ITEMS_MAX + 1))


def test_a_batch_of_too_many_bytes_is_refused(world: World) -> None:
    text = "x" * 4_000
    body = {
        "questions": [
            {
                "choices": [{"id": f"c{number}", "text": "好" * 100} for number in range(10)],
                "id": f"q{question}",
                "seats": 0,
                "text": "问" * 1_000,
            }
            for question in range(6)
        ],
        "text": text,
        "title": "t",
    }
    records = [world.record("hu", "motion.propose", motion_body(world, **body)).encode() for _ in range(25)]
    size = len(records[0])
    fits = (1 << 20) // size
    check(world, records[:fits])
    with pytest.raises(BatchInvalid, match="too large"):
        check(world, records[: fits + 1])


@pytest.mark.parametrize("change", [{"entries_bytes": 1}, {"entries_root": "A" * 43}])
def test_a_header_of_other_items_is_refused(world: World, change: dict[str, Any]) -> None:
    with pytest.raises(BatchInvalid, match="header"):
        check(world, [report(world)], **change)


def test_the_order_is_seal_timers_records(world: World) -> None:
    seal, record = world.seal_item(), report(world)
    [timer] = [due_item(timer, {}) for timer in arm(world, 1)]
    check(world, [seal, timer, record])
    for order in ([timer, seal, record], [seal, record, timer], [record, seal, timer], [record, timer, seal]):
        with pytest.raises(BatchInvalid, match="order"):
            check(world, order)


def test_due_timers_stand_in_their_order(world: World) -> None:
    first, second = (due_item(timer, {}) for timer in arm(world, 2))
    check(world, [first, second])
    with pytest.raises(BatchInvalid, match="timers"):
        check(world, [second, first])


def test_a_missing_timer_a_further_one_and_one_twice_are_refused(world: World) -> None:
    timers = [due_item(timer, {}) for timer in arm(world, 3)]
    later = Timer("ticket.autoconfirm/x/y", world.time_ms + DAY_MS, "ticket.autoconfirm", "x/y")
    world.rows[Key(Timer.table, later.id)] = later
    done = Timer("ticket.autoconfirm/a/b", world.time_ms - DAY_MS, "ticket.autoconfirm", "a/b", done=True)
    world.rows[Key(Timer.table, done.id)] = done
    check(world, timers)
    for wrong in (
        timers[:2],
        timers[1:],
        [*timers, due_item(later, {})],
        [due_item(done, {}), *timers],
        [*timers, timers[-1]],
        [report(world)],
    ):
        with pytest.raises(BatchInvalid, match="timers"):
            check(world, wrong)


def test_a_timer_with_another_due_time_is_refused(world: World) -> None:
    [timer] = arm(world, 1)
    with pytest.raises(BatchInvalid, match="timers"):
        check(world, [due_item(msgspec.structs.replace(timer, due_ms=timer.due_ms - 1), {})])


def test_of_too_many_timers_the_earliest_come_first(world: World) -> None:
    timers = [due_item(timer, {}) for timer in arm(world, BLOCK_TIMERS_MAX + 1)]
    check(world, timers[:BLOCK_TIMERS_MAX])
    for wrong in (timers, timers[1:], timers[: BLOCK_TIMERS_MAX - 1]):
        with pytest.raises(BatchInvalid, match="timers"):
            check(world, wrong)


def test_a_batch_has_one_seal_at_most(world: World) -> None:
    older = world.copy().seal_item()
    world.block(report(world).decode())
    with pytest.raises(BatchInvalid, match="one seal"):
        check(world, [older, world.seal_item()])


def test_a_seal_is_newer_than_the_one_before(world: World) -> None:
    older, same = world.copy().seal_item(), world.seal_item()
    world.block(report(world).decode(), seals=True)
    sealed = world.get(Sealed, SEALED)
    assert sealed is not None and sealed.size > 0
    for item in (older, same):
        with pytest.raises(BatchInvalid, match="newer"):
            check(world, [item])
    check(world, [world.seal_item()])


@pytest.mark.parametrize("change", [{"key": "1"}, {"due_ms": 1}])
def test_a_seal_has_one_name(world: World, change: dict[str, Any]) -> None:
    item = msgspec.json.decode(world.seal_item(), type=Derived)
    with pytest.raises(BatchInvalid, match="named"):
        check(world, [encode(msgspec.structs.replace(item, **change))])


def test_a_repeated_record_is_refused_in_one_batch_and_later(world: World) -> None:
    record = report(world)
    with pytest.raises(BatchInvalid, match="twice"):
        check(world, [record, record])
    world.block(record.decode())
    with pytest.raises(BatchInvalid, match="before"):
        check(world, [record])


def test_a_record_older_than_the_memory_of_nonces_is_refused(world: World) -> None:
    record = report(world)
    limit_ms = world.time_ms + HOUR_MS + NONCE_KEPT_MS
    check(world, [record], limit_ms - 1)
    with pytest.raises(BatchInvalid, match="too old"):
        check(world, [record], limit_ms)


def test_a_key_that_nobody_bound_is_never_ordered(world: World) -> None:
    stranger = report(world, "li", signer="stranger")
    with pytest.raises(BatchInvalid, match="no ordered record bound"):
        check(world, [stranger])


def test_a_key_is_not_known_in_the_batch_that_binds_it(world: World) -> None:
    bind = world.record("newcomer", "device.bind", world.bind_body("newcomer")).encode()
    with pytest.raises(BatchInvalid, match="no ordered record bound"):
        check(world, [bind, report(world, "newcomer")])
    check(world, [bind])
    world.block(bind.decode())
    check(world, [report(world, "newcomer")])


def works_of(world: World, *records: bytes) -> list[RecordWork]:
    return [parse_signed(record.decode(), world.estate, world.rules) for record in records]


def test_the_signature_of_a_record_is_its_devices(world: World) -> None:
    records = [report(world), report(world, "chen")]
    works, rows = world.plan(records)
    checks = signature_checks(works_of(world, *records), rows)
    assert [one.point for one in checks] == [device(name).public.point() for name in ("li", "chen")]
    assert all(verify(*one) for one in checks)
    forged = records[0].rpartition(b".")[0] + b"." + records[1].rpartition(b".")[2]
    [wrong] = signature_checks(works_of(world, forged), rows)
    assert not verify(*wrong)
    assert len(works) == 2


def test_a_bind_is_signed_by_the_key_that_it_binds(world: World) -> None:
    bind = world.record("newcomer", "device.bind", world.bind_body("newcomer")).encode()
    [one] = signature_checks(works_of(world, bind), world.plan([bind])[1])
    assert one.point == device("newcomer").public.point()
    assert verify(*one)


def test_nobody_uses_up_the_nonces_of_another_key_with_a_bind(world: World) -> None:
    """The kid is Li's, the key in the body and the signature are the thief's."""
    body = world.bind_body("thief")
    record = world.record("thief", "device.bind", body, signer="li").encode()
    with pytest.raises(BatchInvalid, match="key that it binds"):
        check(world, [record])
    with pytest.raises(BatchInvalid, match="key that it binds"):
        signature_checks(works_of(world, record), world.plan([record])[1])


@pytest.mark.parametrize(
    "change",
    [
        lambda public: {**public, "crv": "P-384"},
        lambda public: {**public, "x": public["y"], "y": public["x"]},
    ],
)
def test_a_bind_of_what_is_no_key_is_refused(world: World, change: Callable[[dict[str, str]], dict[str, str]]) -> None:
    """Its thumbprint may well be the kid: anybody can hash anything."""
    body = world.bind_body("newcomer")
    body["device_key"] = change(body["device_key"])
    record = world.record("newcomer", "device.bind", body).encode()
    [work] = works_of(world, record)
    kid = work.signed.body.device_key.thumbprint()  # type: ignore[attr-defined]
    lying = msgspec.structs.replace(work, signed=msgspec.structs.replace(work.signed, kid=kid))
    with pytest.raises(BatchInvalid, match="no key"):
        signature_checks([lying], world.plan([record])[1])


@pytest.mark.parametrize("item", [b"", b"{}", b"\xff", b"a.b.c", b'{"body":{},"due_ms":1,"key":"k","kind":"none"}'])
def test_what_is_no_item_is_malformed(world: World, item: bytes) -> None:
    with pytest.raises(Malformed):
        check(world, [item])


def test_checking_changes_nothing(world: World) -> None:
    before = dict(world.rows)
    record = report(world)
    check(world, [record])
    assert world.rows == before
    assert key(Timer, record_id(record.decode())) not in world.rows
