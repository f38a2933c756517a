"""What the books know by heart: who may sign what, which steps a ticket may take; and what they keep of each thing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

SIGNED_BY: Mapping[str, frozenset[str]] = {
    "ballot.cast": frozenset({"resident"}),
    "ballot.contest": frozenset({"resident"}),
    "delivery.confirm": frozenset({"staff", "committee"}),
    "members.change": frozenset({"officer"}),
    "motion.approve": frozenset({"committee"}),
    "motion.cancel": frozenset({"committee"}),
    "motion.correct": frozenset({"committee"}),
    "motion.execute": frozenset({"staff", "committee"}),
    "motion.object": frozenset({"resident"}),
    "objection.answer": frozenset({"committee"}),
    "motion.extend": frozenset({"committee"}),
    "motion.propose": frozenset({"committee"}),
    "offer.make": frozenset({"merchant"}),
    "petition.sign": frozenset({"resident"}),
    "petition.start": frozenset({"resident"}),
    "petition.withdraw": frozenset({"resident"}),
    "points.grant": frozenset({"staff", "committee"}),
    "points.redeem": frozenset({"resident"}),
    "procedure.adopt": frozenset({"committee"}),
    "redemption.undo": frozenset({"merchant"}),
    "role.grant": frozenset({"officer"}),
    "role.revoke": frozenset({"officer"}),
    "roll.confirm": frozenset({"officer"}),
    "roll.publish": frozenset({"officer"}),
    "rules.activate": frozenset({"officer"}),
    "ticket.assign": frozenset({"staff", "committee"}),
    "ticket.complete": frozenset({"staff", "committee"}),
    "ticket.progress": frozenset({"staff", "committee"}),
}
"""Kinds that take a role; the others every member may sign."""
STEPS = frozenset(
    {
        ("submitted", "ticket.assign", "assigned"),
        ("assigned", "ticket.assign", "assigned"),
        ("assigned", "ticket.progress", "in_progress"),
        ("assigned", "ticket.complete", "done"),
        ("in_progress", "ticket.assign", "assigned"),
        ("in_progress", "ticket.progress", "in_progress"),
        ("in_progress", "ticket.complete", "done"),
        ("done", "ticket.confirm", "confirmed"),
        ("done", "ticket.autoconfirm", "confirmed"),
        ("done", "ticket.reopen", "reopened"),
        ("confirmed", "ticket.reopen", "reopened"),
        ("reopened", "ticket.assign", "assigned"),
    }
)
"""Every step that a ticket may take (product 2.3)."""


@dataclass(slots=True)
class Person:
    """Mutable. A member's roles and active keys."""

    roles: set[str] = field(default_factory=set)
    keys: set[str] = field(default_factory=set)
    had_key: bool = False


@dataclass(slots=True)
class Job:
    """Mutable. A ticket."""

    reporter: str
    state: str = "submitted"
    handler: str = ""
    completion: str = ""
    completed_ms: int = 0


@dataclass(slots=True)
class Code:
    """Mutable. An offer."""

    shop: str
    amount: int
    due_ms: int
    state: str = "open"
    payer: str = ""
    redeemed_ms: int = 0
