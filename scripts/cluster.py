"""A cluster of node processes on this machine: configuration, start, stop, kill. For demo, tests and benchmarks.

    python3 scripts/cluster.py init --data DIR [--nodes 3]     make keys, genesis and one folder an organisation
    python3 scripts/cluster.py start|stop|status --data DIR    run them

Each node is a process of its own with its own keys, database, journal and photos; nothing is shared but genesis.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]

import environment

ORGANISATIONS = (
    ("owners", "业主委员会"),
    ("property", "物业公司"),
    ("street", "街道居委会"),
    ("archive", "区档案馆"),
    ("finance", "监督委员会"),
    ("garden", "邻里共建会"),
    ("health", "社区服务中心"),
)
"""Members of a demo cluster: the first three, or as many as are asked for."""
PORTS = range(20_000, 30_000, 10)
"""Where ports are looked for: below those that the system gives to connections."""
PEER_PORTS_ABOVE = 1_000
START_S = 30.0
STOP_S = 10.0


@dataclass(frozen=True, slots=True)
class NodePlace:
    """One node of a cluster: its id, folder and ports."""

    id: str
    folder: Path
    port: int
    peer_port: int

    @property
    def url(self) -> str:
        """Where phones reach it."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """Its process id, or 0 when it does not run. A process of another cluster never answers to it."""
        return running_pid(self.folder / "node.pid", str(self.config))

    @property
    def config(self) -> Path:
        """Its configuration file."""
        return self.folder / "config.toml"

    @property
    def log(self) -> Path:
        """Where its output goes."""
        return self.folder / "node.log"


def running_pid(path: Path, word: str) -> int:
    """The process id in a pid file when that process lives and its command line holds `word`; else 0."""
    try:
        pid = int(path.read_text())
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (OSError, ValueError):
        return 0
    return pid if os.fsencode(word) in command and _state(pid) != "Z" else 0


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "Z"


def _session(pid: int) -> int:
    try:
        return os.getsid(pid)
    except OSError:
        return 0


class Cluster:
    """Mutable. The nodes under one data folder. Processes that it started are its children, and it reaps them."""

    def __init__(self, data: Path) -> None:
        self.data = data.resolve()
        self.program = "server"
        """The module that a node's process runs."""
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._sessions: set[int] = set()
        layout = json.loads((data / "cluster.json").read_text("utf-8"))
        self.nodes = [
            NodePlace(node["id"], self.data / node["id"], node["port"], node["peer_port"]) for node in layout["nodes"]
        ]

    @property
    def urls(self) -> list[str]:
        """The public addresses, in the order of the members."""
        return [node.url for node in self.nodes]

    def node(self, node_id: str) -> NodePlace:
        """A node by its id."""
        return next(node for node in self.nodes if node.id == node_id)

    def start(self, node: NodePlace, extra: dict[str, str] | None = None) -> None:
        """Start a node's process; nothing happens when it runs."""
        if self.runs(node):
            return
        with node.log.open("ab") as log:
            process = subprocess.Popen(
                self.command(node),
                cwd=self.program_folder(node),
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                env={**os.environ, **(extra or {})},
            )
        self._children[node.id] = process
        self._sessions.add(process.pid)
        (node.folder / "node.pid").write_text(str(process.pid))

    def command(self, node: NodePlace) -> list[str]:
        """The program of a node; its last word is the configuration file."""
        return [sys.executable, "-m", self.program, str(node.config)]

    def program_folder(self, node: NodePlace) -> Path:
        """Where a node's program lies."""
        return ROOT

    def start_all(self) -> None:
        """Start every node and wait until each is ready."""
        for node in self.nodes:
            self.start(node)
        for node in self.nodes:
            self.wait_ready(node)

    def wait_ready(self, node: NodePlace, within_s: float = START_S) -> None:
        """Wait until a node is in quorum and caught up. Raises SystemExit with the end of its log."""
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            if is_ready(node):
                return
            if not self.runs(node):
                break
            time.sleep(0.1)
        raise SystemExit(f"node {node.id} is not ready; the end of {node.log}:\n{tail(node.log)}")

    def runs(self, node: NodePlace) -> bool:
        """Does its process live? A child is asked itself: for a moment after its start /proc shows no command line."""
        child = self._children.get(node.id)
        return bool(node.pid) if child is None else child.poll() is None

    def kill(self, node: NodePlace) -> None:
        """kill -9; returns when the process is gone, and its ports and locks with it."""
        self._signal(node, signal.SIGKILL)
        self._await_end(node)

    def stop(self, node: NodePlace) -> int | None:
        """Ask a node to end; kill it if it does not. Returns its exit code, None when another program started it."""
        self._signal(node, signal.SIGTERM)
        if not self._await_end(node):
            self.kill(node)
        child = self._children.pop(node.id, None)
        return None if child is None else child.returncode

    def stop_all(self) -> None:
        """Stop every node."""
        for node in self.nodes:
            self._signal(node, signal.SIGTERM)
        for node in self.nodes:
            self.stop(node)

    def _signal(self, node: NodePlace, number: signal.Signals) -> None:
        child = self._children.get(node.id)
        if child is not None:
            child.send_signal(number)  # does nothing once the child was reaped
        elif node.pid:
            os.kill(node.pid, number)

    def left_behind(self) -> list[int]:
        """Processes that nodes of this cluster started and that live on: each node has a session of its own."""
        pids = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]
        running = {child.pid for child in self._children.values() if child.poll() is None}
        return [pid for pid in pids if _session(pid) in self._sessions - running]

    def _await_end(self, node: NodePlace) -> bool:
        deadline = time.monotonic() + STOP_S
        while self.runs(node) and time.monotonic() < deadline:
            time.sleep(0.01)
        return not self.runs(node)


