"""The web application of one node: all endpoints, the middlewares around them, and how it listens."""

from __future__ import annotations

from functools import cache
from typing import Any

from aiohttp import web
from aiohttp.log import access_logger

from server.api import (
    cluster,
    committee,
    counter,
    docs,
    events,
    evidence,
    forks,
    identity,
    log,
    matters,
    motions,
    offices,
    people,
    photos,
    points,
    records,
    roll,
    shops,
    signin,
    tickets,
    tiles,
)
from server.api.address import TRUSTED_PROXIES
from server.api.call import NODE
from server.api.cluster import METRICS, METRICS_CLOCK, Metrics, measure
from server.api.docs import DOCUMENTS, TITLE, make_documents
from server.api.errors import Declined, answer_problems, problem_response
from server.api.needs import NodeService
from server.api.openapi import describe_api
from server.api.pages import SITE, Site, answer_preflight, secure_headers, serve_site
from server.api.records import POSTING, Posting
from server.api.roll import watch_rolls
from server.api.route import AUTHENTICATE, Endpoint
from server.api.session import Challenges, Tokens
from server.api.signin import CHALLENGES, TOKENS, authenticate
from server.limits import REQUEST_BYTES_MAX

_MODULES = (
    records,
    signin,
    identity,
    counter,
    people,
    offices,
    roll,
    matters,
    motions,
    committee,
    tickets,
    photos,
    points,
    shops,
    log,
    tiles,
    evidence,
    forks,
    cluster,
    events,
    docs,
)
ENDPOINTS: tuple[Endpoint, ...] = tuple(endpoint for module in _MODULES for endpoint in module.routes.endpoints)
"""Every endpoint, in the order of the documentation."""
STREAMS = frozenset({"text/event-stream", "application/jsonl"})
"""What is written bit by bit has no HEAD: it would be made for nothing, or never end."""
SHUTDOWN_S = 10.0
"""A request under way at the end may still wait for its receipt (http.wait_ms)."""


@cache
def described() -> dict[str, Any]:
    """The OpenAPI description of this program."""
    return describe_api(TITLE, ENDPOINTS)


def make_app(node: NodeService) -> web.Application:
    """The application of a node. The node is running; the application neither starts nor stops it."""
    app = web.Application(
        middlewares=[measure, answer_problems, answer_preflight, serve_site], client_max_size=REQUEST_BYTES_MAX
    )
    app[NODE] = node
    app[TOKENS] = Tokens(node.config.node.id, node.cluster_id, node.keys.token, node.clock)
    app[CHALLENGES] = Challenges(node.keys.token, node.clock)
    app[AUTHENTICATE] = authenticate
    app.cleanup_ctx.append(watch_rolls)
    app[METRICS], app[METRICS_CLOCK] = Metrics(), node.clock
    app[DOCUMENTS] = make_documents(described())
    app[POSTING] = Posting()
    app[TRUSTED_PROXIES] = node.config.http.proxy_networks()
    app[SITE] = Site(node.config.http.static)
    for endpoint in ENDPOINTS:
        if endpoint.method == "GET":
            app.router.add_get(endpoint.path, endpoint.__call__, allow_head=endpoint.media not in STREAMS)
        else:
            app.router.add_route(endpoint.method, endpoint.path, endpoint.__call__)
    app.on_response_prepare.append(secure_headers(node.config))
    return app


class _Protocol(web.RequestHandler):
    """Answers what aiohttp cannot parse as a problem too: never HTML, never a stack trace."""

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """A problem that closes the connection."""
        code = "internal_error" if status >= 500 else "malformed"
        response = problem_response(Declined(code), request.headers.get("Accept-Language", ""))
        response.force_close()
        return response


class _Server(web.Server):
    """aiohttp's server with our protocol."""

    def __call__(self) -> web.RequestHandler:
        return _Protocol(self, loop=self._loop, **self._kwargs)


class Runner(web.AppRunner):
    """aiohttp's runner with our server."""

    async def _make_server(self) -> web.Server:
        server = await super()._make_server()
        return _Server(server.request_handler, request_factory=server.request_factory, **server._kwargs)


async def listen(app: web.Application, host: str, port: int, *, access_log: bool = False) -> Runner:
    """Serve the application at host and port; 0 finds a free one. `cleanup()` of the runner ends it."""
    written = access_logger if access_log else None
    runner = Runner(app, shutdown_timeout=SHUTDOWN_S, access_log=written)
    await runner.setup()
    await web.TCPSite(runner, host, port, reuse_address=True).start()
    return runner
