"""A rehearsal: a small cluster on which an accident is made, and a screen that tells an operator what is seen of it.

The cluster is a new one, or a copy of a stopped one: nothing that is given is changed. What stands on the screen was
asked of the nodes at that moment; the only records are approvals by one officer, which take effect with two.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import shutil
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import aiohttp

from ballot_load import open_http
from client import ApiError, Person
from cluster import Cluster, NodePlace, find_port_base, init_cluster, is_free
from drills.fault_proxy import REFUSED, FaultProxy
from drills.fragile_cluster import FragileCluster
from drills.separate_networks import DistantCluster, Networks
from electorate import Electorate
from server.config import load_config

PATIENCE_S = 60.0
ANSWER_S = 15.0
"""An officer waits so long for a receipt: a change of the leading node takes some two seconds."""
POLL_S = 0.1
EXIT_REFUSED = 3
"""How a node's program ends that must not run as things are, and says why."""
LINES_SHOWN_MAX = 5
LEVELS = ("level=warning", "level=error", "level=critical")
EVENTS = ("event=node_started", "event=node_stopped", "event=peer_lost", "event=peer_connected")
COPY = "copy"
"""Under which name a second copy of a node goes through the proxy."""


class Lines(Protocol):
    """What connects the nodes."""

    def cut(self, node: str) -> None:
        """No byte passes between this node and its peers."""

    def mend(self) -> None:
        """Every line carries again."""


@dataclass(slots=True)
class Rehearsal:
    """Mutable. The cluster, its screen, and what was not as the design promises."""

    cluster: Cluster
    lines: Lines
    http: aiohttp.ClientSession
    print: Callable[[str], None]
    faults: list[str] = field(default_factory=list)
    _steps: int = 0
    _read: dict[Path, int] = field(default_factory=dict)

    # ---- the screen

    def step(self, chinese: str, english: str) -> None:
        """The next step of the accident."""
        self._steps += 1
        self.print(f"\n{self._steps}. {chinese}\n   {english}")

    def say(self, chinese: str, english: str) -> None:
        """What it means, or what to do."""
        self.print(f"   → {chinese}\n     {english}")

    async def show(self, *more: NodePlace) -> None:
        """What every node says of itself now, and the telling lines that its log got since."""
        for node in (*self.cluster.nodes, *more):
            self.print(f"   {self.name(node):9} {await self._describe(node)}")
        for node in (*self.cluster.nodes, *more):
            self._show_log(node)

    def name(self, node: NodePlace) -> str:
        """The node's id; a copy of it has another folder."""
        return node.id if node in self.cluster.nodes else COPY

    async def _describe(self, node: NodePlace) -> str:
        status, ready = await self.ask(node, "/readyz")
        _, state = await self.ask(node, "/api/v1/cluster")
        if not status or not state:
            return "readyz: no answer"
        said = "ready" if status == 200 else f"503 {ready.get('reason', '')}"
        reached = " ".join(one["id"] for one in state["nodes"] if one["reachable"] and one["id"] != node.id)
        sizes = f"size {state['size']} committed {state['committed_size']} sealed {state['sealed_size']}"
        behind = " ".join(f"{one['id']}-{one['lag']}" for one in state["nodes"] if one["lag"])
        lags = f"  not signed: {behind}" if behind else ""
        return f"readyz: {said}  |  height {state['height']} {sizes}  view {state['view']}  reaches: {reached}{lags}"

    def _show_log(self, node: NodePlace) -> None:
        begin = self._read.get(node.log, 0)
        with node.log.open("rb") as file:
            file.seek(begin)
            text = file.read().decode("utf-8", "replace")
            self._read[node.log] = file.tell()
        lines = [_shorten(line) for line in text.splitlines() if is_telling(line)]
        left = len(lines) - LINES_SHOWN_MAX
        for line in lines[:LINES_SHOWN_MAX]:
            self.print(f"     log of {self.name(node)}: {line}")
        if left > 0:
            self.print(f"     log of {self.name(node)}: ... and {left} lines like these")

    # ---- what is done

    async def ask(self, node: NodePlace, path: str) -> tuple[int, dict[str, Any]]:
        """Status and JSON of a GET; status 0 while nobody answers."""
        try:
            async with self.http.get(node.url + path, timeout=aiohttp.ClientTimeout(total=3)) as answer:
                return answer.status, dict(await answer.json())
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
            return 0, {}

    async def sign(self, node: NodePlace, *, is_expected: bool = True) -> dict[str, Any]:
        """Have a record ordered at this node alone, and say what came of it; empty when there was no receipt."""
        officer = self._officer(node)
        body = {"member": f"drill-{secrets.token_hex(8)}", "organisation": node.id, "role": "auditor"}
        record = officer.sign("role.grant", body)
        begin, said = time.monotonic(), ""
        while time.monotonic() < begin + ANSWER_S:
            try:
                answer = dict(await officer.post(record))
                if answer.get("receipt"):
                    self._tell_receipt(node, int(answer["index"]), time.monotonic() - begin)
                    return answer
            except ApiError as error:
                said = str(error)
                if not is_expected and error.status == 503:
                    break
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                said = type(error).__name__
            await asyncio.sleep(POLL_S)
        self.print(f"   {self.name(node)} has no receipt for a record: {said}")
        if is_expected:
            self.faults.append(f"{self.name(node)} did not order a record: {said}")
        return {"id": record.id}

    def _officer(self, node: NodePlace) -> Person:
        voters = Electorate(self.http, self.cluster.data, [node.url])
        return voters.officer([member.id for member in voters.genesis.members].index(node.id))

    def _tell_receipt(self, node: NodePlace, index: int, seconds: float) -> None:
        self.say(
            f"在 {self.name(node)} 提交一条记录：{seconds:.1f} 秒后拿到回执，第 {index} 条",
            f"a record handed in at {self.name(node)}: receipt after {seconds:.1f} s, entry {index}",
        )

    async def start(self, node: NodePlace) -> bool:
        """Start a node and wait until it is ready; False when its program ends instead, with its last words shown."""
        self.cluster.start(node)
        return await self.await_start(self.cluster, node)

    async def await_start(self, cluster: Cluster, node: NodePlace, path: str = "/readyz", more_s: float = 0.0) -> bool:
        """Wait until a node that was started answers at `path` and some seconds more, or until its program ends."""

        async def is_decided() -> bool:
            return not cluster.runs(node) or (await self.ask(node, path))[0] == 200

        await self.wait_until(is_decided)
        await asyncio.sleep(more_s)
        if cluster.runs(node):
            return True
        code = await asyncio.to_thread(cluster.stop, node)
        last = node.log.read_text("utf-8", "replace").splitlines()[-1:]
        self.print(f"   the program of {self.name(node)} has ended with exit code {code}:\n     {''.join(last)}")
        if code != EXIT_REFUSED:
            self.faults.append(f"{self.name(node)} ended with {code}, which is no refusal")
        return False

    async def wait_sealed(self) -> bool:
        """Wait until all nodes hold the same log, signed by all; a fault when they never do."""

        async def is_sealed() -> bool:
            states = [(await self.ask(node, "/api/v1/cluster"))[1] for node in self.cluster.nodes]
            sizes = {state.get(name, place) for place, state in enumerate(states) for name in ("size", "sealed_size")}
            return len(sizes) == 1

        sealed = await self.wait_until(is_sealed)
        if not sealed:
            self.faults.append("the nodes do not come to one log that all have signed")
        return sealed

    async def wait_until(self, holds: Callable[[], Any], within_s: float = PATIENCE_S) -> bool:
        """Wait for what an async function says; whether it came to be."""
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            if await holds():
                return True
            await asyncio.sleep(POLL_S)
        return False


