"""Executing a block: who comes first, refusals change nothing, and the same bytes on every node."""

from __future__ import annotations

import enum
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar

import pytest

from server.domain import KINDS
from server.domain.check import BatchInvalid
from server.domain.execute import COMMON_REFUSALS, Executed, execute_block
from server.domain.member import BindDevice, Member, Nonce
from server.domain.plan import access_set
from server.ledger.block import leaf_entry, next_digest
from server.ledger.merkle import root_of
from server.limits import DAY_MS, HOUR_MS, NONCE_KEPT_MS, RECORD_AHEAD_MS_MAX
from server.record.canonical import b64u_encode, digest, encode
from server.record.envelope import Payload, sign_record
from server.record.kind import Context, RecordKind, Role, Signed
from server.record.rows import Key, Row, Rows, key
from server.record.sample import Draw, sample_record
from server.record.shape import Name
from tests.domain.world import ROLL, World, device, motion_body, photo, record_id, settled_world

REPORT: dict[str, Any] = {"category": "door", "contact": "", "home": True, "photos": [], "place": "", "text": "!"}
NONCE = "A" * 22


def test_common_refusals_stand_in_their_order(world: World) -> None:
    """Decisions 14, with every fault at once as far as they can meet."""
    world.bind("li", "old")
    world.do("li", "device.revoke", {"revoked": device("old").kid}, signer="old")
    world.do("li", "ticket.report", REPORT, signer="li", nonce=NONCE)
    bad = motion_body(world, roll="none")
    over: dict[str, Any] = {"made_ms": world.time_ms - DAY_MS, "expires_ms": world.time_ms}
    early: dict[str, Any] = {"made_ms": world.time_ms + 2 * RECORD_AHEAD_MS_MAX}
    codes = [
        world.refuse("chen", "motion.propose", bad, signer="li", nonce=NONCE, **over),
        world.refuse("chen", "motion.propose", bad, signer="old", **over),
        world.refuse("chen", "motion.propose", bad, signer="old", **early),
        world.refuse("chen", "motion.propose", bad, signer="old"),
        world.refuse("li", "motion.propose", bad, signer="old"),
        world.refuse("li", "motion.propose", bad),
    ]
    assert tuple(codes) == COMMON_REFUSALS
    assert world.refuse("hu", "motion.propose", bad) == "roll_not_found"


def test_a_record_lives_until_its_last_millisecond(world: World) -> None:
    record = world.record("li", "ticket.report", REPORT, expires_ms=world.time_ms + HOUR_MS)
    assert world.copy().block(record, after_ms=HOUR_MS - 1) == ["accepted"]
    assert world.copy().block(record, after_ms=HOUR_MS) == ["expired"]


@pytest.mark.parametrize(("over_ms", "outcome"), [(0, "accepted"), (1, "not_yet_valid")])
def test_a_phones_clock_may_be_five_minutes_ahead(world: World, over_ms: int, outcome: str) -> None:
    made_ms = world.time_ms + 1_000 + RECORD_AHEAD_MS_MAX + over_ms
    record = world.record("li", "ticket.report", REPORT, made_ms=made_ms)
    assert world.block(record, after_ms=1_000) == [outcome]


def test_a_nonce_is_used_up_whatever_becomes_of_the_record(world: World) -> None:
    refused = world.record("li", "ticket.report", {**REPORT, "category": "weather"}, nonce=NONCE)
    other = world.record("li", "ticket.report", REPORT, nonce=NONCE)
    assert world.block(refused, other) == ["category_unknown", "nonce_conflict"]
    assert world.block(world.record("chen", "ticket.report", REPORT, nonce=NONCE)) == ["accepted"]


def test_a_record_takes_effect_once(world: World) -> None:
    record = world.record("li", "ticket.report", REPORT)
    assert world.block(record) == ["accepted"]
    for again in ([record], [record, record]):
        with pytest.raises(BatchInvalid, match=r"before|twice"):
            world.block(*again)


def test_a_conflicting_record_is_ordered_once_as_well(world: World) -> None:
    world.do("li", "ticket.report", REPORT, nonce=NONCE)
    conflicts = [world.record("li", "ticket.report", {**REPORT, "home": home}, nonce=NONCE) for home in (False, True)]
    assert world.block(*conflicts) == ["nonce_conflict", "nonce_conflict"]
    nonce = world.get(Nonce, device("li").kid, NONCE)
    assert nonce is not None and nonce.conflicts == tuple(record_id(one) for one in conflicts)
    for record in conflicts:
        with pytest.raises(BatchInvalid, match="before"):
            world.block(record)


def test_the_same_record_with_another_signature_is_the_same_record(world: World) -> None:
    payload = Payload(
        author="li",
        body=world.commit("ticket.report", REPORT),
        estate=world.estate,
        expires_ms=world.time_ms + HOUR_MS,
        kind="ticket.report",
        made_ms=world.time_ms,
        nonce=NONCE,
    )
    first, second = (sign_record(device("li"), payload) for _ in range(2))
    assert first != second
    with pytest.raises(BatchInvalid, match="twice"):
        world.block(first, second)


