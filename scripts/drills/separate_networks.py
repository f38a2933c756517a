"""Nodes in networks of their own: one namespace a node, two bridges between them, lines that can really be cut.

Phones reach a node over one bridge, its peers over the other, so that a node that is cut off can still be asked. Unlike
behind a proxy, nobody acknowledges a byte that goes into a cut line. Runs in a network namespace of the drill's own
(`unshared.py`), with which everything here ends. It must not know what the nodes say.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cluster import Cluster, NodePlace

_NEW_NETWORK = 0x40000000
"""CLONE_NEWNET (linux/sched.h)."""
PHONES, PEERS = "10.77.0", "10.78.0"
"""The two networks; the drill itself is number 1 of the first, the nodes are 11, 12, ... of both."""
_FIRST = 11
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class DistantPlace(NodePlace):
    """A node that is not on this machine's loopback."""

    host: str = ""

    @property
    def url(self) -> str:
        """Where phones reach it."""
        return f"http://{self.host}:{self.port}"


class Networks:
    """Mutable. A namespace a node, each with a line to the phones' bridge and one to the peers' bridge."""

    def __init__(self, nodes: Sequence[str]) -> None:
        self._numbers = {node: _FIRST + place for place, node in enumerate(nodes)}
        self._namespaces: dict[str, int] = {}
        _ip("link set lo up")
        for bridge in ("phones", "peers"):
            _ip(f"link add {bridge} type bridge")
            _ip(f"link set {bridge} up")
        _ip(f"addr add {PHONES}.1/24 dev phones")
        for node in nodes:
            self._namespaces[node] = _make_namespace()
            self._wire(node, "phones", PHONES)
            self._wire(node, "peers", PEERS)

    def _wire(self, node: str, bridge: str, network: str) -> None:
        number = self._numbers[node]
        line = f"{bridge}{number}"
        _ip(f"link add {line} type veth peer name {bridge} netns {_path(self._namespaces[node])}")
        _ip(f"link set {line} master {bridge} up")
        with self.entered(node):
            _ip("link set lo up")
            _ip(f"addr add {network}.{number}/24 dev {bridge}")
            _ip(f"link set {bridge} up")

    def host(self, node: str, network: str = PHONES) -> str:
        """A node's address in a network."""
        return f"{network}.{self._numbers[node]}"

    @contextmanager
    def entered(self, node: str) -> Iterator[None]:
        """What this thread starts meanwhile runs in the node's namespace."""
        here = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        _enter(self._namespaces[node])
        try:
            yield
        finally:
            _enter(here)
            os.close(here)

    def cut(self, node: str) -> None:
        """Pull a node's cable to its peers."""
        _ip(f"link set peers{self._numbers[node]} down")

    def mend(self) -> None:
        """Plug every cable in again."""
        for number in self._numbers.values():
            _ip(f"link set peers{number} up")


class DistantCluster(Cluster):
    """Mutable. A cluster whose nodes live in networks of their own."""

    def __init__(self, data: Path, networks: Networks) -> None:
        super().__init__(data)
        self._networks = networks
        self.nodes = [
            DistantPlace(node.id, node.folder, node.port, node.peer_port, networks.host(node.id)) for node in self.nodes
        ]

    def start(self, node: NodePlace, extra: dict[str, str] | None = None) -> None:
        """Start a node in its own network."""
        networks = self._networks
        hosts = {"HTTP": networks.host(node.id), "TRANSPORT": networks.host(node.id, PEERS)}
        hosts |= {
            f"PEERS__{peer.id.upper()}": networks.host(peer.id, PEERS) for peer in self.nodes if peer.id != node.id
        }
        variables = {f"LINLI_{section}__HOST": host for section, host in hosts.items()}
        with networks.entered(node.id):
            super().start(node, {**variables, **(extra or {})})


def _ip(arguments: str) -> None:
    subprocess.run(["ip", *arguments.split()], check=True)


def _path(descriptor: int) -> str:
    return f"/proc/{os.getpid()}/fd/{descriptor}"


def _make_namespace() -> int:
    """A new network namespace, kept by the descriptor that is returned; this thread stays where it is."""
    here = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    _check(_libc.unshare(_NEW_NETWORK))
    made = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    _enter(here)
    os.close(here)
    return made


def _enter(descriptor: int) -> None:
    _check(_libc.setns(descriptor, _NEW_NETWORK))


def _check(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