def is_telling(line: str) -> bool:
    """Does a line of a log tell an operator something? Refused starts are lines of their own, without a level."""
    return line.startswith("server: ") or any(word in line for word in (*LEVELS, *EVENTS))


def _shorten(line: str) -> str:
    """Without the date: a rehearsal is over in a minute."""
    first, _, rest = line.partition(" ")
    return f"{first[21:29]} {rest}" if first.startswith("timestamp=") else line


@asynccontextmanager
async def rehearsal(
    folder: Path, given: Path | None, tell: Callable[[str], None], *, is_distant: bool = False
) -> AsyncIterator[Rehearsal]:
    """A cluster that runs: a new one in `folder`, or there a copy of the one that is given. Raises SystemExit.

    `is_distant`: each node in a network of its own, with lines that are really cut; else behind a proxy on loopback.
    """
    if given is None:
        init_cluster(folder, port_base=find_port_base())
    else:
        copy_cluster(given, folder)
    nodes = Cluster(folder).nodes
    targets = {node.id: ("127.0.0.1", node.peer_port) for node in nodes}
    async with FaultProxy({**targets, COPY: ("127.0.0.1", 0)}, seed=0) as proxy, open_http() as http:
        networks = Networks([node.id for node in nodes]) if is_distant else None
        cluster = FragileCluster(folder, proxy) if networks is None else DistantCluster(folder, networks)
        try:
            await asyncio.to_thread(cluster.start_all)
            yield Rehearsal(cluster, networks or ProxiedLines(proxy), http, tell)
        finally:
            await asyncio.to_thread(cluster.stop_all)


@dataclass(frozen=True, slots=True)
class ProxiedLines:
    """Lines on loopback, through a proxy."""

    proxy: FaultProxy

    def cut(self, node: str) -> None:
        """Connections end at once; on a real network it takes some seconds until that is noticed."""
        self.proxy.isolate(node, REFUSED)

    def mend(self) -> None:
        """All directions are clear."""
        self.proxy.clear()


def copy_cluster(given: Path, folder: Path) -> None:
    """Copy a stopped cluster. Raises SystemExit, with what to do, when it runs or its ports are taken."""
    try:
        nodes = Cluster(given).nodes
    except (OSError, ValueError, KeyError):
        raise SystemExit(f"{given} holds no cluster: scripts/cluster.py init makes one") from None
    if any(node.pid for node in nodes):
        raise SystemExit(f"the cluster in {given} runs; a drill works on a copy of it: stop it first")
    taken = [port for node in nodes for port in (node.port, node.peer_port) if not is_free(port)]
    if taken:
        raise SystemExit(f"another program listens on the ports {taken} of the cluster in {given}")
    for node in nodes:
        _require_own_files(node, given)
    shutil.copytree(given, folder, ignore=shutil.ignore_patterns("node.log", "node.pid"))


def _require_own_files(node: NodePlace, given: Path) -> None:
    """Raise SystemExit unless all that a node writes lies in the folder: a copy would else work on the original."""
    config = load_config(node.config, {})
    outside = [path for path in (config.node.keys, config.node.data) if not Path(path).is_relative_to(given.resolve())]
    if outside or config.database.url or config.cache.url:
        what = ", ".join([*outside, *filter(None, (config.database.url, config.cache.url))])
        raise SystemExit(f"{node.id} keeps what it knows outside of {given}: {what}. A drill works on copies only")


def write_layout(folder: Path, nodes: Sequence[NodePlace]) -> None:
    """The file by which `Cluster` knows its nodes."""
    layout = [{"id": node.id, "port": node.port, "peer_port": node.peer_port} for node in nodes]
    (folder / "cluster.json").write_text(json.dumps({"nodes": layout}), "utf-8")
