"""Who held which role, and which devices could vote, as the log itself tells: binds, grants of roles, published rolls.

Decisions of identity: genesis names each organisation's officers; a role is given and taken back by officers of as many
organisations as genesis says; an office and a vote need a device that as many organisations attested.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from verifier.record import BIND_KIND, Record
from verifier.report import Result
from verifier.rolls import PUBLISH_KIND, heads_of
from verifier.seen import COMMON_REFUSALS, Seen
from verifier.signatures import thumbprint
from verifier.succession import CHANGE_KIND, Era, era_of

COMMITTEE, OFFICER, RESIDENT = "committee", "officer", "resident"
NEEDED = {
    "ballot.cast": {RESIDENT},
    "ballot.contest": {RESIDENT},
    "delivery.confirm": {"staff", COMMITTEE},
    "members.change": {OFFICER},
    "motion.approve": {COMMITTEE},
    "motion.cancel": {COMMITTEE},
    "motion.correct": {COMMITTEE},
    "motion.execute": {"staff", COMMITTEE},
    "motion.extend": {COMMITTEE},
    "motion.object": {RESIDENT},
    "motion.propose": {COMMITTEE},
    "objection.answer": {COMMITTEE},
    "offer.make": {"merchant"},
    "petition.sign": {RESIDENT},
    "petition.start": {RESIDENT},
    "petition.withdraw": {RESIDENT},
    "points.grant": {"staff", COMMITTEE},
    "points.redeem": {RESIDENT},
    "procedure.adopt": {COMMITTEE},
    "redemption.undo": {"merchant"},
    "role.grant": {OFFICER},
    "role.revoke": {OFFICER},
    "roll.confirm": {OFFICER},
    "roll.publish": {OFFICER},
    "rules.activate": {OFFICER},
}
"""Who may sign what; other kinds (tickets) are not looked at here."""
BALLOT_KIND, ROLE_KINDS = "ballot.cast", ("role.grant", "role.revoke")
NOT_ATTESTED, TOO_NEW = "device_not_verified", "device_too_new"
_BEFORE_THE_DEVICE = COMMON_REFUSALS | {
    "motion_not_found", "motion_not_open", "motion_closed", "question_not_found", "roll_differs", "not_on_roll",
}  # fmt: skip
"""Refusals of a ballot that are decided before anybody looks at its device."""


@dataclass
class Device:
    """Mutable. A key that signs for a member."""

    member: str
    votes_from_ms: int
    attested_by: set[str] = field(default_factory=set)


@dataclass
class Person:
    """Mutable. A member's roles (`role@organisation`, or `resident`), and how many devices he has had."""

    roles: set[str] = field(default_factory=set)
    devices: int = 0


