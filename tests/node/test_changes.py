"""News for live pages: everybody hears it, a slow listener misses some, and the node's end is everybody's."""

from __future__ import annotations

import asyncio

import pytest

from server.node import changes as changes_module
from server.node.changes import PENDING_MAX, Changes, TooManyListeners


async def test_every_listener_hears_every_topic() -> None:
    changes = Changes()
    listeners = [changes.listen() for _ in range(3)]
    waiting = [asyncio.ensure_future(anext(listener)) for listener in listeners]  # type: ignore[arg-type]
    await asyncio.sleep(0)
    changes.publish(["ballot.cast"])
    assert await asyncio.gather(*waiting) == ["ballot.cast"] * 3


async def test_a_slow_listener_misses_news_and_keeps_nobody_waiting() -> None:
    changes = Changes()
    listener = changes.listen()
    first = asyncio.ensure_future(anext(listener))  # type: ignore[arg-type]
    await asyncio.sleep(0)
    changes.publish([str(number) for number in range(3 * PENDING_MAX)])
    assert await first == "0"
    changes.end()
    assert len([topic async for topic in listener]) < PENDING_MAX


async def test_the_end_reaches_who_listens_and_who_comes_later() -> None:
    changes = Changes()
    waiting = asyncio.ensure_future(anext(changes.listen()))  # type: ignore[arg-type]
    await asyncio.sleep(0)
    changes.end()
    with pytest.raises(StopAsyncIteration):
        await waiting
    assert [topic async for topic in changes.listen()] == []


async def test_listeners_are_bounded_and_leave_their_places(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes_module, "LISTENERS_MAX", 1)
    changes = Changes()
    listener = changes.listen()
    waiting = asyncio.ensure_future(anext(listener))  # type: ignore[arg-type]
    await asyncio.sleep(0)
    with pytest.raises(TooManyListeners):
        await anext(changes.listen())
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    other = asyncio.ensure_future(anext(changes.listen()))  # type: ignore[arg-type]
    await asyncio.sleep(0)
    changes.publish(["again"])
    assert await other == "again"
