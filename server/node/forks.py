"""What a node does with the resolution of a fork that its operator has laid into its data folder (DESIGN.md D32).

Documents lie in `DATA/resolutions/*.json`. One for the epoch in force says which branch is kept: a node that holds
another one writes that down in `DATA/abandoned/<epoch>/` and takes it out of its database before anything starts; it
then follows the kept branch, and all begin the next epoch at its tip. Each step may be cut off and is gone on with.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

import msgspec
import structlog

from server.consensus.guilt import culprit_finder
from server.consensus.quorum import Quorum
from server.domain.membership import IN_FORCE, EpochInForce
from server.ledger.checkpoint import Checkpoint, log_line, note_of
from server.ledger.genesis import Genesis
from server.ledger.membership import Membership, genesis_of_epoch
from server.ledger.policy import policy_text
from server.ledger.resolution import (
    WORDS,
    Resolution,
    SignedResolution,
    branch_at,
    check_culprits,
    parse_resolution,
    refuse_resolution,
)
from server.node.checkpoints import Published
from server.node.keyring import read_secret
from server.node.standing import StartRefused
from server.node.successions import make_links
from server.record.canonical import Malformed, b64u_decode, encode
from server.record.rows import key
from server.record.signature import NodeSigner
from server.storage.ledger import Ledger
from server.storage.membership import read_membership
from server.storage.rewinding import BranchArchive

log = structlog.get_logger()
FOLDER = "resolutions"


def read_given(data: Path) -> dict[int, SignedResolution]:
    """The documents that lie in the data folder, by the epoch that each ends. Raises StartRefused."""
    found: dict[int, SignedResolution] = {}
    for path in sorted((data / FOLDER).glob("*.json")):
        try:
            signed = parse_resolution(path.read_bytes())
        except OSError as error:
            raise StartRefused(f"cannot read {path}: {error.strerror}") from None
        except Malformed as error:
            raise StartRefused(f"{path} is not the resolution of a fork: {error}") from None
        if found.setdefault(signed.resolution.epoch, signed) != signed:
            raise StartRefused(f"{data / FOLDER} holds two resolutions of one fork: keep the one that all were given")
    return found


def pins_of(given: dict[int, SignedResolution]) -> tuple[tuple[int, str], ...]:
    """Which blocks the documents decide for: whoever follows the ledger anew must not take the abandoned ones."""
    resolutions = [signed.resolution for _, signed in sorted(given.items())]
    pins = [((one.fork_height, one.kept.first), (one.kept.height, one.kept.block_id)) for one in resolutions]
    return tuple(pin for pair in pins for pin in pair)


@dataclass(frozen=True, slots=True)
class ForkDesk:
    """One node before anything starts: its ledger, and the document that is to end the epoch in force."""

    node: str
    keys: Path
    data: Path
    genesis: Genesis
    cluster_id: bytes
    ledger: Ledger

    async def settle(self, given: dict[int, SignedResolution]) -> bool:
        """Leave an abandoned branch, if this node stands on one. Returns whether the ledger must be opened anew.

        Raises StartRefused for a document that does not hold, or that is not about this node's ledger.
        """
        for epoch in sorted(given):
            archive = BranchArchive(self.data, epoch + 1)
            if archive.is_begun and not archive.is_done:
                await archive.rewind(self.ledger)
                return True
        membership = await read_membership(self.ledger, self.genesis)
        found = given.get(membership.current.number)
        if found is None:
            return False
        await self._check(found, membership)
        begin = await self._begin_of_abandoned(found.resolution)
        if begin is not None:
            await self._leave(found.resolution, membership, begin)
        return begin is not None

    async def _check(self, signed: SignedResolution, membership: Membership) -> None:
        """The operators' signatures, the evidence, the new keys. The log's end is asked when it is ordered."""
        row = (await self.ledger.rows.load([key(EpochInForce, IN_FORCE)])).loaded[key(EpochInForce, IN_FORCE)]
        if not isinstance(row, EpochInForce):
            raise StartRefused("the members of this ledger have no operators, so no fork of it can be resolved")
        before, culprit_of = membership.current, culprit_finder(self.genesis.origin, self.cluster_id)
        try:
            check_culprits(signed, before, culprit_of)
        except Malformed as error:
            raise StartRefused(f"the resolution in {self.data / FOLDER} does not hold: {error}") from None
        refusal = refuse_resolution(before, row.used, self.cluster_id, signed)
        if refusal is not None:
            words = WORDS[refusal]
            raise StartRefused(f"the resolution in {self.data / FOLDER} does not hold ({refusal.value}): {words}")

    async def _begin_of_abandoned(self, resolution: Resolution) -> int | None:
        """From which height on this node's blocks are abandoned; None where none are.

        Raises StartRefused where the document does not fit its log.
        """
        block = await self.ledger.block(resolution.fork_height)
        if block is None:
            return None
        branch = branch_at(resolution, block.block_id)
        if branch is None:
            raise StartRefused(
                f"this node's block {resolution.fork_height} is {block.block_id}: it stands on none of the branches "
                "that the resolution names. Draw it up anew with this node's branch among them (docs/forks.md)"
            )
        if branch is not resolution.kept and self.node in resolution.kept.held_by:
            raise StartRefused(f"the resolution says that {self.node} holds the kept branch, but it holds another one")
        if branch is not resolution.kept:
            return resolution.fork_height
        if self.ledger.tip.height <= branch.height:
            return None
        if self.node not in resolution.culprits:
            raise StartRefused(f"this node's ledger goes on above block {branch.height}: draw the resolution up anew")
        return branch.height + 1

    async def _leave(self, resolution: Resolution, membership: Membership, begin: int) -> None:
        archive = BranchArchive(self.data, resolution.epoch + 1)
        await archive.write(self.ledger, begin, await self._texts(membership))
        log.warning("branch_archived", folder=str(archive.folder), height=self.ledger.tip.height)
        await archive.rewind(self.ledger)
        log.warning("branch_abandoned", fork_height=begin)

    async def _texts(self, membership: Membership) -> dict[str, bytes]:
        """What makes the folder verifiable by itself, as `scripts/export.py` writes it."""
        quorum = Quorum(len(membership.current.members), self.genesis.mode).quorum
        newest = await self._newest(quorum)
        links = await make_links(self.ledger, membership, self.genesis.origin, newest)
        texts = {
            "genesis.json": encode(self.genesis),
            "policy.txt": policy_text(genesis_of_epoch(self.genesis, membership.current), quorum).encode(),
            "succession.json": encode({"links": msgspec.to_builtins(links or [])}),
        }
        if newest is None:
            return texts
        signer = NodeSigner(await asyncio.to_thread(read_secret, self.keys / "log.key"))
        checkpoint = Checkpoint(self.genesis.origin, newest.size, newest.root)
        line = log_line(signer, checkpoint.origin, checkpoint.size, checkpoint.root)
        note = note_of(checkpoint, [line, *(line for _, line in newest.lines)])
        return texts | {"checkpoint": note.encode()}

    async def _newest(self, quorum: int) -> Published | None:
        """The newest checkpoint of the own log that a quorum signed."""
        size = await self.ledger.cosignatures.newest_size(quorum)
        root = await self.ledger.root_at(size) if size else None
        if root is None:
            return None
        lines = await self.ledger.cosignatures.of_size(size)
        fitting = tuple((one.member, one.line) for one in lines if b64u_decode(one.root) == root)
        return Published(size, root, fitting, sealed=False)