class Offices:
    """What took effect was signed by somebody who held the role for it, and nobody who held it was refused it."""

    def __init__(self, eras: list[Era]) -> None:
        genesis = eras[0].genesis
        self._eras, self._numbers = eras, genesis.numbers
        self._members = set(genesis.policy.witnesses)
        everyone = set(genesis.attest_keys)
        self._devices = {kid: Device(member, 0, everyone) for kid, (member, _) in genesis.officers.items()}
        self._people = {member: Person({f"{OFFICER}@{node}"}, 1) for member, node in genesis.organisations.items()}
        self._approvals: dict[tuple[str, str, str, str], set[str]] = {}
        self._looked_at = 0

    def see(self, seen: Seen) -> None:
        """Look at the next entry."""
        record = seen.record
        if record is None:
            return
        self._begin_era(seen)
        if record.kind in NEEDED and seen.entry.outcome not in COMMON_REFUSALS - {"role_missing"}:
            self._check_role(seen, record, NEEDED[record.kind])
        if record.kind == BALLOT_KIND and seen.entry.outcome not in _BEFORE_THE_DEVICE:
            self._check_device(seen, record)
        if seen.is_accepted:
            self._learn(seen, record)

    def conclude(self) -> tuple[Result, str]:
        """The result at the end."""
        return Result.OK, f"{self._looked_at} records of offices, points and votes by those who may sign them"

    @property
    def approvals(self) -> int:
        """How many organisations must approve, by the policy in force."""
        return self._numbers.approvals

    def speaks_for(self, member: str) -> str:
        """The organisation for which a member signs as an officer: the first where it holds that office; or empty."""
        roles, office = self._people.get(member, Person()).roles, f"{OFFICER}@"
        held = [role.removeprefix(office) for role in roles if role.startswith(office)]
        return min((name for name in held if name in self._members), default="")

    def committee(self) -> set[str]:
        """All who sit on the committee for an organisation that is a member, each once."""
        held = {f"{COMMITTEE}@{organisation}" for organisation in self._members}
        return {member for member, person in self._people.items() if person.roles & held}

    def knows(self, member: str) -> bool:
        """Whether genesis, a bind, a role or a roll has named this member so far."""
        return member in self._people

    def _begin_era(self, seen: Seen) -> None:
        """Members and numbers are those of the entry's epoch."""
        era = era_of(self._eras, seen.entry.index)
        self._members, self._numbers = set(era.policy.witnesses), era.genesis.numbers

    def _check_role(self, seen: Seen, record: Record, needed: set[str]) -> None:
        self._looked_at += 1
        device, person = self._devices.get(record.kid), self._people.get(record.author, Person())
        offices = [role.partition("@") for role in person.roles]
        roles = {role for role, at, organisation in offices if not at or organisation in self._members}
        if device is None or self._fault_of(device, seen.entry.time_ms):
            roles &= {RESIDENT}
        if bool(roles & needed) == (seen.entry.outcome == "role_missing"):
            held = "holds" if roles & needed else "does not hold"
            raise seen.reject(
                f"{record.kind} {seen.entry.outcome}: {record.author} {held} {' or '.join(sorted(needed))}"
            )

    def _check_device(self, seen: Seen, record: Record) -> None:
        device = self._devices.get(record.kid)
        due = NOT_ATTESTED if device is None else self._fault_of(device, seen.entry.time_ms)
        if due != (seen.entry.outcome if seen.entry.outcome in (NOT_ATTESTED, TOO_NEW) else ""):
            raise seen.reject(f"a ballot {seen.entry.outcome} whose device is {due or 'good to vote'}")

    def _fault_of(self, device: Device, time_ms: int) -> str:
        """Why a device can neither vote nor act for an office; empty when it can."""
        if len(device.attested_by) < self._numbers.attestations:
            return NOT_ATTESTED
        return TOO_NEW if time_ms < device.votes_from_ms else ""

    def _learn(self, seen: Seen, record: Record) -> None:
        if record.kind == BIND_KIND:
            self._bind(seen, record)
        elif record.kind == CHANGE_KIND:
            self._welcome(record, seen.entry.time_ms)
        elif record.kind in ROLE_KINDS:
            self._change_role(seen, record)
        elif record.kind == PUBLISH_KIND:
            for head in heads_of(seen):
                for member in head.members:
                    self._person(member).roles.add(RESIDENT)

    def _welcome(self, record: Record, time_ms: int) -> None:
        """The officers of whoever joins are known by the change that brings them."""
        joining = [one for one in record.payload["body"]["change"]["members"] if one["id"] not in self._members]
        for organisation in joining:
            for officer in organisation["officers"]:
                kid, role = thumbprint(officer["device_key"]), f"{OFFICER}@{organisation['id']}"
                self._devices[kid] = Device(officer["member"], time_ms, set(self._members))
                self._person(officer["member"]).roles.add(role)

    def _person(self, member: str) -> Person:
        return self._people.setdefault(member, Person())

    def _bind(self, seen: Seen, record: Record) -> None:
        """A key beside or after another votes after a delay, unless enough organisations saw the person's document."""
        attestations = record.payload["body"].get("attestations")
        if not isinstance(attestations, list) or not all(isinstance(one, dict) for one in attestations):
            raise seen.reject("a bind without attestations")
        documents = {str(one.get("node")) for one in attestations if one.get("evidence") == "document"}
        person, device = self._person(record.author), self._devices.get(record.kid)
        is_seen = len(documents) >= self._numbers.attestations or not person.devices
        votes_from_ms = seen.entry.time_ms + (0 if is_seen else self._numbers.new_key_vote_delay_ms)
        if device is None:
            device = self._devices[record.kid] = Device(record.author, votes_from_ms)
            person.devices += 1
        elif is_seen:
            device.votes_from_ms = votes_from_ms
        device.attested_by.update(str(one.get("node")) for one in attestations)

    def _change_role(self, seen: Seen, record: Record) -> None:
        body = seen.body("member organisation role")
        name = (record.kind, body["member"], body["role"], body["organisation"])
        approved = self._approvals.setdefault(name, set())
        approved.add(self.speaks_for(record.author))
        if len(approved) < self._numbers.approvals:
            return
        del self._approvals[name]
        held = f"{body['role']}@{body['organisation']}"
        roles = self._person(body["member"]).roles
        roles.discard(held) if record.kind == "role.revoke" else roles.add(held)


def is_refused_for_its_device(outcome: str) -> bool:
    """Whether a ballot was refused for its device, which is looked at here and not with the ballots."""
    return outcome in (NOT_ATTESTED, TOO_NEW)
