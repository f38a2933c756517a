"""What travels beside records: openings of private fields, and photos. Nothing is voted for before it is all here.

Openings come in the pre-prepare's frame; what is missing is asked of peers, checked by hash, for two seconds
(decisions 3). Openings of ordered records that this node has lost are got back the same way when a tally needs them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress

import structlog

from server.consensus.block import pack_attachments, unpack_attachments
from server.domain.plan import RecordWork
from server.limits import OPENING_BYTES_MAX
from server.node.photo_desk import PhotoDesk
from server.node.pool import Pool
from server.node.transport import CallFailed, Peers
from server.record.canonical import Malformed
from server.record.kind import private_fields_of
from server.record.shape import PhotoRef, open_private
from server.record.signature import commitment_of
from server.storage.openings import HeldOpening, OpeningStore

log = structlog.get_logger()
PATIENCE_S = 2.0
RETRY_S = 0.2
RESTORE_AGAIN_S = 1.0
"""Pause after a round over the peers that did not bring all that was lost."""
ASKED_AT_ONCE = 500
Named = tuple[str, str]
"""(record id, commitment)."""


class AttachmentsMissing(Exception):
    """Attachments that a proposal needs and that could not be had in time."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(f"{len(names)} attachments are missing")
        self.names = tuple(names)


class OpeningsLost(AttachmentsMissing):
    """Openings of ordered records are not here, though they were: a restored backup, a damaged database."""

    def __init__(self, lost: Sequence[Named]) -> None:
        super().__init__([name for _, name in lost])
        self.lost = tuple(lost)


def check_openings(work: RecordWork, openings: Mapping[str, bytes]) -> None:
    """Raise Malformed unless every opening that is here fits its commitment and its field's type."""
    body = work.signed.body
    for name, value_type in private_fields_of(type(body)).items():
        opening = openings.get(getattr(body, name))
        if opening is None:
            continue
        if len(opening) > OPENING_BYTES_MAX:
            raise Malformed("the opening is too large", name)
        try:
            open_private(value_type, getattr(body, name), opening)
        except Malformed as error:
            raise Malformed(error.detail, name) from None


