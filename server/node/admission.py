"""Admission: what may wait to be ordered. Shape, known key, signature, and every attachment; never a rule.

A record that a rule would refuse is admitted all the same: its refusal is ordered and has a receipt (decisions 14).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from server.consensus.block import Attachments
from server.domain.member import BindDevice, Device
from server.domain.plan import RecordWork, parse_signed
from server.domain.rules import Rules
from server.limits import OPENINGS_MAX
from server.node.attachments import AttachmentDesk, AttachmentsMissing, check_openings
from server.record.canonical import Malformed
from server.record.envelope import is_signed_by
from server.record.rows import key
from server.record.signature import commitment_of
from server.storage.rows import RowStore

KEY_PATIENCE_S = 1.0
"""How long a record waits for its `device.bind` to be stored here: nodes run apart by a block, and a phone that was
bound through one may post its next record to another."""
KEY_RETRY_S = 0.05


class Unadmitted(Exception):
    """A record that is never ordered."""


class Unauthorised(Unadmitted):
    """Its key is not known to the ledger, or its signature is wrong."""


class AttachmentMissing(Unadmitted):
    """It names attachments that were not sent."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(f"{len(names)} attachments are missing")
        self.names = tuple(names)


class Admission:
    """Judges records before they wait to be ordered."""

    def __init__(self, rows: RowStore, attachments: AttachmentDesk, estate: str, rules: Callable[[], Rules]) -> None:
        """`rules` tells those of the next block."""
        self._rules = rules
        self._rows = rows
        self._attachments = attachments
        self._estate = estate

    def pairs(self, work: RecordWork, openings: Sequence[bytes]) -> Attachments:
        """Openings with their commitments. Raises Malformed for one that the record does not name."""
        if len(openings) > OPENINGS_MAX:
            raise Malformed("too many openings", "openings")
        named = dict.fromkeys(work.signed.body.commitments())
        pairs = {commitment_of(opening): opening for opening in openings}
        for name in pairs:
            if name not in named:
                raise Malformed("an opening fits no commitment of the record", "openings")
        return tuple(sorted(pairs.items()))

    def admit_at_once(self, jws: str, openings: Sequence[bytes]) -> tuple[RecordWork, Attachments] | None:
        """Judge with what is in memory; None when key or attachments must be looked for, and `admit` asked.

        Raises Malformed or Unauthorised.
        """
        work = parse_signed(jws, self._estate, self._rules())
        pairs = self.pairs(work, openings)
        check_openings(work, dict(pairs))
        body = work.signed.body
        point = self._point_at_hand(work)
        if point is None or len(pairs) < len(set(body.commitments())) or body.photo_refs():
            return None
        if not is_signed_by(work.envelope, point):
            raise Unauthorised("the signature is wrong")
        return work, pairs

    async def admit(self, jws: str, openings: Sequence[bytes]) -> tuple[RecordWork, Attachments]:
        """Parse and judge; the record with its openings by commitment.

        A key that is not known is waited for a moment, and photos are sought at the peers.
        Raises Malformed, Unauthorised or AttachmentMissing.
        """
        found = self.admit_at_once(jws, openings)
        if found is not None:
            return found
        work = parse_signed(jws, self._estate, self._rules())
        pairs = self.pairs(work, openings)
        point = await self._point(work)
        if not is_signed_by(work.envelope, point):
            raise Unauthorised("the signature is wrong")
        await self._attachments.seek_photos(work)
        try:
            await self._attachments.check([work], dict(pairs))
        except AttachmentsMissing as error:
            raise AttachmentMissing(error.names) from None
        return work, pairs

    def _point_at_hand(self, work: RecordWork) -> bytes | None:
        body = work.signed.body
        if isinstance(body, BindDevice):
            if body.device_key.thumbprint() != work.signed.kid:
                raise Unauthorised("the record is not signed by the key that it binds")
            return body.device_key.point()
        device = self._rows.peek(key(Device, work.signed.kid))
        return device.point() if isinstance(device, Device) else None

    async def _point(self, work: RecordWork) -> bytes:
        point = self._point_at_hand(work)
        name, patience_s = key(Device, work.signed.kid), KEY_PATIENCE_S
        while point is None:
            device = (await self._rows.load([name])).loaded[name]
            if isinstance(device, Device):
                return device.point()
            if patience_s <= 0:
                raise Unauthorised("no device with this key is known")
            patience_s -= KEY_RETRY_S
            await asyncio.sleep(KEY_RETRY_S)
        return point
