"""Who this node is in the epoch in force: the members, its keys, whom it is connected to, what its replica is told.

All of it follows from genesis, the ledger, the key folder and the settings; where an epoch ends it is read anew.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import structlog

from server.config import Config
from server.consensus.config import Config as ReplicaConfig
from server.consensus.config import Ending, Timeouts
from server.domain.rules import Rulebook
from server.ledger.genesis import Genesis
from server.ledger.membership import Membership, genesis_of_epoch, retired_with
from server.ledger.resolution import SignedResolution, epoch_after
from server.node.keyring import KeyFault, Keys, NodeKeyring, read_keys, read_observer_keys
from server.node.transport import Peers, tls_context
from server.record.canonical import b64u_decode
from server.storage.ledger import Ledger
from server.storage.membership import read_membership

log = structlog.get_logger()


class StartRefused(Exception):
    """The node must not start as things are; the message says what its operator should do."""


@dataclass(frozen=True, slots=True)
class Standing:
    """`genesis` as if the members in force had founded the ledger; `cluster_id` that of the true one."""

    config: Config
    genesis: Genesis
    membership: Membership
    cluster_id: bytes
    keys: Keys
    given: SignedResolution | None = None
    """The resolution of a fork that ends the epoch before the one in force, or, until the ledger has come to the tip
    that it keeps, the one in force itself: then this node only follows."""
    pinned: tuple[tuple[int, str], ...] = ()

    @property
    def only_follows(self) -> bool:
        """Whether the epoch in force is over for its operators: nothing is voted for or signed in it any more."""
        return self.given is not None and self.given.resolution.epoch == self.membership.current.number

    @property
    def keyring(self) -> NodeKeyring:
        """What signs and checks for the replica."""
        return NodeKeyring(self.keys, self.membership, self.genesis.origin, self.cluster_id, self.config.node.id)


async def read_standing(
    config: Config,
    founding: Genesis,
    cluster_id: bytes,
    ledger: Ledger,
    given: Mapping[int, SignedResolution] | None = None,
    pinned: tuple[tuple[int, str], ...] = (),
) -> Standing:
    """Where this node stands after the last stored block. Raises StartRefused and KeyFault.

    `given`: resolutions of forks, checked, by the epoch that each ends; `pinned`: the blocks that they decide for.
    """
    membership = await read_membership(ledger, founding)
    signed = (given or {}).get(membership.current.number)
    if signed is not None and signed.resolution.kept.block_id == ledger.tip.block_id:
        membership = Membership((*membership.epochs, epoch_after(membership.current, signed.resolution)))
    genesis = genesis_of_epoch(founding, membership.current)
    only_follows = config.node.observes or (signed is not None and signed.resolution.epoch == membership.current.number)
    keys = _read_keys(config, genesis, membership, only_follows=only_follows)
    return Standing(config, genesis, membership, cluster_id, keys, signed, pinned)


def _read_keys(config: Config, genesis: Genesis, membership: Membership, *, only_follows: bool) -> Keys:
    """The keys that the epoch in force names; any, of a node that is told to follow only."""
    me, folder = config.node.id, Path(config.node.keys)
    if genesis.member(me) is None and me in membership.known_certificates:
        epoch = membership.current
        raise StartRefused(
            f"{me} is no member any more: epoch {epoch.number} began without it after block {epoch.first_height - 1}. "
            "Its data stay as they are; stop this service for good."
        )
    try:
        return read_keys(folder, genesis, me)
    except KeyFault:
        if not only_follows:
            raise
        log.warning("follows_only", node=me, epoch=membership.current.number)
        return read_observer_keys(folder)


def make_peers(standing: Standing) -> Peers:
    """Members are called and answered; who was one, or is said to become one, is shown blocks only."""
    config, keys, membership = standing.config, standing.keys, standing.membership
    guests = {name: peer.certificate for name, peer in config.peers.items() if peer.certificate}
    pinned = {name: _read_certificate(Path(path)) for name, path in guests.items()}
    pinned |= {name: b64u_decode(text) for name, text in membership.known_certificates.items()}
    contexts = (
        tls_context(keys.transport_certificate, keys.transport_key, pinned, server=True),
        tls_context(keys.transport_certificate, keys.transport_key, pinned, server=False),
    )
    others = {name: der for name, der in pinned.items() if name != config.node.id}
    return Peers(others, contexts, membership.current.ids)


def _read_certificate(path: Path) -> bytes:
    try:
        return ssl.PEM_cert_to_DER_cert(path.read_text("ascii"))
    except OSError as error:
        raise StartRefused(f"cannot read {path}: {error.strerror}") from None
    except ValueError:
        raise StartRefused(f"{path} is not a certificate in PEM") from None


async def make_replica_config(
    standing: Standing, rulebook: Rulebook, keyring: NodeKeyring, ledger: Ledger
) -> ReplicaConfig:
    """What the replica is told of the epoch in force, and of the rules that its release knows."""
    timing, epoch = standing.config.consensus, standing.membership.current
    base = await ledger.block(epoch.first_height - 1)
    return ReplicaConfig(
        members=epoch.ids,
        me=standing.config.node.id,
        cluster_id=standing.cluster_id,
        epoch=epoch.number,
        rules=rulebook.newest,
        first_height=epoch.first_height,
        base_block=base.block_id if base is not None else "",
        first_size=epoch.first_size,
        endings=await _read_endings(standing.membership, ledger),
        pinned=standing.pinned,
        observes=not keyring.is_member or standing.only_follows,
        mode=standing.genesis.mode,
        timeouts=Timeouts(suspicion_ms=timing.suspect_ms, status_ms=timing.status_ms),
    )


async def _read_endings(membership: Membership, ledger: Ledger) -> tuple[Ending, ...]:
    """Where each earlier epoch ended, as the own log has it."""
    endings = []
    for before, after in zip(membership.epochs, membership.epochs[1:], strict=False):
        block = await ledger.block(after.first_height - 1)
        assert block is not None, "an epoch stands on a stored block"
        entry = await ledger.entry(block.size - 1)
        assert entry is not None, "a stored block ends with its leaf"
        place = (before.number, block.header.height, block.size, block.block_id, entry.content)
        endings.append(Ending(*place, retired_with(before, after, "consensus"), retired_with(before, after, "cosign")))
    return tuple(endings)
