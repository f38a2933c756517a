"""What the simulators share: a server that only this machine can reach, and faults on demand."""

from __future__ import annotations

import argparse
import asyncio
import signal
from collections import Counter
from collections.abc import Awaitable, Callable

from aiohttp import web

HOST = "127.0.0.1"
"""They know no passwords worth the name and show everything they hold: never another address."""
BODY_BYTES_MAX = 64 * 1024
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Faults:
    """Mutable. Answers that the next calls of a path shall get instead of the right ones; and a count of all calls."""

    def __init__(self) -> None:
        self._waiting: dict[str, list[web.Response]] = {}
        self.calls: Counter[str] = Counter()

    def add(self, path: str, response: web.Response) -> None:
        """Have the next call of the path answered so."""
        self._waiting.setdefault(path, []).append(response)

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer with the next fault of the path, if one waits."""
        self.calls[request.path] += 1
        waiting = self._waiting.get(request.path)
        return waiting.pop(0) if waiting else await handler(request)

    async def show_calls(self, request: web.Request) -> web.Response:
        """GET /simulator/calls: how often each path was called."""
        return web.json_response(self.calls)


async def read_object(request: web.Request) -> dict[str, object]:
    """Return the JSON object of a request's body; answers 400 for anything else."""
    try:
        found = await request.json()
    except ValueError:
        raise web.HTTPBadRequest(text="the body is not JSON") from None
    if not isinstance(found, dict):
        raise web.HTTPBadRequest(text="the body is not a JSON object")
    return found


def read_count(members: dict[str, object], name: str, default: int) -> int:
    """Return a whole number of an object; answers 400 for anything else."""
    value = members.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool):
        raise web.HTTPBadRequest(text=f"{name} is not a whole number")
    return value


def read_text(members: dict[str, object], name: str, default: str | None = None) -> str:
    """Return a text of an object; answers 400 for anything else."""
    value = members.get(name, default)
    if not isinstance(value, str):
        raise web.HTTPBadRequest(text=f"{name} is not a text")
    return value


def make_parser(description: str) -> argparse.ArgumentParser:
    """Return a parser of the options that every simulator has."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; 0 takes a free one")
    return parser


def serve(app: web.Application, port: int) -> None:
    """Serve until SIGTERM or SIGINT; print the address, alone on one line, when calls are answered."""
    asyncio.run(_serve(app, port))


async def _serve(app: web.Application, port: int) -> None:
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, HOST, port).start()
        print(f"http://{HOST}:{runner.addresses[0][1]}", flush=True)
        await ended.wait()
    finally:
        await runner.cleanup()
