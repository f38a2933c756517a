"""The platform's own rules on whole clusters under faults, for days of virtual time. A failing seed is kept here."""

import enum
from collections import Counter
from dataclasses import replace
from typing import Annotated, ClassVar

import pytest

from server.consensus import accusation
from server.domain import KINDS
from server.domain.activation import ActivateRules
from server.domain.execution import ExecuteMotion
from server.domain.membership import ChangeMembers
from server.domain.objection import ObjectToMotion
from server.domain.ticket import Ticket
from server.record.kind import Context, RecordKind, Role, Signed
from server.record.rows import Key, Rows, key
from server.record.shape import Digest, Line, Opens, RecordId
from tests.simulation.domain_mutants import DOMAIN_MUTANTS, DomainMutant
from tests.simulation.hash_seeds import differing_outputs
from tests.simulation.liars import KEEPS_OLD_KEYS
from tests.simulation.lots import Lot
from tests.simulation.options import Options, days, joins
from tests.simulation.rules import DomainScene
from tests.simulation.upgrades import NEW
from tests.simulation.world import World, run

CHUNKS = ((3, 1, 10), (3, 11, 10), (3, 21, 10), (3, 31, 9), (4, 1, 8), (7, 1, 2), (1, 1, 10))
"""(nodes, first seed, count)."""


@pytest.mark.parametrize(("nodes", "first", "count"), CHUNKS)
def test_no_oracle_fires_when_the_real_rules_run(nodes: int, first: int, count: int) -> None:
    for seed in range(first, first + count):
        report = run(days(nodes, seed), DomainScene)
        command = f"python3 scripts/simulate.py --nodes {nodes} --seeds {seed}..{seed} --rules --trace"
        assert report.failures == (), command
        assert report.blocks > 0


@pytest.mark.parametrize(("nodes", "first"), [(3, 101), (3, 107), (4, 101)])
def test_nodes_that_lost_their_disks_join_by_a_snapshot_and_end_with_the_rows_of_a_replay(
    nodes: int, first: int
) -> None:
    """Killed in between, deceived in every way; the audit replays the log, and every node's rows are compared."""
    joined = lies = 0
    for seed in range(first, first + 6):
        options = joins(replace(days(nodes, seed), mode="available"))
        world = World(options, make_scene=DomainScene)
        assert world.run().failures == (), options
        joined, lies = joined + world.watch.joins, lies + world.watch.lies_found
    assert joined > 3
    assert lies > 0


def test_four_nodes_bear_a_member_whose_second_copy_lies_in_what_it_proposes() -> None:
    """Forged, repeated and early items, left out timers, wrong counts and seals: nothing of it is ever stored."""
    for seed in range(1, 13):
        report = run(days(4, seed, twins=True), DomainScene)
        command = f"python3 scripts/simulate.py --nodes 4 --seeds {seed}..{seed} --rules --twins --trace"
        assert report.failures == (), command
        assert report.forks == 0


@pytest.mark.parametrize(("nodes", "first", "count"), [(3, 1, 12), (4, 1, 6), (1, 1, 6)])
def test_no_oracle_fires_while_nodes_get_a_later_release_in_turn_and_its_rules_begin(
    nodes: int, first: int, count: int
) -> None:
    begun = 0
    for seed in range(first, first + count):
        world = World(days(nodes, seed, upgrades=True), make_scene=DomainScene)
        command = f"python3 scripts/simulate.py --nodes {nodes} --seeds {seed}..{seed} --rules --upgrades --trace"
        assert world.run().failures == (), command
        begun += {stored.block.header.rules for stored in world.nodes[0].disk.blocks} == {1, 2}
    assert begun >= count - 2, "two officers may have lost their keys"


def test_a_node_that_is_put_back_to_the_older_release_stops_and_goes_on_with_the_later_one() -> None:
    outdated = 0
    for seed in range(21, 33):
        world = World(days(3, seed, upgrades=True), make_scene=DomainScene)
        assert world.run().failures == ()
        assert world.upgrades is not None
        outdated += world.upgrades.outdated
    assert outdated > 0


@pytest.mark.parametrize(("nodes", "first", "count"), [(3, 1, 9), (3, 10, 9), (4, 1, 6)])
def test_no_oracle_fires_while_members_join_leave_and_take_new_keys(nodes: int, first: int, count: int) -> None:
    changes = 0
    for seed in range(first, first + count):
        report = run(replace(days(nodes, seed), changes=8), DomainScene)
        command = f"python3 scripts/simulate.py --nodes {nodes} --seeds {seed}..{seed} --rules --changes 8 --trace"
        assert report.failures == (), command
        changes += report.epochs - 1
    assert changes > 2


@pytest.mark.parametrize(("nodes", "seeds", "caught"), [(3, (3, 11, 12), 3), (4, (10, 11, 12), 3)])
def test_a_member_that_signs_on_with_retired_keys_is_named_once_in_the_log_and_nobody_else_is(
    nodes: int, seeds: tuple[int, ...], caught: int
) -> None:
    found = 0
    for seed in seeds:
        world = Lot(nodes, seed, KEEPS_OLD_KEYS, rules=True, changes=12).world()
        assert world.run().failures == (), Lot(nodes, seed, KEEPS_OLD_KEYS, rules=True, changes=12).command
        named = {node.application.ledger.agenda().retired for node in world.standing()}
        assert named == {tuple(sorted(world.told_keys))}
        found += len(world.told_keys)
    assert found >= caught, "it has something to give away in these seeds"


