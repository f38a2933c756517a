"""What became of a motion that passed: its hand-over to whoever carries it out, each step, and its end.

Product 2.2 M2: execution is tracked. A motion without legal effect is never carried out. It must not know money.
"""

from __future__ import annotations

import enum
from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from server.domain.motion import FINAL, Motion
from server.domain.objection import objections_end_ms
from server.domain.photo import document_keys, file_documents, own_documents
from server.domain.rulepacks import find_pack
from server.domain.tally import TallyResult
from server.record.kind import Context, RecordKind, Role, Signed
from server.record.rows import Key, Row, Rows, key
from server.record.shape import Name, PhotoRef, RecordId, Text

PICTURES_MAX = 9


class Execution(Row, frozen=True):
    """How far the carrying out of a motion is: `handed_over`, `in_progress` or `done`. The id is the motion's."""

    table: ClassVar[str] = "execution"
    state: str
    steps: int
    changed_ms: int


class ExecutionStep(Row, frozen=True):
    """One step, with its words and pictures for all to see: the id is its record's."""

    table: ClassVar[str] = "execution_step"
    indexes: ClassVar[tuple[tuple[str, ...], ...]] = (("motion",),)
    motion: str
    state: str
    text: str
    by: str
    at_ms: int


class ExecuteMotion(RecordKind, frozen=True):
    """Staff or committee say what was done to carry out a motion that passed, with pictures."""

    kind: ClassVar[str] = "motion.execute"
    signed_by: ClassVar[frozenset[Role]] = frozenset({Role.STAFF, Role.COMMITTEE})

    class Refusal(enum.Enum):
        """In order of precedence."""

        MOTION_NOT_FOUND = "motion_not_found"
        NOT_BINDING = "not_binding"
        NOT_FINAL = "not_final"
        NOT_PASSED = "not_passed"
        EXECUTION_OVER = "execution_over"
        PHOTO_OF_ANOTHER = "photo_of_another"

    permanent: ClassVar[frozenset[str]] = frozenset({"not_binding", "execution_over"})

    motion: RecordId
    photos: Annotated[tuple[PhotoRef, ...], Meta(max_length=PICTURES_MAX)]
    question: Name
    state: Literal["done", "handed_over", "in_progress"]
    text: Text

    def access(self, signed: Signed) -> tuple[Key, ...]:
        """The motion, the result that is carried out, how far it is, and the pictures."""
        return (
            key(Motion, self.motion),
            key(TallyResult, self.motion, self.question),
            key(Execution, self.motion),
            key(ExecutionStep, signed.id),
            *document_keys(self.photos, signed.id),
        )

    def execute(self, rows: Rows, context: Context) -> ExecuteMotion.Refusal | None:
        """Only what is final, passed, and past its time for objections."""
        motion, result = rows.get(Motion, self.motion), rows.get(TallyResult, self.motion, self.question)
        if motion is None:
            return self.Refusal.MOTION_NOT_FOUND
        pack = find_pack(motion.rule_pack)
        if pack is None or not pack.is_binding:
            return self.Refusal.NOT_BINDING
        if motion.state != FINAL or context.time_ms < objections_end_ms(motion, motion.tallied_ms):
            return self.Refusal.NOT_FINAL
        if result is None or not result.is_carried:
            return self.Refusal.NOT_PASSED
        so_far = rows.get(Execution, self.motion)
        if so_far is not None and so_far.state == "done":
            return self.Refusal.EXECUTION_OVER
        if not own_documents(rows, context, self.photos):
            return self.Refusal.PHOTO_OF_ANOTHER
        file_documents(rows, context, "execution", self.photos)
        steps = so_far.steps + 1 if so_far is not None else 1
        rows.put(Execution(motion.id, self.state, steps, context.time_ms))
        step = (motion.id, self.state, self.text, context.author, context.time_ms)
        rows.put(ExecutionStep(context.signed.id, *step))
        return None
