"""The processes of a demo on this machine, nodes and simulators: which ports they have, how they start and end.

A demo is a folder; its ports are for ever those with which it was made. Standard library only. It must not know what
the estate holds.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import environment
from cluster import PEER_PORTS_ABOVE, Cluster, init_cluster, is_free, running_pid, tail

ROOT = Path(__file__).resolve().parents[1]
NODES = 3
SMS_TOKEN = "demo"  # noqa: S105 - of the simulator on this machine
SIMULATORS = {"sms": 2000, "wechat": 2001}
"""Which simulators run, and how far above the first node's port theirs lie."""
PORT_BASES = range(1024, 65_536 - 2001)
"""A first node's port: everything above it must be a port too."""
START_S = 20.0
STOP_S = 10.0


class Obstacle(SystemExit):
    """The demo cannot run. Its text says what is in the way and what to do; uncaught, it ends the program."""


def outbox_url(port_base: int) -> str:
    """Where the simulated text messages can be read."""
    return f"http://127.0.0.1:{port_base + SIMULATORS['sms']}"


def wechat_url(port_base: int) -> str:
    """Where the simulated WeChat answers."""
    return f"http://127.0.0.1:{port_base + SIMULATORS['wechat']}"


def read_port_base(data: Path) -> int | None:
    """The first port of the demo in a folder; None where there is none."""
    try:
        return int(json.loads((data / "cluster.json").read_text("utf-8"))["nodes"][0]["port"])
    except FileNotFoundError:
        return None


def is_running(data: Path) -> bool:
    """Does any node of this demo run?"""
    return read_port_base(data) is not None and any(node.pid for node in Cluster(data).nodes)


def find_taken_ports(port_base: int) -> list[int]:
    """Those ports of a demo that something on this machine listens on."""
    above = [place + more for place in range(NODES) for more in (0, PEER_PORTS_ABOVE)]
    return [port_base + more for more in sorted([*above, *SIMULATORS.values()]) if not is_free(port_base + more)]


def require_free_ports(data: Path, port_base: int) -> None:
    """Raises Obstacle, with another command that works, when another program listens on a port of this demo."""
    taken = find_taken_ports(port_base)
    if not taken:
        return
    others = (base for base in range(port_base + 100, PORT_BASES.stop, 100) if not find_taken_ports(base))
    numbers = ", ".join(map(str, taken))
    raise Obstacle(
        f"Another program uses port {numbers} of this machine. End it, or make another demo on other ports, with\n"
        f"    --data '{data}-2' --port-base {next(others, PORT_BASES.start)}"
    )


def start(data: Path, port_base: int) -> Cluster:
    """Start simulators and nodes and wait until they are ready; make the cluster first if there is none."""
    if read_port_base(data) is None:
        settings = {
            "sms": {"url": f"{outbox_url(port_base)}/messages", "token": SMS_TOKEN},
            "wechat": {"url": wechat_url(port_base), "appid": "demo", "secret": "demo"},
            "estate": {"phone": "021-5555 0100"},
        }
        init_cluster(data, NODES, port_base, settings)
    _simulate(data, "sms", port_base, ["--token", SMS_TOKEN], outbox_url(port_base) + "/outbox")
    _simulate(data, "wechat", port_base, [], wechat_url(port_base) + "/simulator/calls")
    cluster = Cluster(data)
    environment.say("Starting three nodes ...")
    cluster.start_all()
    return cluster


def stop(data: Path) -> None:
    """Stop nodes and simulators of a demo, and wait until they have ended; Ctrl-C does not stop that."""
    port_base = read_port_base(data)
    if port_base is None:
        return
    before = {
        number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    try:
        Cluster(data).stop_all()
        for name in SIMULATORS:
            _end_simulator(data, name, port_base)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _simulate(data: Path, name: str, port_base: int, arguments: list[str], url: str) -> None:
    if not _simulator_pid(data, name, port_base):
        program = [sys.executable, str(ROOT / "scripts" / "simulators" / f"{name}.py")]
        with (data / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [*program, "--port", str(port_base + SIMULATORS[name]), *arguments],
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        (data / f"{name}.pid").write_text(str(process.pid))
    deadline = time.monotonic() + START_S
    while not _answers(url):
        if time.monotonic() > deadline:
            raise Obstacle(f"The simulator {name} does not answer; its log:\n{tail(data / f'{name}.log')}")
        time.sleep(0.05)


def _simulator_pid(data: Path, name: str, port_base: int) -> int:
    """Its process id, or 0 when it does not run. The simulator of another demo has another port."""
    return running_pid(data / f"{name}.pid", f"{name}.py\0--port\0{port_base + SIMULATORS[name]}\0")


def _end_simulator(data: Path, name: str, port_base: int) -> None:
    for number, seconds in ((signal.SIGTERM, STOP_S), (signal.SIGKILL, 1.0)):
        deadline = time.monotonic() + seconds
        if pid := _simulator_pid(data, name, port_base):
            os.kill(pid, number)
        while _simulator_pid(data, name, port_base) and time.monotonic() < deadline:
            time.sleep(0.01)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2):  # noqa: S310 - our own loopback address
            return True
    except (urllib.error.URLError, OSError):
        return False
