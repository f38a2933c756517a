"""Records in the making, and their fields that are no rows: values that make sense only together with others.

What a draft points at, who signs it and how is for `phones.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from random import Random
from typing import Any

from server.domain.ballot import Ballot
from server.domain.delivery import ConfirmDelivery
from server.domain.member import BindDevice, GrantRole, Member
from server.domain.motion import PROPOSED, Motion, questions_of
from server.domain.objection import ContestBallot
from server.domain.offer import Offer
from server.domain.petition import Petition, PetitionSignature, WithdrawSignature
from server.domain.proposal import ApproveMotion, ProposeMotion
from server.domain.roll import PublishRoll, RollHead
from server.limits import DAY_MS, HOUR_MS
from server.record.kind import RecordKind
from server.record.rows import Row
from server.record.signature import DeviceSigner
from tests.simulation.domain_ledger import DomainLedger
from tests.simulation.estate import Neighbourhood, bind_body, device, roll_body

OPENS_MS = (-HOUR_MS, -1, 1_000, 20_000)
CLOSES_MS = (-1, 30_000, 61_500, 70_000, 10 * 60_000, 3 * HOUR_MS)
DUE_MS = (-1, 5_000, 60_000, 14 * 60_000, HOUR_MS)
CHOICES = [{"id": name, "text": name} for name in ("for", "against", "abstain")]
STRANGER = "nowhere"
"""An organisation that is no member."""


@dataclass(slots=True)
class Draft:
    """Mutable. A record in the making: who signs, what it says, what the phone sees."""

    kind: type[RecordKind]
    author: str
    signer: DeviceSigner
    ledger: DomainLedger
    now_ms: int
    fixed: dict[str, Any] = field(default_factory=dict)


class Fields:
    """Mutable. Draws what people put into the fields of a draft."""

    def __init__(self, home: Neighbourhood, random: Random) -> None:
        self._home, self._random = home, random
        self._organisations_named = count(1)

    def fill(self, draft: Draft) -> None:
        """Fix the fields of these names, and what kinds of their own need."""
        for name, fill in _FILL.items():
            if name in draft.kind.__struct_fields__:
                draft.fixed[name] = fill(self, draft)
        special = _SPECIAL.get(draft.kind)
        if special is not None:
            special(self, draft)

    def _fill_position(self, draft: Draft) -> int:
        heads = [row for row in draft.ledger.all(RollHead) if isinstance(row, RollHead)]
        own = [head.position for head in heads if draft.author in head.members]
        return self._random.choice(own if own and self._random.random() < 0.9 else [head.position for head in heads])

    def _fill_question(self, draft: Draft) -> str:
        motions = [row for row in draft.ledger.all(Motion) if isinstance(row, Motion)]
        asked = [one.id for row in motions if row.id == draft.fixed.get("motion") for one in questions_of(row)]
        return self._random.choice(asked or ["q0"])

    def _fill_replaces(self, draft: Draft) -> str:
        counted = [
            row.record
            for row in draft.ledger.all(Ballot)
            if isinstance(row, Ballot) and row.motion == draft.fixed.get("motion")
            and (row.question, row.position) == (draft.fixed.get("question"), draft.fixed.get("position"))
        ]  # fmt: skip
        return counted[0] if counted and self._random.random() < 0.8 else ""

    def _fill_choice(self, draft: Draft) -> list[str]:
        return [self._random.choice(["for", "for", "against", "abstain", "void"])]

    def _fill_close_ms(self, draft: Draft) -> int:
        return draft.now_ms + self._random.choice(CLOSES_MS)

    def _fill_due_ms(self, draft: Draft) -> int:
        return draft.now_ms + self._random.choice(DUE_MS)

    def _fill_amount(self, draft: Draft) -> int:
        given = draft.fixed.get("amount")
        return (
            given if isinstance(given, int) and self._random.random() < 0.95 else self._random.choice((1, 20, 40, 90))
        )

    def _fill_member(self, draft: Draft) -> str:
        offer = draft.ledger.tables.get(Offer.table, {}).get(draft.fixed.get("offer", ""))
        if isinstance(offer, Offer) and self._random.random() < 0.9:
            return offer.redeemed_by or draft.author
        return str(draft.fixed.get("member", draft.author))

    def _fill_activity(self, draft: Draft) -> str:
        return self._random.choice(("cleaning-day", "moved-in", "watch"))

    def _fill_organisation(self, draft: Draft) -> str:
        """One in eight is no member. Counted and not drawn, so that the seeds do otherwise what they did."""
        known = self._random.choice(self._home.organisations)
        return STRANGER if next(self._organisations_named) % 8 == 0 else known

    def _fill_category(self, draft: Draft) -> str:
        return self._random.choice(("lift", "door", "unheard-of"))

    def _bind(self, draft: Draft) -> None:
        nodes = self._random.sample(
            self._home.organisations, self._random.randint(1, min(3, len(self._home.organisations)))
        )
        evidence = self._random.choice(("phone", "document"))
        late_ms = self._random.choice((0, 0, 0, 25 * HOUR_MS))
        body = bind_body(self._home.trust, draft.signer, draft.author, nodes, evidence, draft.now_ms - late_ms)
        if self._random.random() < 0.1:
            body["attestations"][0]["time_ms"] += 1
        draft.fixed = body

    def _propose(self, draft: Draft) -> None:
        count = self._random.randint(1, 2)
        questions = [
            {"choices": CHOICES, "id": f"q{number}", "seats": 0, "text": "是否同意?"} for number in range(count)
        ]
        opens_ms = draft.now_ms + self._random.choice(OPENS_MS)
        draft.fixed.update(matter="other", opens_ms=opens_ms, questions=questions, rule_pack="rehearsal@2026-11-01")
        draft.fixed["petition"] = self._one_of(draft, Petition) if self._random.random() < 0.3 else ""
        if self._random.random() < 0.1:
            draft.fixed.update(opens_ms=draft.now_ms + 16 * DAY_MS, close_ms=draft.now_ms + 30 * DAY_MS)
            draft.fixed["rule_pack"] = "civil-code@2021-01-01"

    def _approve(self, draft: Draft) -> None:
        """A motion that waits for signatures, if one does, with the roll and the petition that the phone shows."""
        motions = [row for row in draft.ledger.all(Motion) if isinstance(row, Motion)]
        motions = [row for row in motions if row.state == PROPOSED] or motions
        if motions:
            motion = self._random.choice(motions)
            draft.fixed.update(motion=motion.id, petition=motion.petition, roll=motion.roll)

    def _withdraw(self, draft: Draft) -> None:
        """A signature that the author gave, if there is one."""
        given = [row for row in draft.ledger.all(PetitionSignature) if isinstance(row, PetitionSignature)]
        own = [row for row in given if row.member == draft.author and not row.withdrawn]
        petitions = draft.ledger.tables.get(Petition.table, {})
        if own:
            signature = self._random.choice(own)
            petition = petitions[signature.petition]
            assert isinstance(petition, Petition)
            draft.fixed.update(petition=petition.id, position=signature.position, roll=petition.roll)

    def _grant(self, draft: Draft) -> None:
        """Often the same colleague for the same committee: a role takes two officers who mean the same."""
        if self._random.random() < 0.5:
            draft.fixed.update(member="sun", organisation=self._home.organisations[0], role="committee")

    def _one_of(self, draft: Draft, row: type[Row]) -> str:
        found = list(draft.ledger.all(row))
        return self._random.choice(found).id if found else ""

    def _publish(self, draft: Draft) -> None:
        members = sorted(row.id for row in draft.ledger.all(Member))
        heads = [([member], self._random.randint(1, 10**6)) for member in self._random.sample(members, 3)]
        name = self._random.choice(("roll", "next", "third"))
        draft.fixed = roll_body(name, heads)

    def _serve(self, draft: Draft) -> None:
        """A motion as the phone shows it, and some heads of its roll."""
        motion = draft.ledger.tables.get(Motion.table, {}).get(str(draft.fixed.get("motion", "")))
        if isinstance(motion, Motion):
            count = max(1, motion.roll_heads)
            positions = [self._random.randrange(count) for _ in range(self._random.randint(1, 3))]
            draft.fixed.update(roll=motion.roll, positions=positions)

    def _contest(self, draft: Draft) -> None:
        """A ballot of a home in which somebody else has voted, if there is one."""
        ballots = [row for row in draft.ledger.all(Ballot) if isinstance(row, Ballot)]
        if ballots:
            ballot = self._random.choice(ballots)
            motion = draft.ledger.tables[Motion.table][ballot.motion]
            assert isinstance(motion, Motion)
            place = {"position": ballot.position, "question": ballot.question}
            draft.fixed.update(motion=ballot.motion, roll=motion.roll, **place)
            couple = [row for row in draft.ledger.all(RollHead) if isinstance(row, RollHead)]
            own = [row for row in couple if (row.roll, row.position) == (motion.roll, ballot.position)]
            others = [member for row in own for member in row.members if member != ballot.member]
            if others:
                draft.author = self._random.choice(others)
                draft.signer = device(draft.author)


_FILL: dict[str, Callable[[Fields, Draft], Any]] = {
    "activity": Fields._fill_activity,
    "amount": Fields._fill_amount,
    "category": Fields._fill_category,
    "choice": Fields._fill_choice,
    "close_ms": Fields._fill_close_ms,
    "due_ms": Fields._fill_due_ms,
    "member": Fields._fill_member,
    "organisation": Fields._fill_organisation,
    "position": Fields._fill_position,
    "question": Fields._fill_question,
    "replaces": Fields._fill_replaces,
}
"""Fields whose values make sense only together with others; the order is that of dependence."""
_SPECIAL: dict[type[RecordKind], Callable[[Fields, Draft], None]] = {
    BindDevice: Fields._bind,
    ApproveMotion: Fields._approve,
    ConfirmDelivery: Fields._serve,
    ContestBallot: Fields._contest,
    GrantRole: Fields._grant,
    ProposeMotion: Fields._propose,
    WithdrawSignature: Fields._withdraw,
    PublishRoll: Fields._publish,
}
"""Kinds whose bodies carry signatures, trees, or what the rule pack wants."""
