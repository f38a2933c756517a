"""Which version of the rules is in force, and how another one begins (decisions 8, DESIGN.md D30).

Officers of as many organisations as must approve sign the same version and height. Whether every member's release
knows the version is asked where records are admitted and proposals checked; a rule sees rows only.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Annotated, ClassVar

from msgspec import Meta

from server.domain.rules import FIRST_VERSION
from server.record.kind import Context, RecordKind, Role, Signed
from server.record.rows import Key, Row, Rows, key

PLAN = "rules"
"""Id of the one row that says which version is in force, and from which height."""
HEIGHTS_AHEAD_MAX = 1_000_000
"""A version may begin so many blocks ahead at most: a slip of the keyboard must not lock the rules for ever."""


class RulesPlan(Row, frozen=True):
    """`version` is in force from block `height` on, and `before` until then. No row: the first version, for ever."""

    table: ClassVar[str] = "rules_plan"
    before: int
    version: int
    height: int


class RulesApproval(Row, frozen=True):
    """Organisations whose officers have signed that a version begins at a height: `<version>/<height>`."""

    table: ClassVar[str] = "rules_approval"
    approved_by: tuple[str, ...]


PLAN_KEY = key(RulesPlan, PLAN)


def version_at(plan: Row | None, height: int) -> int:
    """The version in force at a height, by the row of the plan."""
    if not isinstance(plan, RulesPlan):
        return FIRST_VERSION
    return plan.version if height >= plan.height else plan.before


def lacking_support(body: RecordKind, known: Mapping[str, int]) -> tuple[str, ...]:
    """Members whose release is not known to know the version that a record would have begin; empty for other records.

    `known`: by member, the highest version that it announced. Asked before such a record waits and before a block with
    it is voted for: then no member is left behind (decisions 8).
    """
    if not isinstance(body, ActivateRules):
        return ()
    return tuple(sorted(member for member, newest in known.items() if newest < body.version))


class ActivateRules(RecordKind, frozen=True):
    """Officers of as many organisations as must approve have the next version of the rules begin at a block height."""

    kind: ClassVar[str] = "rules.activate"
    signed_by: ClassVar[frozenset[Role]] = frozenset({Role.OFFICER})

    class Refusal(enum.Enum):
        """In order of precedence."""

        ACTIVATION_PENDING = "activation_pending"
        RULES_NOT_NEXT = "rules_not_next"
        HEIGHT_OUT_OF_BOUNDS = "height_out_of_bounds"
        ALREADY_APPROVED = "already_approved"

    height: Annotated[int, Meta(ge=1, description="The first block of the new version")]
    version: Annotated[int, Meta(ge=2, le=10_000, description="One more than the version in force")]

    def access(self, signed: Signed) -> tuple[Key, ...]:
        """The plan, and what officers signed for this version and height so far."""
        return (PLAN_KEY, key(RulesApproval, self._name))

    @property
    def _name(self) -> str:
        return f"{self.version}/{self.height}"

    def execute(self, rows: Rows, context: Context) -> ActivateRules.Refusal | None:
        """One version at a time; each begins at a block that is not ordered yet."""
        plan, height = rows.get(RulesPlan, PLAN), context.place.height
        refusal = self._refuse(plan, height)
        if refusal is not None:
            return refusal
        known = rows.get(RulesApproval, self._name)
        before = frozenset(known.approved_by if known else ())
        # One person speaks for one organisation, also an officer of two (as for roles).
        after = before | frozenset(context.organisations(Role.OFFICER)[:1])
        if after == before:
            return self.Refusal.ALREADY_APPROVED
        rows.put(RulesApproval(self._name, tuple(sorted(after))))
        if len(after) >= context.trust.approvals:
            rows.put(RulesPlan(PLAN, version_at(plan, height), self.version, self.height))
        return None

    def _refuse(self, plan: RulesPlan | None, height: int) -> ActivateRules.Refusal | None:
        if plan is not None and plan.height > height:
            return self.Refusal.ACTIVATION_PENDING
        if self.version != version_at(plan, height) + 1:
            return self.Refusal.RULES_NOT_NEXT
        if not height < self.height <= height + HEIGHTS_AHEAD_MAX:
            return self.Refusal.HEIGHT_OUT_OF_BOUNDS
        return None