@pytest.mark.parametrize(("nodes", "first", "count"), [(3, 1, 7), (4, 7, 6)])
def test_no_oracle_fires_while_members_change_and_nodes_get_a_later_release(nodes: int, first: int, count: int) -> None:
    """Who joins with the older release stops where the new rules begin, and goes on when it is given the later one."""
    changes = begun = 0
    for seed in range(first, first + count):
        lot = Lot(nodes, seed, rules=True, upgrades=True, changes=10)
        world = lot.world()
        report = world.run()
        assert report.failures == (), lot.command
        changes += report.epochs - 1
        begun += any(stored.block.header.rules == NEW for node in world.standing() for stored in node.disk.blocks)
    assert changes > count
    assert begun >= count - 2, "two officers may have lost their keys"


def test_three_become_seven_and_three_again_one_at_a_time() -> None:
    calm = Options(3, 1, records=60, fault_ms=90_000, changes=120)
    world = World(calm, make_scene=DomainScene)
    assert isinstance(world.scene, DomainScene)
    world.scene.operators.plan = [*["node.add"] * 4, *["node.remove"] * 4]
    assert world.run().failures == ()
    counts = [len(seen.members) for seen in world.annals.epochs]
    assert counts[:9] == [3, 4, 5, 6, 7, 6, 5, 4, 3]


@pytest.mark.parametrize("mutant", DOMAIN_MUTANTS, ids=lambda mutant: mutant.name)
def test_each_broken_rule_is_caught(mutant: DomainMutant, monkeypatch: pytest.MonkeyPatch) -> None:
    World(mutant.options(1), make_scene=DomainScene)  # the neighbourhood moves in under good rules
    mutant.patch(monkeypatch)
    if mutant.liars:  # who is known to lie is not listened to, and what he proposes would never be checked
        monkeypatch.setattr(accusation, "observe", lambda state, message: None)
    assert any(run(mutant.options(seed), DomainScene).failures for seed in mutant.seeds)


def test_every_kind_takes_effect_and_many_are_refused() -> None:
    """What the oracles see is worth something: every declared kind, and rivals, latecomers and liars."""
    outcomes: Counter[tuple[str, str]] = Counter()
    for seed in (*range(41, 62), 75):
        world = World(days(3, seed), make_scene=DomainScene)
        assert world.run().failures == ()
        done = world.nodes[0].application.ledger.done
        assert isinstance(world.scene, DomainScene)
        outcomes.update((kind, done[record]) for record, kind in world.scene.phones.kinds.items() if record in done)
    operators, slow = {ActivateRules.kind, ChangeMembers.kind}, {ExecuteMotion.kind, ObjectToMotion.kind}
    done = {kind for kind, outcome in outcomes if outcome == "accepted"}
    assert done | slow == {*KINDS} - operators, "a binding vote takes weeks, and nothing of a rehearsal is carried out"
    wanted = {
        ("ballot.cast", "ballot_already_cast"),
        ("ballot.cast", "motion_closed"),
        ("points.redeem", "balance_too_low"),
        ("points.redeem", "offer_already_redeemed"),
        ("points.redeem", "offer_expired"),
        ("redemption.undo", "undo_too_late"),
        ("ticket.assign", "ticket_state_differs"),
    }
    assert wanted <= {*outcomes}
    refusals = {outcome for _, outcome in outcomes}
    assert {"nonce_conflict", "not_yet_valid", "device_revoked", "role_missing"} <= refusals


class WatchTicket(RecordKind, frozen=True):
    """A kind that the simulation has never heard of."""

    kind: ClassVar[str] = "ticket.watch"
    signed_by: ClassVar[frozenset[Role]] = frozenset({Role.RESIDENT})

    class Refusal(enum.Enum):
        """Why not."""

        TICKET_NOT_FOUND = "ticket_not_found"

    reason: Annotated[Digest, Opens(Line)]
    ticket: RecordId

    def access(self, signed: Signed) -> tuple[Key, ...]:
        """The ticket."""
        return (key(Ticket, self.ticket),)

    def execute(self, rows: Rows, context: Context) -> enum.Enum | None:
        """Any ticket that is there."""
        return None if rows.get(Ticket, self.ticket) else self.Refusal.TICKET_NOT_FOUND


def test_a_kind_is_simulated_as_soon_as_it_is_declared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(KINDS, WatchTicket.kind, WatchTicket)
    outcomes: Counter[str] = Counter()
    for seed in range(1, 25):
        world = World(days(3, seed), make_scene=DomainScene)
        assert world.run().failures == ()
        assert isinstance(world.scene, DomainScene)
        done = world.nodes[0].application.ledger.done
        mine = [record for record, kind in world.scene.phones.kinds.items() if kind == WatchTicket.kind]
        outcomes.update(done[record] for record in mine if record in done)
    assert outcomes["accepted"] > 3


def test_the_same_seed_gives_the_same_frames_whatever_the_order_of_sets() -> None:
    """Nothing in the rules depends on the order of a set: another PYTHONHASHSEED, the same frames."""
    program = (
        "from tests.simulation.rules import DomainScene\n"
        "from tests.simulation.options import days\n"
        "from tests.simulation.world import run\n"
        "print([run(days(n, seed), DomainScene).fingerprint for n, seed in ((3, 2), (3, 7), (1, 6))])\n"
    )
    assert len(differing_outputs(program)) == 1
