"""Forks that operators have resolved: shown to everybody; the abandoned branch is for who may read the log.

What the log says of a fork every node shows; the archive lies at the node that held the abandoned branch only.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec
from aiohttp import web

from server.api.call import Call
from server.api.errors import Declined
from server.api.log import READERS
from server.api.route import PUBLIC, Media, Routes
from server.api.route import Path as PathPart
from server.domain.resolution import ForkResolved
from server.ledger.block import ACCEPTED
from server.node.resubmission import Resubmitted, read_report
from server.storage.membership import read_forks
from server.storage.rewinding import BLOCKS, ENTRIES, BranchArchive

routes = Routes()
SHOWN_MAX = 200
"""Records told one by one; the archive has all."""
_NO_STORE = {"Cache-Control": "no-store"}
ArchiveFile = Literal["genesis.json", "policy.txt", "succession.json", "checkpoint", "entries.jsonl", "blocks.jsonl"]
assert {ENTRIES, BLOCKS} < set(ArchiveFile.__args__)  # type: ignore[attr-defined]


class NamedMember(msgspec.Struct, frozen=True):
    """A member organisation, also one that is none any more."""

    id: str
    name: str


class BroughtAgain(msgspec.Struct, frozen=True):
    """What became of the abandoned records that this node holds: how many were accepted, and the others, with the
    reason why they took no effect or could not be ordered any more."""

    accepted: int
    others: tuple[Resubmitted, ...]


class Fork(msgspec.Struct, frozen=True):
    """A fork, and the resolution that ended it with entry `index`.

    From block `fork_height` on there were two histories; `fork_size` entries before it stand on both. `records` were on
    the abandoned one only. `is_archived`: the abandoned branch lies at this node.
    """

    epoch: int
    index: int
    time_ms: int
    fork_height: int
    fork_size: int
    kept_height: int
    kept_size: int
    kept_by: tuple[NamedMember, ...]
    culprits: tuple[NamedMember, ...]
    abandoned: tuple[str, ...]
    records: int
    is_archived: bool
    brought_again: BroughtAgain | None


class Forks(msgspec.Struct, frozen=True):
    """Every fork that was resolved, oldest first."""

    forks: tuple[Fork, ...]


@routes.route("GET", "/api/v1/forks", access=PUBLIC)
async def list_forks(call: Call) -> Forks:
    """Forks of this ledger that were resolved: what was kept, what was abandoned, and who had signed both."""
    return Forks(tuple([_shown(call, row) for row in await read_forks(call.node.ledger)]))


@routes.route("GET", "/api/v1/forks/{epoch}/{file}", access=READERS)
async def show_archive(
    call: Call, epoch: Annotated[int, PathPart], file: Annotated[ArchiveFile, PathPart]
) -> Annotated[web.StreamResponse, Media("application/octet-stream")]:
    """A file of the branch that this node abandoned when the epoch began: verify.py log reads the folder of them."""
    path = BranchArchive(_data(call), epoch).folder / file
    if not path.is_file():
        raise Declined("not_found")
    return web.FileResponse(path, headers=_NO_STORE)


def _shown(call: Call, row: ForkResolved) -> Fork:
    epoch, data = int(row.id), _data(call)
    names = {member.id: member.name for each in call.node.membership.epochs for member in each.members}

    def named(ids: tuple[str, ...]) -> tuple[NamedMember, ...]:
        return tuple(NamedMember(id_, names.get(id_, id_)) for id_ in ids)

    return Fork(
        epoch, row.index, row.time_ms, row.fork_height, row.fork_size, row.kept_height, row.kept_size,
        named(row.held_by), named(row.culprits), row.abandoned, row.records,
        BranchArchive(data, epoch).is_done, _brought_again(data, epoch),
    )  # fmt: skip


def _brought_again(data: Path, epoch: int) -> BroughtAgain | None:
    report = read_report(data, epoch)
    if report is None:
        return None
    others = [one for one in report if (one.state, one.outcome) != ("ordered", ACCEPTED)]
    return BroughtAgain(len(report) - len(others), tuple(others[:SHOWN_MAX]))


def _data(call: Call) -> Path:
    return Path(call.node.config.node.data)
