"""Records of an abandoned branch are brought again, unchanged, by the node that holds them (DESIGN.md D32).

Same bytes, same ids: what the kept branch holds already is answered with its receipt, the rest is ordered once. What is
refused now, or cannot be ordered any more, is written down with the reason. Cut off, it begins anew at the next start.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Literal

import msgspec
import structlog

from server.domain.resolution import ForkResolved
from server.ledger.block import ACCEPTED
from server.node.admission import Unadmitted
from server.node.node import Busy, Node, Stopped
from server.node.parts import RulesUnsupported
from server.record.canonical import Malformed
from server.record.envelope import parse_record
from server.storage.journal import replace_file
from server.storage.membership import read_forks
from server.storage.rewinding import BranchArchive, archives_in, read_records

log = structlog.get_logger()
REPORT = "resubmitted.json"
WAIT_MS = 2_000
PAUSE_S = 0.5
"""Before a node that is busy, or not in a quorum yet, is asked again."""


class Resubmitted(msgspec.Struct, frozen=True):
    """What became of one abandoned record. `ordered`: it stands in the log, with this outcome; else `outcome` is why it
    cannot be ordered any more."""

    id: str
    kind: str
    state: Literal["ordered", "not_ordered"]
    outcome: str


async def resubmit_abandoned(node: Node, data: Path) -> None:
    """Bring again what stands in the archives of this node and was not reported yet. Failures are logged."""
    for archive in archives_in(data):
        if archive.is_done and not (archive.folder / REPORT).exists():
            try:
                await _resubmit(node, archive, await _resolved(node, archive))
            except Exception:
                log.exception("resubmission_failed", folder=str(archive.folder))


async def _resolved(node: Node, archive: BranchArchive) -> ForkResolved:
    """What the log says of the fork, as soon as it does: before, the kept branch is still being fetched."""
    while True:
        for fork in await read_forks(node.ledger):
            if fork.id == archive.folder.name:
                return fork
        await asyncio.sleep(PAUSE_S)


def read_report(data: Path, epoch: int) -> list[Resubmitted] | None:
    """What became of the records of the branch that this node abandoned when `epoch` began; None before it is known,
    and at a node that abandoned none. Raises OSError."""
    path = BranchArchive(data, epoch).folder / REPORT
    return msgspec.json.decode(path.read_bytes(), type=list[Resubmitted]) if path.exists() else None


async def _resubmit(node: Node, archive: BranchArchive, fork: ForkResolved) -> None:
    records = await asyncio.to_thread(read_records, archive.folder, fork.fork_size)
    log.info("resubmission_begins", epoch=fork.id, records=len(records))
    told = [await _bring(node, jws) for jws in records]
    content = msgspec.json.encode(told)
    await asyncio.to_thread(replace_file, archive.folder / REPORT, content)
    refused = [one for one in told if (one.state, one.outcome) != ("ordered", ACCEPTED)]
    log.info("resubmission_done", epoch=fork.id, accepted=len(told) - len(refused), refused=len(refused))


async def _bring(node: Node, jws: str) -> Resubmitted:
    """One record, until it is ordered or never can be. In their order: a device before what it signed."""
    payload = parse_record(jws, node.estate)
    while True:
        try:
            openings = (await node.openings.of_records([payload.id])).get(payload.id, {})
            work = await node.admit(jws, tuple(openings.values()))
            found = await node.submit(work, tuple(openings.values()), wait_ms=WAIT_MS)
            if found.state in ("ordered", "pending"):
                return Resubmitted(payload.id, payload.payload.kind, "ordered", found.outcome)
        except (Malformed, Unadmitted) as error:
            known = await node.find(payload.id)
            if known is not None:
                return Resubmitted(payload.id, payload.payload.kind, "ordered", known.outcome)
            return Resubmitted(payload.id, payload.payload.kind, "not_ordered", str(error))
        except (Busy, Stopped, RulesUnsupported):
            pass
        if node.now_ms() >= payload.payload.expires_ms and not node.is_waiting(payload.id):
            return Resubmitted(payload.id, payload.payload.kind, "not_ordered", "expired")
        await asyncio.sleep(PAUSE_S)
