"""A later release, for rehearsals and tests of upgrades: it knows a second version of the rules, that no release has.

It changes what a version can change: what a record does, what shape a record has, in which form a row is hashed, and
what is asked of a batch. The product's own program is the older release beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from msgspec import Meta

from server.domain import DERIVED, FINALS, KINDS, RULEBOOK
from server.domain.check import BatchInvalid
from server.domain.plan import RecordWork, Work
from server.domain.points import GrantPoints, Transfer
from server.domain.roll import PublishRoll
from server.domain.rules import Rulebook, Rules
from server.ledger.block import Header
from server.record.kind import Context, RecordKind
from server.record.rows import Rows

GRANT_MAX = 5_000
"""Points of one grant from version 2 on; version 1 allows twice as many."""
MEASURE = 10**8
"""A batch with a larger grant is not voted for from version 2 on."""
PARTS_MAX = 2
"""Parts in which a roll may be published from version 2 on."""
TRANSFER_FORM = tuple(name for name in Transfer.__struct_fields__ if name != "reason")


class PublishShortRoll(PublishRoll, frozen=True):
    """Version 2 of `roll.publish`: in fewer parts. What says more is malformed, and never ordered."""

    parts: Annotated[int, Meta(ge=1, le=PARTS_MAX)]


def make_rulebook(grant_max: int = GRANT_MAX) -> Rulebook:
    """Both versions; of the second, `grant_max` is the most that one grant may give."""

    class GrantFewerPoints(GrantPoints, frozen=True):
        """Version 2 of `points.grant`: a grant has a smaller cap."""

        def execute(self, rows: Rows, context: Context) -> GrantPoints.Refusal | None:
            """As version 1, within the smaller cap."""
            return self.Refusal.OVER_GRANT_CAP if self.amount > grant_max else super().execute(rows, context)

    changed: dict[str, type[RecordKind]] = {GrantPoints.kind: GrantFewerPoints, PublishRoll.kind: PublishShortRoll}
    later = Rules(
        version=2,
        kinds={**KINDS, **changed},
        derived=DERIVED,
        finals=FINALS,
        forms={Transfer.table: TRANSFER_FORM},
        checks=(check_grants,),
    )
    return Rulebook((*RULEBOOK.versions, later))


def check_grants(_header: Header, works: Sequence[Work], _rows: Rows) -> None:
    """Version 2 of a batch: no grant in it is beyond all measure."""
    bodies = [work.signed.body for work in works if isinstance(work, RecordWork)]
    if any(isinstance(body, GrantPoints) and body.amount > MEASURE for body in bodies):
        raise BatchInvalid("a grant is beyond all measure")


NEXT_RULEBOOK = make_rulebook()
