"""How the node and its cluster are: for people, for load balancers, and for Prometheus."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from server.api.call import Call
from server.api.errors import Handler, route_of
from server.api.route import PUBLIC, Answer, Media, Routes
from server.domain.membership import IN_FORCE, EpochInForce
from server.gateway.clock import Clock
from server.ledger.genesis import Organisation, Policy
from server.record.canonical import b64u_encode

routes = Routes()
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 8.0)


class NodeState(msgspec.Struct, frozen=True):
    """One node as this one sees it. `size`: entries it has signed; `lag`: entries it is behind; `rules`: the highest
    version of the rules that its release says that it knows; 1 while nothing is heard of it."""

    id: str
    name: str
    url: str
    reachable: bool
    size: int
    lag: int
    rules: int


class RulesAhead(msgspec.Struct, frozen=True):
    """A version of the rules that officers have had begin at block `height`."""

    version: int
    height: int


class ClusterState(msgspec.Struct, frozen=True):
    """Where the cluster stands. `committed_size` is signed by a quorum, `sealed_size` by all; `rules` is the version in
    force for the next block. Another one may be activated when every node knows it."""

    view: int
    mode: str
    quorum: int
    height: int
    size: int
    committed_size: int
    sealed_size: int
    rules: int
    next_rules: RulesAhead | None
    nodes: tuple[NodeState, ...]


class Alive(msgspec.Struct, frozen=True):
    """The process answers."""

    node: str


@routes.route("GET", "/api/v1/cluster", access=PUBLIC)
async def show_cluster(call: Call) -> ClusterState:
    """Nodes, view, heights and grades."""
    return msgspec.convert(call.node.cluster_status(), ClusterState)


class EpochState(msgspec.Struct, frozen=True):
    """An epoch: its members' ids, and the first block that was its own."""

    number: int
    members: tuple[str, ...]
    first_height: int


class MembersState(msgspec.Struct, frozen=True):
    """Who the members are, as genesis would spell them, and the kind of the change that waits for a seal, or empty."""

    cluster_id: str
    epoch: int
    members: tuple[Organisation, ...]
    policy: Policy
    pending: str
    epochs: tuple[EpochState, ...]


@routes.route("GET", "/api/v1/members", access=PUBLIC)
async def show_members(call: Call) -> MembersState:
    """The members in force, and all epochs so far: what operators look at before they sign another membership."""
    node, membership = call.node, call.node.membership
    standing = await node.queries.get(EpochInForce, IN_FORCE)
    epochs = tuple(EpochState(each.number, each.ids, each.first_height) for each in membership.epochs)
    now, pending = membership.current, standing.pending_kind if standing is not None else ""
    return MembersState(b64u_encode(node.cluster_id), now.number, now.members, now.policy, pending, epochs)


@routes.route("GET", "/healthz", access=PUBLIC)
async def show_health(call: Call) -> Alive:
    """Is the process alive?"""
    return Alive(call.node.config.node.id)


class Readiness(msgspec.Struct, frozen=True):
    """Can the node serve? `reason` says why not."""

    ready: bool
    reason: str


@routes.route("GET", "/readyz", access=PUBLIC, also={503: Readiness})
async def show_readiness(call: Call) -> Answer[Readiness]:
    """Is the node in a quorum and caught up? 503 with the reason when it is not."""
    ready, reason = call.node.ready()
    return Answer(Readiness(ready, reason), 200 if ready else 503)


class Metrics:
    """Mutable. What one node counts of its HTTP requests, and gauges of its cluster read when asked."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        names = ("method", "route", "status")
        self._requests = Counter("linli_http_requests_total", "HTTP requests", names, registry=self.registry)
        self._seconds = Histogram(
            "linli_http_seconds", "Time to answer", ("method", "route"), buckets=_BUCKETS, registry=self.registry
        )
        self._gauges = {
            name: Gauge(f"linli_{name}", text, registry=self.registry)
            for name, text in (
                ("view", "Current view"),
                ("height", "Height of the newest block"),
                ("size", "Entries of the log"),
                ("committed_size", "Entries signed by a quorum"),
                ("sealed_size", "Entries signed by all members"),
                ("rules", "Version of the rules in force for the next block"),
            )
        }
        self._lags = Gauge(
            "linli_member_lag_entries",
            "Entries of the log that a member has not signed yet",
            ("member",),
            registry=self.registry,
        )
        self._ready = Gauge("linli_ready", "In a quorum and caught up", registry=self.registry)
        self._photos = Gauge("linli_photos_missing", "Photos of ordered records not here", registry=self.registry)
        self._openings = Gauge("linli_openings_missing", "Openings of ordered records not here", registry=self.registry)

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request."""
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(seconds)

    def text(self, status: dict[str, Any], ready: bool, photos_missing: int, openings_missing: int) -> bytes:
        """Everything in Prometheus' text form."""
        for name, gauge in self._gauges.items():
            gauge.set(status[name])
        for node in status["nodes"]:
            self._lags.labels(node["id"]).set(node["lag"])
        self._ready.set(ready)
        self._photos.set(photos_missing)
        self._openings.set(openings_missing)
        return generate_latest(self.registry)


METRICS = web.AppKey("metrics", Metrics)
METRICS_CLOCK = web.AppKey("metrics_clock", Clock)


@web.middleware
async def measure(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Middleware: count every request by its route's pattern, which holds no id."""
    clock = request.app[METRICS_CLOCK]
    begin_ms = clock.monotonic_ms()
    response = await handler(request)
    seconds = (clock.monotonic_ms() - begin_ms) / 1000
    request.app[METRICS].count(_method_of(request), route_of(request), response.status, seconds)
    return response


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"})


def _method_of(request: web.Request) -> str:
    """A stranger's own methods must not become labels without end."""
    return request.method if request.method in _METHODS else "OTHER"


@routes.route("GET", "/metrics", access=PUBLIC)
async def show_metrics(call: Call) -> Annotated[bytes, Media(CONTENT_TYPE_LATEST)]:
    """Counters for Prometheus; nothing in them names a person."""
    ready, _ = call.node.ready()
    missing = call.node.photos.awaited, call.node.openings_missing
    return call.request.app[METRICS].text(call.node.cluster_status(), ready, *missing)
