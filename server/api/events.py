"""Server-sent events for live pages: what changed, never what it says; a page then asks for what it may see."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import Annotated, cast

import msgspec
from aiohttp import web

from server.api.call import Call
from server.api.errors import Declined
from server.api.needs import NodeService
from server.api.route import PUBLIC, Media, Routes
from server.node.changes import TooManyListeners

routes = Routes()
HEARTBEAT_S = 15.0
"""A comment line this often keeps proxies from closing a quiet stream."""
RETRY_MS = 3_000


def listen(node: NodeService) -> AsyncGenerator[str, None]:
    """Topics as they change; the caller closes it. Its first step raises TooManyListeners on a full node."""
    return cast("AsyncGenerator[str, None]", node.changes.listen())


class Changed(msgspec.Struct, frozen=True):
    """Something that live pages show has changed: the kind of record that did it."""

    topic: str


@routes.route("GET", "/api/v1/events", access=PUBLIC, declines=("too_many",))
async def stream_events(call: Call) -> Annotated[web.StreamResponse, Media("text/event-stream")]:
    """What changes, as it changes: `event: <topic>`, `data: {"topic"}`; a comment line while nothing does."""
    topics = listen(call.node)
    waiting = asyncio.ensure_future(anext(topics))
    await asyncio.sleep(0)  # a full node refuses at the first step
    if waiting.done():
        await _close(topics, waiting)
        raise Declined("too_many", retry_after_s=60)
    headers = {"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    response = web.StreamResponse(headers=headers)
    try:
        await response.prepare(call.request)
        await response.write(f"retry: {RETRY_MS}\n\n".encode())
        while True:
            done, _ = await asyncio.wait((waiting,), timeout=HEARTBEAT_S)
            if not done:
                await response.write(b": alive\n\n")
                continue
            data = msgspec.json.encode(Changed(waiting.result())).decode()
            await response.write(f"event: {waiting.result()}\ndata: {data}\n\n".encode())
            waiting = asyncio.ensure_future(anext(topics))
    except (ConnectionError, StopAsyncIteration):
        return response  # the page was closed, or the node ends: the page comes back by itself
    finally:
        await _close(topics, waiting)


async def _close(topics: AsyncGenerator[str, None], waiting: asyncio.Future[str]) -> None:
    waiting.cancel()
    with suppress(asyncio.CancelledError, TooManyListeners, StopAsyncIteration):
        await waiting
    await topics.aclose()
