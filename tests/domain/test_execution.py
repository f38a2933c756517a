"""Carrying out what the owners decided: only what passed, is final, and past its time for objections."""

from __future__ import annotations

from typing import Any

from server.domain.execution import ExecuteMotion, Execution, ExecutionStep
from server.domain.motion import Motion
from server.domain.objection import objections_end_ms
from server.domain.photo import Document
from server.limits import DAY_MS
from tests.domain.test_objection import close
from tests.domain.test_procedure import adopt
from tests.domain.test_proposal import lawful
from tests.domain.test_ticket import REPORT
from tests.domain.world import World, photo

NOBODY = "A" * 43


def step(motion: str, state: str = "handed_over", **changes: Any) -> dict[str, Any]:
    return {"motion": motion, "photos": [], "question": "q1", "state": state, "text": "已移交物业", **changes}


def decided(world: World, *, passed: bool = True) -> Motion:
    """A binding vote, counted and sealed."""
    motion = world.do("hu", "motion.propose", lawful(world))
    world.pass_time(17 * DAY_MS)
    for member, position in (("li", 0), ("wang", 1), ("chen", 2)):
        world.cast(member, motion, position, "for" if passed else "against")
    close(world, motion)
    world.block(seals=True)
    row = world.get(Motion, motion)
    assert row is not None and row.state == "final"
    return row


def test_a_decision_is_handed_over_worked_on_and_done(world: World) -> None:
    adopt(world, "hu")
    motion = decided(world)
    world.pass_time(objections_end_ms(motion, motion.tallied_ms) - world.time_ms)
    world.do("hu", "motion.execute", step(motion.id))
    world.do("sun", "motion.execute", step(motion.id, "in_progress", photos=[photo("roof")]))
    done = world.do("sun", "motion.execute", step(motion.id, "done"))
    row = world.get(Execution, motion.id)
    assert row is not None and (row.state, row.steps) == ("done", 3)
    assert [one.state for one in world.all(ExecutionStep, motion=motion.id)] == ["handed_over", "in_progress", "done"]
    assert world.get(ExecutionStep, done) is not None
    assert [one.kind for one in world.all(Document, photo=photo("roof")["sha256"])] == ["execution"]
    assert world.refuse("sun", "motion.execute", step(motion.id)) == "execution_over"


def test_execution_refusals_stand_in_their_order(world: World) -> None:
    world.do("li", "ticket.report", {**REPORT, "photos": [photo("li's")]})
    adopt(world, "hu")
    rehearsal = world.open_motion()
    failed, motion = decided(world, passed=False), decided(world)
    done = decided(world)
    pictures = [photo("li's")]
    codes = [
        world.refuse("hu", "motion.execute", step(NOBODY)),
        world.refuse("hu", "motion.execute", step(rehearsal)),
        world.refuse("hu", "motion.execute", step(done.id)),
    ]
    world.pass_time(objections_end_ms(done, done.tallied_ms) - world.time_ms)
    codes.append(world.refuse("hu", "motion.execute", step(failed.id)))
    world.do("hu", "motion.execute", step(done.id, "done"))
    codes.append(world.refuse("hu", "motion.execute", step(done.id, photos=pictures)))
    codes.append(world.refuse("hu", "motion.execute", step(motion.id, photos=pictures)))
    assert codes == [refusal.value for refusal in ExecuteMotion.Refusal]