def test_a_nonce_is_free_again_when_nothing_that_used_it_can_come_back(world: World) -> None:
    first = world.record("li", "ticket.report", REPORT, nonce=NONCE)
    world.block(first)
    nonce = world.get(Nonce, device("li").kid, NONCE)
    assert nonce is not None
    at_ms = nonce.forget_ms
    assert at_ms == world.time_ms - 1_000 + HOUR_MS + NONCE_KEPT_MS
    later = world.record("li", "ticket.report", {**REPORT, "home": False}, nonce=NONCE, made_ms=at_ms - 1_000)
    assert world.copy().block(later, after_ms=at_ms - 1 - world.time_ms) == ["nonce_conflict"]
    assert world.block(later, after_ms=at_ms - world.time_ms) == ["accepted"]
    with pytest.raises(BatchInvalid, match="too old"):
        world.block(first, after_ms=0)


def busy_batch(world: World) -> list[bytes]:
    """A batch with timers due, records accepted and refused, several members' rows, and a seal."""
    motion = world.open_motion()
    world.cast("li", motion, 0)
    ticket = world.do("li", "ticket.report", {**REPORT, "photos": [photo("a"), photo("b")]})
    world.do("hu", "ticket.assign", {"handler": "sun", "ticket": ticket})
    grants = [
        world.record(
            "sun",
            "points.grant",
            {"activity": "x", "amount": 5, "member": member, "programme": "p", "reason": "r"},
            made_ms=world.time_ms + HOUR_MS,
        )
        for member in ("li", "chen", "sun")
    ]
    timers = world.timer_items(world.time_ms + HOUR_MS)
    assert len(timers) == 1
    return [world.seal_item(), *timers, *(grant.encode() for grant in grants)]


def evidence(executed: Executed) -> dict[str, Any]:
    return {
        "changed": sorted((name, encode(row)) for name, row in executed.changed.items()),
        "digest": executed.state_digest,
        "entries": executed.entries,
        "nodes": executed.nodes,
        "outcomes": executed.outcomes,
        "peaks": executed.peaks,
        "root": executed.root,
    }


def test_a_block_executed_twice_gives_the_same_bytes(world: World) -> None:
    items = busy_batch(world)
    first, second = (world.execute(items, world.time_ms + HOUR_MS) for _ in range(2))
    assert first.outcomes == ("accepted", "accepted", "accepted", "accepted", "self_grant")
    assert evidence(first) == evidence(second)


def test_the_order_in_which_rows_are_loaded_does_not_matter(world: World) -> None:
    items, time_ms = busy_batch(world), world.time_ms + HOUR_MS
    header = world.header_of(items, time_ms)
    works, _ = world.plan(items)
    keys = access_set(works)
    assert keys == sorted(set(keys))
    results = [
        evidence(execute_block(header, works, world.load(order), world.tree, world.trust, world.rules))
        for order in (keys, keys[::-1], keys[1::2] + keys[::2])
    ]
    assert results[0] == results[1] == results[2]


def test_a_block_ends_with_its_leaf_and_the_tree_grows_by_its_entries(world: World) -> None:
    items = busy_batch(world)
    time_ms, first_index = world.time_ms + HOUR_MS, world.tree.size
    executed = world.execute(items, time_ms)
    assert executed.first_index == first_index
    assert executed.size == first_index + len(items) + 1
    assert executed.root == root_of([*world.entries, *executed.entries])
    header = world.header_of(items, time_ms)
    assert executed.entries[-1] == leaf_entry(world.cluster_id, header, first_index + len(items), executed.state_digest)
    changed = [encode([name.table, name.id, row]) for name, row in sorted(executed.changed.items())]
    assert executed.state_digest == next_digest(world.state_digest, executed.outcomes, changed)
    entries = [json.loads(entry) for entry in executed.entries]
    assert [entry["index"] for entry in entries] == list(range(first_index, executed.size))
    assert [entry["outcome"] for entry in entries[:-1]] == list(executed.outcomes)
    assert [entry.get("record") for entry in entries[2:5]] == [item.decode() for item in items[2:]]


HISTORY = """
from tests.domain.test_execute import busy_batch
from tests.domain.world import HOUR_MS, settled_world
world = settled_world()
_, *unsealed = busy_batch(world)  # a seal's root covers signatures, which are random
print(world.execute(unsealed, world.time_ms + HOUR_MS).state_digest)
"""


