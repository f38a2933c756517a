"""A gateway for text messages that sends none: it keeps them, and shows them to who asks.

python3 scripts/simulators/sms.py [--port 0] [--token TOKEN]

POST /messages                     {"id", "phone", "template", "values"}; the same id again is the same message
GET  /outbox?phone=13800138000     {"messages": [...]}, the newest last; without phone all
POST /simulator/faults             {"status": 503, "times": 1}: the next calls of /messages are answered so
GET  /simulator/calls              how often each path was called
"""

from __future__ import annotations

import hmac
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import environment

if __name__ == "__main__":
    environment.reexec_in_environment()

from aiohttp import web

from simulators.loopback import (
    BODY_BYTES_MAX,
    Faults,
    make_parser,
    read_count,
    read_object,
    read_text,
    serve,
)

KEPT_MAX = 10_000
"""A demo's day; then the oldest are forgotten."""
_PHONE = re.compile(r"1[3-9][0-9]{9}")


class Outbox:
    """Mutable. The messages that a real gateway would have sent, by id."""

    def __init__(self, token: str, faults: Faults) -> None:
        self._authorization = f"Bearer {token}"
        self._faults = faults
        self._messages: dict[str, dict[str, object]] = {}

    async def take(self, request: web.Request) -> web.Response:
        """POST /messages."""
        if not hmac.compare_digest(request.headers.get("Authorization", "").encode(), self._authorization.encode()):
            raise web.HTTPUnauthorized
        members = await read_object(request)
        if set(members) != {"id", "phone", "template", "values"} or not isinstance(members["values"], dict):
            raise web.HTTPBadRequest(text="a message has id, phone, template and values")
        if not _PHONE.fullmatch(read_text(members, "phone")):
            raise web.HTTPUnprocessableEntity(text="not a mobile number")
        self._messages.setdefault(read_text(members, "id"), members)
        if len(self._messages) > KEPT_MAX:
            del self._messages[next(iter(self._messages))]
        return web.json_response({"id": members["id"]}, status=202)

    async def show(self, request: web.Request) -> web.Response:
        """GET /outbox."""
        phone = request.query.get("phone")
        found = [message for message in self._messages.values() if phone in {None, message["phone"]}]
        return web.json_response({"messages": found})

    async def plan_faults(self, request: web.Request) -> web.Response:
        """POST /simulator/faults."""
        members = await read_object(request)
        for _ in range(min(read_count(members, "times", 1), 100)):
            self._faults.add("/messages", web.Response(status=read_count(members, "status", 503)))
        return web.json_response({})


def make_app(token: str) -> web.Application:
    """Return the gateway as an aiohttp application."""
    faults = Faults()
    outbox = Outbox(token, faults)
    app = web.Application(client_max_size=BODY_BYTES_MAX, middlewares=[faults.middleware])
    app.router.add_post("/messages", outbox.take)
    app.router.add_get("/outbox", outbox.show)
    app.router.add_post("/simulator/faults", outbox.plan_faults)
    app.router.add_get("/simulator/calls", faults.show_calls)
    return app


def main() -> None:
    """Read the command line and serve."""
    parser = make_parser("A gateway for text messages that keeps them instead of sending them.")
    parser.add_argument("--token", default="demo", help="bearer token that senders must show")
    options = parser.parse_args()
    serve(make_app(options.token), options.port)


if __name__ == "__main__":
    main()
