"""Nodes get a later release one at a time while everything goes wrong, and officers have its rules begin.

Now and then a node is put back to the older release for a while. The oracle beside it: no version begins before every
member has had a release that knows it, and in the end all run the later one under its rules.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from server.domain.activation import PLAN_KEY, RulesPlan
from server.domain.member import Device
from server.limits import SECOND_MS
from server.record.canonical import digest
from server.record.rows import key
from tests.simulation.application import Brought, LedgerState
from tests.simulation.domain_ledger import DomainLedger
from tests.simulation.estate import device, signed

if TYPE_CHECKING:
    from tests.simulation.node import Node
    from tests.simulation.world import World

OLD, NEW = 1, 2
"""The highest version of the rules that each release knows."""
OFFICERS_EVERY_MS = (800, 2_500)
PATIENCE_MS = 5 * SECOND_MS
"""How long an officer hands one record in before he signs another."""
AHEAD = (2, 8)
"""Blocks between the officers' word and the first block of the new rules."""
BACK_MS = (500, 6_000)
"""How long a node that was put back runs the older release."""
FIRST_NUMBER = 10**9
"""Nonces of officers' records: no phone counts so far."""


class Upgrades:
    """Mutable. Which release each member has had, and the officers' errands."""

    def __init__(self, world: World, estate: str) -> None:
        self._world = world
        self._random = Random(f"upgrades {world.options.nodes} {world.options.seed}")
        """Of its own: everything else is in each seed what it is without upgrades."""
        self._known = dict.fromkeys((node.member for node in world.nodes), OLD)
        self._signed = FIRST_NUMBER
        self._estate = estate
        self._height = 0
        self._seen: list[RulesPlan] = []
        """Plans that somebody honest has stored."""
        self.outdated = 0
        """How often a node of the older release has stopped."""

    @property
    def are_done(self) -> bool:
        """Whether every node runs the later release, under its rules, if officers are left who can activate them."""
        nodes = self._world.standing()
        return all(node.rules == NEW and self._is_settled(node.application.ledger) for node in nodes)

    def _is_settled(self, ledger: LedgerState) -> bool:
        assert isinstance(ledger, DomainLedger)
        if _plan_of(ledger) is not None:
            return ledger.rules == NEW
        officers = self._officers()
        rows = [ledger.get(key(Device, device(f"officer-{member}").kid)) for member in officers]
        able = [row for row in rows if isinstance(row, Device) and not row.revoked]
        return len(able) < min(2, len(self._world.members))

    def _officers(self) -> list[str]:
        """Members with officers: those of genesis that have not left. Who is no member any more has no offices."""
        return [member for member in self._world.members if member in self._world.annals.epochs[-1].secrets]

    def begin(self) -> None:
        """Plan when each node is replaced; the officers do not wait for that."""
        span = max(1, self._world.options.fault_ms)
        turns = sorted(self._random.randint(0, span) for _ in self._world.nodes)
        for turn, node in zip(turns, self._random.sample(self._world.nodes, len(turns)), strict=True):
            self._world.at(turn, lambda node=node: self._give(node, NEW))  # type: ignore[misc]
        self._world.at(self._random.randint(0, span // 2), self._sign)
        if self._random.random() < 0.5:
            self._world.at(self._random.randint(span // 3, 2 * span), self._put_back)

    def _give(self, node: Node, rules: int) -> None:
        """End a node's program and start another release of it."""
        self._world.note(node, f"gets the release that knows rules up to {rules}")
        node.crash()
        node.joining = None  # whatever its program was at has ended with it
        node.rules, node.stopped = rules, ""
        self._known[node.member] = max(self._known[node.member], rules)
        node.boot()

    def _put_back(self) -> None:
        node = self._random.choice(self._world.nodes)
        if node.rules == NEW:
            self._give(node, OLD)
            self._world.at(self._random.randint(*BACK_MS), lambda: self._give(node, NEW))

    def _sign(self) -> None:
        """Officers of two organisations sign the next height; their further records only make blocks until then."""
        if self.are_done:
            return
        seen = max(self._world.nodes, key=lambda node: node.height)
        ledger = seen.application.ledger
        plan = _plan_of(ledger)
        if plan is None and self._height <= seen.height + 1:
            self._height = seen.height + self._random.randint(*AHEAD)
        officers = self._officers()
        for member in self._random.sample(officers, min(2, len(officers))):
            self._world.bring(self._activation(member))
        self._world.at(self._random.randint(*OFFICERS_EVERY_MS), self._sign)

    def _activation(self, member: str) -> Brought:
        self._signed += 1
        author, now_ms = f"officer-{member}", self._world.time_ms
        body = {"height": self._height, "version": NEW}
        jws = signed(device(author), author, self._estate, "rules.activate", body, now_ms, self._signed)
        record_id = digest(jws.rpartition(".")[0].encode())
        return Brought(record_id, jws.encode(), now_ms + PATIENCE_MS, lasting=False)

    # -- oracles

    def stored(self, node: Node, ledger: LedgerState) -> None:
        """The rules may be activated only when every member of that time has had a release that knows them.

        Who joins later may have an older one: it stops where they begin, until it is given the later one.
        """
        plan = _plan_of(ledger)
        if plan is not None and plan not in self._seen:
            self._seen.append(plan)
            behind = [member for member in node.config.members if self._known[member] < plan.version]
            if behind:
                what = (
                    f"rules {plan.version} are to begin at {plan.height}, {behind} never had a release that knows them"
                )
                self._world.watch_fail("upgrade", f"{node.address}: {what}")

    def may_stop(self, node: Node, reason: str) -> bool:
        """A node of the older release stops where the new rules begin, and has no other reason to."""
        is_due = reason == "outdated" and node.rules == OLD
        self.outdated += is_due
        return is_due


def _plan_of(ledger: LedgerState) -> RulesPlan | None:
    assert isinstance(ledger, DomainLedger)
    plan = ledger.get(PLAN_KEY)
    return plan if isinstance(plan, RulesPlan) else None