def test_the_order_of_sets_does_not_reach_the_state() -> None:
    """Another hash seed orders sets and dicts of strings otherwise."""
    root = Path(__file__).resolve().parents[2]
    digests = {
        subprocess.run(
            [sys.executable, "-c", HISTORY],
            cwd=root,
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(root)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(digests) == 1
    assert len(digests.pop().strip()) == 43


class Wave(Row, frozen=True):
    """How often a member waved."""

    table: ClassVar[str] = "wave"
    times: int


class WaveHello(RecordKind, frozen=True):
    """A throw-away kind: a resident waves, three times at most."""

    kind: ClassVar[str] = "wave.hello"
    signed_by: ClassVar[frozenset[Role]] = frozenset({Role.RESIDENT})

    class Refusal(enum.Enum):
        """In order of precedence."""

        TIRED = "tired"

    mood: Name

    def access(self, signed: Signed) -> tuple[Key, ...]:
        """The author's waves."""
        return (key(Wave, signed.author),)

    def execute(self, rows: Rows, context: Context) -> WaveHello.Refusal | None:
        """One more."""
        wave = rows.get(Wave, context.author) or Wave(context.author, 0)
        rows.put(Wave(wave.id, wave.times + 1))
        return self.Refusal.TIRED if wave.times >= 3 else None


def test_a_new_kind_needs_nothing_but_its_class_and_its_name(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(KINDS, WaveHello.kind, WaveHello)
    waves = [world.record("li", "wave.hello", {"mood": "glad"}) for _ in range(5)]
    assert world.block(*waves) == ["accepted"] * 3 + ["tired"] * 2
    assert world.get(Wave, "li") == Wave("li", 3)
    assert world.refuse("sun", "wave.hello", {"mood": "glad"}) == "role_missing"
    assert sample_record(WaveHello, 7).body["mood"]


def test_a_row_that_was_not_declared_is_a_bug_and_not_a_refusal(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    class Nosy(WaveHello, frozen=True):
        """Reads what it did not declare."""

        def execute(self, rows: Rows, context: Context) -> WaveHello.Refusal | None:
            """The neighbour's row."""
            rows.get(Member, "chen")
            return None

    monkeypatch.setitem(KINDS, WaveHello.kind, Nosy)
    with pytest.raises(AssertionError, match="not declared"):
        world.block(world.record("li", "wave.hello", {"mood": "glad"}))


def names_in(world: World) -> dict[str, list[Any]]:
    """What the fields of a random record may name that is really there."""
    motion = world.open_motion()
    ballot = world.cast("li", motion, 0)
    ticket = world.do("li", "ticket.report", REPORT)
    offer = digest(b"offer")
    due_ms = world.time_ms + 600_000
    world.do("ma", "offer.make", {"amount": 1, "code_hash": offer, "due_ms": due_ms})
    return {
        "amount": [1, 5],
        "category": ["lift"],
        "close_ms": [world.time_ms + HOUR_MS],
        "code_hash": [offer, digest(b"new")],
        "due_ms": [due_ms],
        "handler": ["sun", "hu", "li"],
        "matter": ["fund-use"],
        "member": ["li", "chen", "sun"],
        "motion": [motion],
        "offer": [offer],
        "position": [0, 1, 2],
        "question": ["q1"],
        "questions": [motion_body(world)["questions"]],
        "replaces": ["", ballot],
        "revoked": [device("chen").kid],
        "roll": [ROLL],
        "rule_pack": ["shanghai@2020-12-30"],
        "shop": ["ma"],
        "ticket": [ticket],
    }


@pytest.mark.parametrize("kind", [kind for kind in KINDS.values() if not kind.binds_device], ids=lambda one: one.kind)
def test_random_records_are_accepted_or_refused_by_a_declared_code_and_never_stop_a_node(
    world: World, kind: type[RecordKind]
) -> None:
    known = names_in(world)
    codes = {"accepted", *COMMON_REFUSALS, *(refusal.value for refusal in kind.Refusal)}
    for seed in range(40):
        draw = Draw(seed)
        fixed = {
            name: draw.pick(known[name]) for name in kind.__struct_fields__ if name in known and draw.integer(0, 3)
        }
        sample = sample_record(kind, seed, fixed)
        world.openings.update(sample.openings)
        author = draw.pick(("li", "chen", "sun", "hu", "ma", "officer-owners"))
        payload = Payload(
            author=author,
            body=sample.body,
            estate=world.estate,
            expires_ms=world.time_ms + HOUR_MS,
            kind=kind.kind,
            made_ms=world.time_ms,
            nonce=b64u_encode(seed.to_bytes(16)),
        )
        [outcome] = world.block(sign_record(device(author), payload), after_ms=10)
        assert outcome in codes
    assert set(kind.permanent) <= codes


def test_permanent_refusals_are_refusals() -> None:
    for kind in KINDS.values():
        assert kind.permanent <= {refusal.value for refusal in kind.Refusal}
        assert not {refusal.value for refusal in kind.Refusal} & (set(COMMON_REFUSALS) - {"device_revoked"})
    assert BindDevice.Refusal.DEVICE_REVOKED.value == "device_revoked"


def test_every_kind_is_described_and_named_noun_verb() -> None:
    for name, kind in KINDS.items():
        assert kind.__doc__ and name == kind.kind
        assert len(name.split(".")) == 2


def test_the_neighbourhood_of_the_tests_is_not_changed_by_a_test() -> None:
    first, second = settled_world(), settled_world()
    first.open_motion()
    assert second.rows.keys() < first.rows.keys()
    assert second.height < first.height