class AttachmentDesk:
    """Mutable. The attachments of one node. `_fetched`: what came for the proposals of one height, by commitment."""

    def __init__(self, openings: OpeningStore, photos: PhotoDesk, peers: Peers, pool: Pool) -> None:
        self._openings = openings
        self._photos = photos
        self._peers = peers
        self._pool = pool
        self._fetched: dict[str, bytes] = {}
        self._restoring: asyncio.Task[list[Named]] | None = None

    async def close(self) -> None:
        """Stop what runs beside answers."""
        if self._restoring is not None:
            self._restoring.cancel()
            await asyncio.wait((self._restoring,))

    def serve(self) -> None:
        """Answer peers that ask for openings and photos."""
        self._peers.handle("openings", self._serve_openings)
        self._photos.serve()

    async def check(self, works: Iterable[RecordWork], frame: Mapping[str, bytes]) -> None:
        """Raise AttachmentsMissing, or Malformed when one does not fit, unless everything that `works` name is here."""
        works = list(works)
        held = self._at_hand(works, frame)
        for work in works:
            check_openings(work, held)
        absent = [name for _, name in await self._missing_openings(works, held)]
        absent += await self._photos.hold(_photo_refs(works))
        if absent:
            raise AttachmentsMissing(absent)

    async def hold_rest(self, works: Iterable[RecordWork], frame: Mapping[str, bytes], time_ms: int) -> None:
        """Make durable what a proposal needs and the frame, which the journal keeps, does not bring (decisions 3)."""
        works = list(works)
        held = self._at_hand(works, {})
        named = [(work.signed.id, name) for work in works for name in work.signed.body.commitments()]
        rest = [HeldOpening(record, name, held[name]) for record, name in named if name not in frame and name in held]
        if rest:
            await self._openings.hold(rest, time_ms)

    def _at_hand(self, works: Sequence[RecordWork], frame: Mapping[str, bytes]) -> dict[str, bytes]:
        """Openings in memory: fetched, come with records that wait here, or in the frame."""
        waiting = self._pool.openings_of(work.signed.id for work in works)
        return {**self._fetched, **dict(waiting), **frame}

    async def _missing_openings(self, works: Sequence[RecordWork], held: Mapping[str, bytes]) -> list[Named]:
        named = [(work.signed.id, name) for work in works for name in work.signed.body.commitments()]
        return await self.lost([pair for pair in named if pair[1] not in held])

    def given(self, works: Iterable[RecordWork], frame: Mapping[str, bytes]) -> dict[str, bytes]:
        """Openings by commitment that must be stored with a block; what is not given is stored already."""
        works = list(works)
        held = self._at_hand(works, frame)
        self._fetched = {}
        names = [name for work in works for name in work.signed.body.commitments()]
        return {name: held[name] for name in names if name in held}

    async def attend(self, works: Sequence[RecordWork], frame: Mapping[str, bytes], proposer: str) -> None:
        """Fetch what a proposal needs, from its proposer first, for at most two seconds."""
        openings = await self._missing_openings(works, self._at_hand(works, frame))
        photos = await self._photos.missing(photo.sha256 for photo in _photo_refs(works))
        try:
            async with asyncio.timeout(PATIENCE_S):
                while openings or photos:
                    openings, photos = await self._seek(openings, photos, proposer)
                    if openings or photos:
                        await asyncio.sleep(RETRY_S)
        except TimeoutError:
            log.warning("attachments_not_found", openings=len(openings), photos=len(photos))

    async def seek_photos(self, work: RecordWork) -> None:
        """Ask every peer once for the photos of a record that are not here: another node may have taken the upload."""
        photos = await self._photos.missing(photo.sha256 for photo in work.signed.body.photo_refs())
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_S):
                await self._seek([], photos, "")

    async def _seek(self, openings: list[Named], photos: list[str], first: str) -> tuple[list[Named], list[str]]:
        """One round over the peers, `first` first. Returns what nobody gave."""
        for member in sorted(self._peers.connected(), key=lambda peer: peer != first):
            if openings:
                openings = await self._seek_openings(member, openings)
            photos = [name for name in photos if not await self._photos.fetch(member, name)]
        return openings, photos

    async def _seek_openings(self, member: str, pairs: list[Named]) -> list[Named]:
        try:
            self._fetched.update(await self._ask_openings(member, pairs))
        except (CallFailed, Malformed) as error:
            log.info("opening_not_there", member=member, reason=str(error)[:100])
        return await self.lost([pair for pair in pairs if pair[1] not in self._fetched])

    async def _ask_openings(self, member: str, pairs: Sequence[Named]) -> dict[str, bytes]:
        """Openings that a peer has, by commitment, of the first few that are asked; only what fits what was asked."""
        asked = pairs[:ASKED_AT_ONCE]
        if not asked:
            return {}
        wanted = {name for _, name in asked}
        question = "\n".join(f"{record}/{name}" for record, name in asked).encode()
        answer = unpack_attachments(await self._peers.call(member, "openings", question))
        return {name: opening for name, opening in answer if name in wanted and commitment_of(opening) == name}

    async def lost(self, named: Sequence[Named]) -> list[Named]:
        """Which of these openings of ordered records are not stored here."""
        return await self._openings.missing(named) if named else []

    async def restore(self, lost: Sequence[Named], time_ms: int) -> list[Named]:
        """Get openings of ordered records back from the peers, each asked once, and keep them durably as they come.

        Returns what nobody within reach has. What came is kept also when this is cancelled.
        """
        left: list[Named] = []
        for begin in range(0, len(lost), ASKED_AT_ONCE):
            part = list(lost[begin : begin + ASKED_AT_ONCE])
            for member in self._peers.connected():
                part = await self._restore_from(member, part, time_ms)
            left += part
        log.info("openings_restored", count=len(lost) - len(left), missing=len(left))
        return left

    async def _restore_from(self, member: str, part: list[Named], time_ms: int) -> list[Named]:
        try:
            found = await self._ask_openings(member, part)
        except (CallFailed, Malformed) as error:
            log.info("opening_not_there", member=member, reason=str(error)[:100])
            return part
        held = [HeldOpening(record, name, found[name]) for record, name in part if name in found]
        if held:
            await self._openings.restore(held, time_ms)
        return [pair for pair in part if pair[1] not in found]

    def restore_soon(self, lost: Sequence[Named], time_ms: int) -> None:
        """Restore beside everything else, one round at a time. Raises what ended the round before, as a disk may."""
        if self._restoring is not None:
            if not self._restoring.done():
                return
            self._restoring.result()
        self._restoring = asyncio.create_task(self._restore_and_rest(lost, time_ms), name="restore-openings")

    async def _restore_and_rest(self, lost: Sequence[Named], time_ms: int) -> list[Named]:
        left = await self.restore(lost, time_ms)
        if left:
            await asyncio.sleep(RESTORE_AGAIN_S)
        return left

    async def read_openings(self, records: Iterable[str]) -> dict[str, bytes]:
        """The openings that are stored of these records, by commitment."""
        found = await self._openings.of_records(records)
        return {name: opening for openings in found.values() for name, opening in openings.items()}

    async def _serve_openings(self, member: str, payload: bytes) -> bytes:
        names = payload.decode("ascii").split("\n")[:ASKED_AT_ONCE]
        asked = {name.partition("/")[2] for name in names}
        records = [name.partition("/")[0] for name in names]
        found = await self.read_openings(records)
        held = {**self._fetched, **dict(self._pool.openings_of(records)), **found}
        return pack_attachments(tuple((name, held[name]) for name in sorted(asked) if name in held))


def _photo_refs(works: Iterable[RecordWork]) -> list[PhotoRef]:
    return [photo for work in works for photo in work.signed.body.photo_refs()]
