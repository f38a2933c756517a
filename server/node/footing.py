"""What a node stands on before it does anything: its settings and genesis, what is durable, and who it is among whom.

Opened once at a start, and once more where a snapshot has brought another ledger, or an epoch has ended.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from server.config import Config
from server.domain.rules import Rulebook
from server.domain.state_root import Schedule
from server.ledger.genesis import Genesis, parse_genesis
from server.node.driver import Durable
from server.node.forks import ForkDesk, pins_of, read_given
from server.node.instance import InstanceGuard
from server.node.keyring import NodeKeyring, read_secret
from server.node.room import check_room
from server.node.standing import Standing, StartRefused, make_peers, read_standing
from server.node.transport import Peers
from server.record.canonical import Malformed, b64u_encode
from server.storage.database import Database
from server.storage.journal import Journal, replace_file
from server.storage.ledger import Ledger
from server.storage.replay import open_ledger
from server.storage.signer import SignerFile
from server.storage.vault import Vault


@dataclass(frozen=True, slots=True)
class Founded:
    """What does not change while a node runs: its settings, genesis, and the rules that its release knows."""

    config: Config
    genesis: Genesis
    genesis_bytes: bytes
    cluster_id: bytes
    vault: Vault
    data: Path
    schedule: Schedule | None
    rulebook: Rulebook


@dataclass(frozen=True, slots=True)
class Footing:
    """What a node stands on before it does anything: what is durable, and the peers in the epoch of its ledger."""

    ledger: Ledger
    standing: Standing
    keyring: NodeKeyring
    peers: Peers
    guard: InstanceGuard
    durable: Durable


async def stand(stack: AsyncExitStack, founded: Founded) -> Footing:
    """Open everything durable, and accept the peers' connections."""
    config, data = founded.config, founded.data
    genesis, cluster_id = founded.genesis, founded.cluster_id
    ledger, given = await _open_ledger(stack, founded), read_given(data)
    desk = ForkDesk(config.node.id, Path(config.node.keys), data, genesis, cluster_id, ledger)
    if await desk.settle(given):
        await stack.aclose()
        ledger = await _open_ledger(stack, founded)
    standing = await read_standing(config, genesis, cluster_id, ledger, given, pins_of(given))
    keyring = standing.keyring
    peers = make_peers(standing)
    stack.push_async_callback(peers.close)
    guard = InstanceGuard(config.node.id, keyring, peers)
    durable = await _open_durable(stack, standing, keyring, ledger, data)
    await _listen(config, peers)
    return Footing(ledger, standing, keyring, peers, guard, durable)


async def _open_ledger(stack: AsyncExitStack, founded: Founded) -> Ledger:
    database = await Database.open(founded.config.database.url or f"sqlite://{founded.data / 'node.db'}")
    stack.push_async_callback(database.close)
    genesis, cluster_id = founded.genesis, founded.cluster_id
    return await open_ledger(database, genesis, cluster_id, founded.vault, founded.schedule, founded.rulebook)


def read_founded(config: Config, schedule: Schedule | None, rulebook: Rulebook) -> Founded:
    """Read genesis and the vault's key, and make the data folder. Raises StartRefused, KeyFault, NoRoom."""
    path, data = Path(config.node.genesis), Path(config.node.data)
    try:
        genesis_bytes = path.read_bytes()
        genesis, cluster_id = parse_genesis(genesis_bytes)
    except OSError as error:
        raise StartRefused(f"cannot read {path}: {error.strerror}") from None
    except Malformed as error:
        raise StartRefused(f"{path} is not a genesis file: {error}") from None
    vault = Vault(read_secret(Path(config.node.keys) / "vault.key"))
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    check_room(data)
    return Founded(config, genesis, genesis_bytes, cluster_id, vault, data, schedule, rulebook)


async def _open_durable(
    stack: AsyncExitStack, standing: Standing, keyring: NodeKeyring, ledger: Ledger, data: Path
) -> Durable:
    """Journal and signer's file; whether they must be there is asked of the ledger as it was before it joins."""
    has_blocks = ledger.tip.height > 0
    mark, own = Path(standing.config.node.keys) / "voted", b64u_encode(standing.keys.consensus.public)
    if not has_blocks:
        _check_mark(mark, own, data)
    if keyring.is_member:
        _mark_beginning(mark, own)
    journal = await asyncio.to_thread(Journal.open, data / "journal", expected=has_blocks)
    stack.callback(journal.close)
    # Blocks alone do not say that it has signed: it may have ended between storing its first one and signing that.
    has_signed = has_blocks and await ledger.cosignatures.newest_size(len(standing.membership.current.ids)) > 0
    return Durable(journal, SignerFile.open(data / "signer", expected=has_signed))


async def _listen(config: Config, peers: Peers) -> None:
    """Accept the peers' connections; frames are read from the node's start on."""
    transport = config.transport
    try:
        await peers.listen(transport.host, transport.port)
    except OSError as error:
        raise StartRefused(f"cannot listen for peers on {transport.host}:{transport.port}: {error.strerror}") from None


def _marked(mark: Path) -> list[str]:
    return mark.read_text("ascii").split() if mark.exists() else []


def _mark_beginning(mark: Path, own: str) -> None:
    """Note beside the keys that this one votes from now on."""
    known = _marked(mark)
    if own not in known:
        replace_file(mark, "\n".join([*known, own, ""]).encode())


def _check_mark(mark: Path, own: str, data: Path) -> None:
    """Refuse a folder without a journal for a key that has voted, whether it is a member's now or will be found to be.

    The ledger cannot tell: it was lost with the journal. Keys and data are seldom lost together. Raises StartRefused.
    """
    if own in _marked(mark) and not (data / "journal").exists():
        raise StartRefused(
            f"{data} holds no journal, but this node has voted before ({mark} says so), and may have voted what it no "
            "longer knows. Put the folder back as it was at its end. If that cannot be, let the operators agree on new "
            "keys (docs/members.md). Where there are none: make sure that the other nodes have ordered blocks since, "
            "remove the mark, and start again; the ledger is then fetched from them."
        )