def is_ready(node: NodePlace) -> bool:
    """Does the node say that it is in quorum and caught up?"""
    try:
        with urllib.request.urlopen(f"{node.url}/readyz", timeout=2) as answer:  # noqa: S310 - our own loopback address
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError, ValueError):
        return False


def tail(path: Path, lines: int = 20) -> str:
    """The end of a log."""
    try:
        return "\n".join(path.read_text("utf-8", "replace").splitlines()[-lines:])
    except OSError:
        return "(no log)"


def find_port_base(nodes: int = 3) -> int:
    """A first public port such that it and those that a cluster takes after it are free now; another one each time."""
    for base in random.sample(PORTS, len(PORTS)):
        if all(is_free(base + place + above) for place in range(nodes) for above in (0, PEER_PORTS_ABOVE)):
            return base
    raise SystemExit("no free ports on this machine")


def is_free(port: int) -> bool:
    """Can a program of this machine listen on this port now?"""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def init_cluster(
    data: Path, nodes: int = 3, port_base: int = 8101, settings: dict[str, dict[str, str]] | None = None
) -> Cluster:
    """Make keys, genesis, and one folder and configuration an organisation. Refuses a folder that holds a cluster."""
    import keys

    members = sorted(ORGANISATIONS[:nodes])
    founding = keys.Founding(("xiangshanyuan", "香山苑"), "linli.example/xiangshanyuan")
    keys.make_genesis(data, founding, dict(members))
    layout = []
    for place, (node_id, _) in enumerate(members):
        layout.append({"id": node_id, "port": port_base + place, "peer_port": port_base + PEER_PORTS_ABOVE + place})
    for node in layout:
        text = config_text(str(node["id"]), layout, settings or {})
        (data / str(node["id"]) / "config.toml").write_text(text, "utf-8")
    (data / "cluster.json").write_text(json.dumps({"nodes": layout}, indent=1))
    return Cluster(data)


def config_text(node_id: str, layout: list[dict[str, object]], settings: dict[str, dict[str, str]]) -> str:
    """A node's configuration file."""
    own = next(node for node in layout if node["id"] == node_id)
    lines = ["[node]", f'id = "{node_id}"', 'genesis = "../genesis.json"', 'keys = "."']
    lines += ["", "[http]", f"port = {own['port']}"]
    lines += [f'static = "{ROOT / "miniapp" / "dist" / "web"}"', "", "[transport]", f"port = {own['peer_port']}"]
    for node in layout:
        if node is not own:
            url = f"http://127.0.0.1:{node['port']}"
            lines += ["", f"[peers.{node['id']}]", 'host = "127.0.0.1"']
            lines += [f"port = {node['peer_port']}", f'url = "{url}"']
    for section, values in settings.items():
        lines += ["", f"[{section}]", *(f"{name} = {json.dumps(value)}" for name, value in values.items())]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Command line."""
    environment.reexec_in_environment()
    parser = argparse.ArgumentParser(description="Run a cluster of nodes on this machine.")
    parser.add_argument("command", choices=("init", "start", "stop", "status"))
    parser.add_argument("--data", type=Path, required=True, help="folder of the cluster")
    parser.add_argument("--nodes", type=int, default=3, choices=(1, 3, 4, 7), help="nodes of a new cluster")
    parser.add_argument("--port-base", type=int, default=8101, help="first public port of a new cluster")
    options = parser.parse_args()
    if options.command == "init":
        init_cluster(options.data, options.nodes, options.port_base)
        return 0
    cluster = Cluster(options.data)
    if options.command == "start":
        cluster.start_all()
    elif options.command == "stop":
        cluster.stop_all()
    for node in cluster.nodes:
        state = "stopped" if not node.pid else "ready" if is_ready(node) else "running"
        print(f"{node.id:10} {node.url}  {state}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
