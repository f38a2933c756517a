"""Bodies of derived entries that need more than rows: a motion's tally is computed from the openings a node holds."""

from __future__ import annotations

from typing import Any

from server.domain.agenda import Timer
from server.domain.motion import Motion
from server.domain.tally import TallyMotion, tally_body
from server.limits import BLOCK_TIMERS_MAX
from server.node.attachments import AttachmentDesk, Named, OpeningsLost
from server.record.rows import key
from server.record.signature import commitment_of
from server.storage.queries import Queries
from server.storage.rows import RowStore


class Derivations:
    """Computes what a due timer's entry says (decisions 4, 19)."""

    def __init__(self, rows: RowStore, queries: Queries, attachments: AttachmentDesk) -> None:
        self._rows = rows
        self._queries = queries
        self._attachments = attachments

    async def body(self, timer: Timer) -> dict[str, Any]:
        """The body of the entry. Raises OpeningsLost when this node lacks openings that it needs."""
        if timer.kind != TallyMotion.kind:
            return {}
        name = key(Motion, timer.key)
        motion = (await self._rows.load([name])).loaded[name]
        assert isinstance(motion, Motion), "a tally's timer is armed by its motion"
        ballots = await self._queries.ballots_of(motion.id)
        openings = await self._attachments.read_openings([ballot.record for ballot in ballots])
        lost = [
            (ballot.record, ballot.commitment)
            for ballot in ballots
            if commitment_of(openings.get(ballot.commitment, b"")) != ballot.commitment
        ]
        if lost:
            raise OpeningsLost(lost)
        return tally_body(motion, ballots, openings, await self._queries.deliveries_of(motion.id))

    async def lost(self, time_ms: int) -> list[Named]:
        """Openings that the tallies due by then need and that are not here."""
        found: list[Named] = []
        for timer in await self._rows.due_timers(time_ms, BLOCK_TIMERS_MAX):
            if timer.kind == TallyMotion.kind:
                ballots = await self._queries.ballots_of(timer.key)
                found += await self._attachments.lost([(ballot.record, ballot.commitment) for ballot in ballots])
        return found
