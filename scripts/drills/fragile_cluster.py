"""A cluster whose nodes meet through a fault proxy, on machines that can be afflicted and disks that can be filled.

The nodes' programs and configurations are those of every day; where their peers are comes by the environment. It must
not know what befalls them, nor when.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Mapping
from pathlib import Path

from cluster import Cluster, NodePlace
from drills.affliction import Affliction
from drills.fault_proxy import FaultProxy
from drills.small_disk import SmallDisk


class FragileCluster(Cluster):
    """Mutable. `names`: under which name a node goes through the proxy, where that is not its id."""

    def __init__(
        self, data: Path, proxy: FaultProxy, *, with_disks: bool = False, names: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(data)
        self.proxy = proxy
        self._names = dict(names or {})
        genesis = json.loads((self.data / "genesis.json").read_bytes())
        self._members = {member["id"] for member in genesis["members"]}
        self.afflictions = {node.id: Affliction(node.folder / "affliction") for node in self.nodes}
        self.disks = {node.id: SmallDisk(node.folder / "data") for node in self.nodes} if with_disks else {}

    def start(self, node: NodePlace, extra: dict[str, str] | None = None) -> None:
        """Start a node that reaches its peers through the proxy."""
        name = self._names.get(node.id, node.id)
        variables = self.afflictions[node.id].variables()
        for (sender, receiver), port in self.proxy.ports.items():
            if sender == name and receiver in self._members - {node.id}:
                variables[f"LINLI_PEERS__{receiver.upper()}__PORT"] = str(port)
        super().start(node, {**variables, **(extra or {})})

    def signal(self, node: NodePlace, number: signal.Signals) -> None:
        """Send a signal to a node that runs."""
        if self.runs(node) and node.pid:
            os.kill(node.pid, number)

    def put_disks_back(self) -> None:
        """Keep in the folders what lies on the small disks."""
        for disk in self.disks.values():
            disk.put_back()
