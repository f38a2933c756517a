"""Broken rules and broken execution: each leaves out or changes one thing of server/domain. Every one must be caught.

As with the protocol (mutants.py), what the simulation of the rules is worth is measured by what it catches.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from dataclasses import replace as replace_options
from itertools import count
from typing import Any

import pytest
from msgspec.structs import replace

from server.consensus import commit
from server.consensus.events import Stored
from server.consensus.state import State
from server.domain import (
    activation,
    ballot,
    check,
    execute,
    joining,
    member,
    membership,
    offer,
    plan,
    points,
    state_root,
    tally,
    ticket_step,
)
from server.domain.activation import PLAN_KEY
from server.domain.agenda import Seal, SealWait, Timer
from server.domain.ballot import Ballot, CastBallot
from server.domain.membership import IN_FORCE, BeginEpoch, ChangeMembers, EpochBegun, EpochInForce
from server.domain.motion import Turnout
from server.domain.plan import DerivedWork
from server.domain.rules import Rules
from server.ledger import membership as ledger_membership
from server.ledger.block import Header
from server.record.kind import Context, Place, Trust
from server.record.rows import Key, Rows, key
from tests.simulation import domain, liar
from tests.simulation.domain_ledger import DomainLedger
from tests.simulation.options import Options, days, joins

Patch = Callable[[pytest.MonkeyPatch], None]


@dataclass(frozen=True, slots=True)
class DomainMutant:
    """A fault, and in which of the first seeds it must show."""

    name: str
    patch: Patch
    seeds: range = range(1, 31)
    liars: bool = False
    """Four nodes, one of which lies in what it proposes: for what checking a proposal must notice."""
    upgrades: bool = False
    """Nodes get a later release in turn, whose rules are activated."""
    changes: int = 0
    """How often operators change the members."""
    joins: bool = False
    """A node loses its disk and joins by a snapshot, of which not all that it is given is true."""

    def options(self, seed: int) -> Options:
        """What a seed runs."""
        many = days(4 if self.liars else 3, seed, twins=self.liars, upgrades=self.upgrades)
        many = joins(many) if self.joins else many
        return replace_options(many, changes=self.changes)


def _move_twice(patch: pytest.MonkeyPatch) -> None:
    once = points.transfer

    def twice(rows: Rows, context: Context, debit: Any, credit: Any, amount: int, reason: str = "") -> None:
        once(rows, context, debit, replace(credit, credits=credit.credits + amount), amount, reason)

    patch.setattr(offer, "transfer", twice)
    patch.setattr(points, "transfer", twice)


def _order_again(patch: pytest.MonkeyPatch) -> None:
    used = execute._used_nonce
    patch.setattr(execute, "_used_nonce", lambda *known: replace(used(*known), record="", conflicts=(), forget_ms=0))


def _lose_the_second_change(patch: pytest.MonkeyPatch) -> None:
    def end(self: Rows, *, keep: bool) -> None:
        if keep:
            self.changed = {**self._staged, **self.changed}
        self._staged = {}

    patch.setattr(Rows, "end", end)


def _keep_what_is_refused(patch: pytest.MonkeyPatch) -> None:
    end = Rows.end
    patch.setattr(Rows, "end", lambda self, *, keep: end(self, keep=True))

    def no_check(self: Any, rows: Rows, context: Context) -> Any:
        points.transfer(rows, context, *_accounts(self, rows, context), self.amount)
        return redeem(self, rows, context)

    redeem = offer.RedeemPoints.execute
    patch.setattr(offer.RedeemPoints, "execute", no_check)


def _accounts(body: Any, rows: Rows, context: Context) -> tuple[Any, Any]:
    payer = points.read_account(rows, points.MEMBER, context.author)
    return replace(payer, credits=payer.credits + 10**9), points.read_account(rows, points.MERCHANT, body.shop)


def _forget_to_declare(patch: pytest.MonkeyPatch) -> None:
    access = CastBallot.access
    patch.setattr(CastBallot, "access", lambda self, signed: access(self, signed)[:-1])


def _load_another_row(patch: pytest.MonkeyPatch) -> None:
    """An access set that leaves out nothing but reads an account's row as it was at the beginning."""
    load = DomainLedger.load
    first: dict[Key, Any] = {}

    def stale(self: DomainLedger, keys: Any) -> Rows:
        rows = load(self, keys)
        old = {name: first.setdefault(name, row) for name, row in rows.loaded.items() if name.table == "account"}
        return Rows({**rows.loaded, **old})

    patch.setattr(DomainLedger, "load", stale)


