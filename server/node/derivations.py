"""Bodies of derived entries that need more than rows: a motion's tally is computed from the openings a node holds."""

from __future__ import annotations

from typing import Any

from server.domain.agenda import Timer
from server.domain.motion import Motion
from server.domain.tally import MissingOpening, TallyMotion, tally_body
from server.node.attachments import AttachmentDesk, AttachmentsMissing
from server.record.rows import key
from server.storage.queries import Queries
from server.storage.rows import RowStore


class Derivations:
    """Computes what a due timer's entry says (decisions 4, 19)."""

    def __init__(self, rows: RowStore, queries: Queries, attachments: AttachmentDesk) -> None:
        self._rows = rows
        self._queries = queries
        self._attachments = attachments

    async def body(self, timer: Timer) -> dict[str, Any]:
        """The body of the entry. Raises AttachmentsMissing when this node lacks an opening."""
        if timer.kind != TallyMotion.kind:
            return {}
        name = key(Motion, timer.key)
        motion = (await self._rows.load([name])).loaded[name]
        assert isinstance(motion, Motion), "a tally's timer is armed by its motion"
        ballots = await self._queries.ballots_of(motion.id)
        openings = await self._attachments.read_openings([ballot.record for ballot in ballots])
        try:
            return tally_body(motion, ballots, openings)
        except MissingOpening as error:
            raise AttachmentsMissing([str(error)]) from None
