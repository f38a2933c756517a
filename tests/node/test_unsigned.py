"""Who waits for signatures under a stored record is woken by the first checkpoint that covers it, skipped or not."""

from __future__ import annotations

import asyncio

from server.node.unsigned import Unsigned


async def test_a_checkpoint_wakes_everybody_below_its_size() -> None:
    unsigned = Unsigned()
    events = [asyncio.Event() for _ in range(4)]
    for index, event in enumerate(events):
        unsigned.add(f"record-{index}", index, event)
    unsigned.settle(3)
    assert [event.is_set() for event in events] == [True, True, True, False]
    assert len(unsigned) == 1
    unsigned.settle(3)
    assert not events[3].is_set()


async def test_two_requests_for_one_record_wait_for_the_same() -> None:
    unsigned = Unsigned()
    first, again = unsigned.wait_for("record", 7), unsigned.wait_for("record", 7)
    assert first is again
    unsigned.settle(7)
    assert not first.is_set()
    unsigned.settle(8)
    assert first.is_set()
    assert len(unsigned) == 0


async def test_a_node_that_signs_nothing_more_lets_everybody_go() -> None:
    unsigned = Unsigned()
    waiting = [unsigned.wait_for(f"record-{index}", index) for index in range(3)]
    unsigned.release()
    assert all(event.is_set() for event in waiting)
    assert len(unsigned) == 0