def _count_as_they_come(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(tally, "sorted", lambda ballots, key: list(ballots), raising=False)


def _count_replaced_ones(patch: pytest.MonkeyPatch) -> None:
    cast = CastBallot.execute

    def bump(self: CastBallot, rows: Rows, context: Context) -> Any:
        before = rows.get(Ballot, self.motion, self.question, str(self.position))
        refusal = cast(self, rows, context)
        turnout = rows.get(Turnout, self.motion, self.question)
        if before is not None and refusal is None and turnout is not None:
            rows.put(replace(turnout, heads=turnout.heads + 1))
        return refusal

    patch.setattr(CastBallot, "execute", bump)


def _let_both_vote(patch: pytest.MonkeyPatch) -> None:
    cast = CastBallot.execute

    def lenient(self: CastBallot, rows: Rows, context: Context) -> Any:
        counted = rows.get(Ballot, self.motion, self.question, str(self.position))
        if counted is None:
            return cast(self, rows, context)
        signed = replace(context.signed, author=counted.member)
        return cast(replace(self, replaces=counted.record), rows, replace(context, signed=signed))

    patch.setattr(CastBallot, "execute", lenient)


def _vote_after_the_close(patch: pytest.MonkeyPatch) -> None:
    refuse = CastBallot._refuse_motion

    def late(self: CastBallot, rows: Rows, context: Context) -> Any:
        refusal = refuse(self, rows, context)
        return None if refusal is ballot.CastBallot.Refusal.MOTION_CLOSED else refusal

    patch.setattr(CastBallot, "_refuse_motion", late)


def _refuse_sometimes(patch: pytest.MonkeyPatch) -> None:
    refuse, calls = execute.refuse_common, count(1)
    patch.setattr(execute, "refuse_common", lambda *known: "expired" if next(calls) % 50 == 0 else refuse(*known))


def _overlook(refusal: str) -> Patch:
    def apply(patch: pytest.MonkeyPatch) -> None:
        refuse = execute.refuse_common

        def lenient(*known: Any) -> str | None:
            found = refuse(*known)
            return None if found == refusal else found

        patch.setattr(execute, "refuse_common", lenient)

    return apply


def _redeem_again(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(offer.TRANSITIONS, offer.REDEEMED, {"points.redeem": "redeemed", "redemption.undo": "undone"})


def _undo_late(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(offer, "UNDO_MS_MAX", 10**9)


def _confirm_early(patch: pytest.MonkeyPatch) -> None:
    steps = ticket_step.TRANSITIONS
    patch.setitem(steps, "assigned", {**steps["assigned"], "ticket.confirm": "confirmed"})
    patch.setitem(steps, "submitted", {**steps["submitted"], "ticket.confirm": "confirmed"})


def _ring_again(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(execute, "timer_key", lambda kind, name: key(Timer, "nothing", name))


def _be_final_early(patch: pytest.MonkeyPatch) -> None:
    parse = plan.parse_derived

    def eager(item: bytes, waits: Sequence[SealWait], rules: Rules) -> DerivedWork:
        work = parse(item, waits, rules)
        if not isinstance(work.rule, Seal):
            return work
        keys = work.rule.access(work.item.key) + plan._wait_keys(waits, rules)
        return DerivedWork(work.item, work.rule, keys, tuple(waits))

    patch.setattr(plan, "parse_derived", eager)


def _vote_at_once(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(member.BindDevice, "_votes_from_ms", lambda self, context, device, owner: context.time_ms)


def _approve_alone(patch: pytest.MonkeyPatch) -> None:
    approve = member._OfficersRecord._approve

    def alone(self: Any, rows: Rows, context: Context) -> frozenset[str] | None:
        after = approve(self, rows, context)
        return None if after is None else after | {"another", "third"}

    patch.setattr(member._OfficersRecord, "_approve", alone)


def _grant_for_strangers(patch: pytest.MonkeyPatch) -> None:
    grant = member.GrantRole.execute

    def lenient(self: member.GrantRole, rows: Rows, context: Context) -> Any:
        keys = {**context.trust.attest_keys, self.organisation: b""}
        return grant(self, rows, replace(context, trust=replace(context.trust, attest_keys=keys)))

    patch.setattr(member.GrantRole, "execute", lenient)


def _believe_attestations(patch: pytest.MonkeyPatch) -> None:
    def believe(trust: Trust, attestation: Any, owner: str, kid: str) -> bool:
        return True

    patch.setattr(member, "is_attested", believe)


def _believe_signatures(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(domain, "verify", lambda *check: True)


def _skip(name: str) -> Patch:
    """Leave one step of checking a batch out."""
    return lambda patch: patch.setattr(check, name, lambda *known: None)


def _count_as_told(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(domain.DomainApplication, "_check_derived", lambda self, works, timers: None)


def _believe_seals(patch: pytest.MonkeyPatch) -> None:
    # One member seldom leads: what it does then must be what is looked for.
    patch.setattr(liar, "_LIES", (liar.LyingApplication._seal_more,))
    patch.setattr(domain.DomainApplication, "_check_seal", lambda self, seal: None)


def _count_forgotten_rows(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(state_root, "is_forgotten", lambda line, time_ms: False)


def _take_rows_as_they_come(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(state_root, "sorted", lambda rows, key: list(rows), raising=False)


def _believe(check: str) -> Patch:
    return lambda patch: patch.setattr(joining, check, lambda *known: None)


def _take_what_nobody_signed(patch: pytest.MonkeyPatch) -> None:
    strict = joining.check_snapshot
    patch.setattr(joining, "check_snapshot", lambda shown, quorum, *known: strict(shown, 0, *known))


def _ask_nobody(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(activation, "lacking_support", lambda body, known: ())


def _go_on_with_the_newest_known(patch: pytest.MonkeyPatch) -> None:
    """What a release does not know it takes for the newest that it knows."""

    def guess(self: domain.DomainApplication, header: Header) -> Rules:
        return dataclasses.replace(domain.RULEBOOK.find(min(header.rules, self.newest)), version=header.rules)

    patch.setattr(domain.DomainApplication, "_find", guess)
    patch.setattr(State, "stop_if_outdated", lambda self, version, what: False)


def _take_the_own_release_s_version(patch: pytest.MonkeyPatch) -> None:
    def own(self: domain.DomainApplication, header: Header) -> Rules:
        return dataclasses.replace(domain.RULEBOOK.find(self.newest), version=header.rules)

    patch.setattr(domain.DomainApplication, "_find", own)


def _begin_a_block_late(patch: pytest.MonkeyPatch) -> None:
    """The version of a block is the one in force for the block before it."""
    patch.setattr(DomainLedger, "rules", property(lambda self: activation.version_at(self.get(PLAN_KEY), self.height)))


def _begin_at_commit(patch: pytest.MonkeyPatch) -> None:
    access = ChangeMembers.access

    def wider(self: ChangeMembers, signed: Any) -> tuple[Key, ...]:
        return (*access(self, signed), key(EpochBegun, str(self.change.epoch + 1)))

    def at_once(rows: Rows, place: Place, kind: str, name: str) -> None:
        BeginEpoch().execute(name, rows, place)

    patch.setattr(ChangeMembers, "access", wider)
    patch.setattr(membership, "wait_for_seal", at_once)


def _change_twice(patch: pytest.MonkeyPatch) -> None:
    change = ChangeMembers.execute

    def hasty(self: ChangeMembers, rows: Rows, context: Context) -> Any:
        standing = rows.get(EpochInForce, IN_FORCE)
        if standing is not None and standing.pending:
            rows.put(replace(standing, pending=""))
        return change(self, rows, context)

    patch.setattr(ChangeMembers, "execute", hasty)


def _change_unsigned(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ledger_membership, "_refuse_signatures", lambda *known: None)


def _go_on_in_the_old_epoch(patch: pytest.MonkeyPatch) -> None:
    stored = commit.on_stored

    def deaf(state: State, event: Stored) -> None:
        stored(state, replace_options(event, ends_epoch=False))

    patch.setattr(commit, "on_stored", deaf)


DOMAIN_MUTANTS = (
    DomainMutant("points arrive twice", _move_twice),
    DomainMutant("a record may be ordered again", _order_again),
    DomainMutant("of two changes of a row in a block the second is lost", _lose_the_second_change),
    DomainMutant("a refused record leaves its rows", _keep_what_is_refused),
    DomainMutant("a kind does not declare a row that it touches", _forget_to_declare),
    DomainMutant("a block is executed on old rows", _load_another_row),
    DomainMutant("ballots are counted in the order in which a node has them", _count_as_they_come, range(8, 48)),
    DomainMutant("a replaced ballot is counted as one more", _count_replaced_ones, range(4, 44)),
    DomainMutant("both of a couple vote", _let_both_vote, range(4, 44)),
    DomainMutant("a ballot counts after the close", _vote_after_the_close),
    DomainMutant("what is executed depends on what was executed before", _refuse_sometimes),
    DomainMutant("a nonce may be used again", _overlook("nonce_conflict")),
    DomainMutant("a revoked key signs", _overlook("device_revoked")),
    DomainMutant("a role is not asked for", _overlook("role_missing")),
    DomainMutant("a record from the future takes effect", _overlook("not_yet_valid")),
    DomainMutant("an offer is redeemed twice", _redeem_again),
    DomainMutant("a redemption is undone after ten minutes", _undo_late, range(12, 52)),
    DomainMutant("a ticket is confirmed before it is done", _confirm_early),
    DomainMutant("a timer rings again", _ring_again),
    DomainMutant("what waits for a seal does not wait", _be_final_early, range(73, 113)),
    DomainMutant("a new key votes at once", _vote_at_once, range(3, 43)),
    DomainMutant("one organisation alone gives a role", _approve_alone),
    DomainMutant("a role is given for an organisation that is no member", _grant_for_strangers, range(61, 101)),
    DomainMutant("attestations are not verified", _believe_attestations, range(16, 56)),
    DomainMutant("signatures are not verified", _believe_signatures),
    DomainMutant("signatures of a proposal are not verified", _believe_signatures, liars=True),
    DomainMutant("nobody asks which timers are due", _skip("_check_timers"), range(15, 55), liars=True),
    DomainMutant("nobody asks whether a record was ordered before", _skip("_check_once"), range(10, 50), liars=True),
    DomainMutant("a state root is believed", _skip("check_state_root"), liars=True),
    DomainMutant("a state root counts rows that some have forgotten", _count_forgotten_rows),
    DomainMutant("rows stand in a state root as a node happens to hold them", _take_rows_as_they_come),
    DomainMutant("a tally is believed", _count_as_told, range(1, 41), liars=True),
    DomainMutant("rules begin without every member's support", _ask_nobody, upgrades=True),
    DomainMutant("unknown rules are taken for the newest known", _go_on_with_the_newest_known, upgrades=True),
    DomainMutant("the version is the own release's, not the header's", _take_the_own_release_s_version, upgrades=True),
    DomainMutant("a version begins one block late", _begin_a_block_late, upgrades=True),
    DomainMutant("another membership begins as soon as it is ordered", _begin_at_commit, changes=6),
    DomainMutant("a change is taken while another one waits", _change_twice, changes=6),
    DomainMutant("a change is taken without everybody's signature", _change_unsigned, changes=6),
    DomainMutant("the members of an epoch go on after its end", _go_on_in_the_old_epoch, changes=6),
    DomainMutant("a seal is believed", _believe_seals, range(1, 41), liars=True),
    DomainMutant("a manifest is not compared with the log", _believe("_compare"), joins=True),
    DomainMutant("a chunk's hash is not compared", _believe("check_chunk"), joins=True),
    DomainMutant("the proof of a page of the log is not verified", _believe("verify_consistency"), joins=True),
    DomainMutant("a state is taken that no quorum holds", _take_what_nobody_signed, joins=True),
)
