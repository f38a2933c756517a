"""A node of an estate with one organisation, without an API, whose folders a test may damage between two runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from keys import Founding, make_genesis, officer_id
from server.config import Config, NodeSettings, PeerSettings, TransportSettings
from server.consensus.packing import pack
from server.domain.plan import RecordWork
from server.ledger.genesis import Genesis, estate_of, parse_genesis
from server.node import instance
from server.node.node import Node, Submission
from server.record.canonical import b64u_decode, b64u_encode
from server.record.envelope import Payload, sign_record
from server.record.signature import DeviceSigner
from tests.api.running import free_port
from tests.node.test_transport import make_peers

LIFE_MS = 600_000
WAIT_MS = 10_000


@dataclass(slots=True)
class Alone:
    """Mutable. One organisation's folders, and its officer, who signs records without end."""

    folder: Path
    me: str = "street"
    members: tuple[str, ...] = ("street",)
    peer_port: int = 0
    count: int = 0

    def __post_init__(self) -> None:
        names = dict.fromkeys(self.members, "组织")
        make_genesis(self.folder / "genesis", Founding(("garden", "花园"), "linli.test/garden"), names)

    @property
    def data(self) -> Path:
        """Its data folder."""
        return self.folder / "data"

    @property
    def keys(self) -> Path:
        """Its key folder."""
        return self.folder / "genesis" / self.me

    @property
    def genesis(self) -> tuple[Genesis, bytes]:
        """Genesis and cluster id."""
        return parse_genesis((self.folder / "genesis" / "genesis.json").read_bytes())

    def config(self) -> Config:
        """Its configuration; a second member, if there is one, listens on `peer_port`."""
        others = [member for member in self.members if member != self.me]
        return Config(
            node=NodeSettings(
                id=self.me,
                genesis=str(self.folder / "genesis" / "genesis.json"),
                keys=str(self.keys),
                data=str(self.data),
            ),
            transport=TransportSettings(port=free_port()),
            peers={member: PeerSettings(host="127.0.0.1", port=self.peer_port) for member in others[:1]},
        )

    def record(self, now_ms: int) -> str:
        """A record of the officer: a role that was never granted before."""
        self.count += 1
        pem = (self.keys / f"officer-{self.me}.pem").read_bytes()
        payload = Payload(
            author=officer_id(self.me),
            body={"member": f"m-{self.count}", "organisation": self.me, "role": "committee"},
            estate=estate_of(*self.genesis),
            expires_ms=now_ms + LIFE_MS,
            kind="role.grant",
            made_ms=now_ms,
            nonce=b64u_encode(self.count.to_bytes(16)),
        )
        return sign_record(DeviceSigner.from_pem(pem), payload)

    async def admit(self, node: Node) -> RecordWork:
        """A new record, judged by the node."""
        return await node.admit(self.record(node.now_ms()), ())

    async def submit(self, node: Node) -> Submission:
        """A new record, ordered."""
        return await node.submit(await self.admit(node), (), wait_ms=WAIT_MS)


def make_pair(folder: Path) -> Alone:
    """The first of two organisations; it leads."""
    folder.mkdir(exist_ok=True)
    return Alone(folder, me="owners", members=("owners", "street"), peer_port=free_port())


@asynccontextmanager
async def silent_peer(alone: Alone, hear: Callable[[bytes], None]) -> AsyncIterator[None]:
    """The second organisation's end of the line: it takes every frame, and hears no second process."""
    pinned = {member.id: b64u_decode(member.transport_certificate) for member in alone.genesis[0].members}
    street = make_peers(alone.folder / "genesis", "street", pinned)
    street.on_message = lambda _, frame: hear(frame)

    async def hear_nobody_else(member: str, announcement: bytes) -> bytes:
        return pack((b"", b""))

    street.handle(instance.CALL, hear_nobody_else)
    await street.listen("127.0.0.1", alone.peer_port)
    try:
        yield
    finally:
        await street.close()


async def reach(node: Node) -> None:
    """Wait until the node is connected to its peer."""
    async with asyncio.timeout(WAIT_MS / 1000):
        while not node.cluster_status()["nodes"][1]["reachable"]:
            await asyncio.sleep(0.01)
