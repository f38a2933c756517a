"""What travels beside records: openings of private fields, and photos. Nothing is voted for before it is all here.

Openings come in the pre-prepare's frame; what is missing is asked of peers, checked by hash, for two seconds (decisions 3).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence

import structlog

from server.consensus.block import Block, pack_attachments, unpack_attachments
from server.domain.plan import RecordWork, parse_signed
from server.gateway.photos import PhotoFiles
from server.limits import OPENING_BYTES_MAX
from server.node.transport import CallFailed, Peers
from server.record.canonical import Malformed
from server.record.kind import private_fields_of
from server.record.shape import open_private
from server.record.signature import commitment_of
from server.storage.openings import Openings

log = structlog.get_logger()
PATIENCE_S = 2.0
RETRY_S = 0.2
ASKED_AT_ONCE = 500


class AttachmentsMissing(Exception):
    """Attachments that a proposal needs and that could not be had in time."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(f"{len(names)} attachments are missing")
        self.names = tuple(names)


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
    """Mutable. The attachments of one node."""

    def __init__(self, openings: Openings, photos: PhotoFiles, peers: Peers, estate: str) -> None:
        self._openings = openings
        self._photos = photos
        self._peers = peers
        self._estate = estate
        self._fetched: dict[str, bytes] = {}

    def serve(self) -> None:
        """Answer peers that ask for openings and photos."""
        self._peers.handle("openings", self._serve_openings)
        self._peers.handle("photo", self._serve_photo)
        self._peers.handle("photo-push", self._take_photo)

    async def check(self, works: Iterable[RecordWork], frame: Mapping[str, bytes]) -> None:
        """Raise AttachmentsMissing, or Malformed when one does not fit, unless everything that `works` name is here."""
        works = list(works)
        held = {**frame, **self._fetched}
        for work in works:
            check_openings(work, held)
        missing = await self._missing(works, held)
        if missing:
            raise AttachmentsMissing(missing)

    async def _missing(self, works: Sequence[RecordWork], held: Mapping[str, bytes]) -> list[str]:
        commitments = [name for work in works for name in work.signed.body.commitments() if name not in held]
        absent = await self._openings.absent(commitments) if commitments else []
        photos = [photo.sha256 for work in works for photo in work.signed.body.photos()]
        return [*absent, *(name for name in photos if not await self._photos.has(name))]

    def openings_of(self, works: Iterable[RecordWork], frame: Mapping[str, bytes]) -> list[tuple[str, bytes, str]]:
        """(commitment, opening, record id) to be stored with a block."""
        held = {**frame, **self._fetched}
        found = [
            (name, held[name], work.envelope.id)
            for work in works
            for name in work.signed.body.commitments()
            if name in held
        ]
        for name, _, _ in found:
            self._fetched.pop(name, None)
        return found

    async def attend(self, block: Block, proposer: str) -> None:
        """Fetch what a proposal needs, from its proposer first, for at most two seconds."""
        try:
            works = [parse_signed(item.decode("ascii"), self._estate) for item in block.items if item[:1] != b"{"]
        except (Malformed, UnicodeDecodeError):
            return
        frame = dict(block.attachments)
        missing = await self._missing(works, {**frame, **self._fetched})
        if not missing:
            return
        try:
            async with asyncio.timeout(PATIENCE_S):
                await self._fetch(missing, proposer)
        except TimeoutError:
            log.warning("attachments_not_found", height=block.height, missing=len(missing))

    async def _fetch(self, missing: list[str], proposer: str) -> None:
        left = missing
        while left:
            for member in sorted(self._peers.connected(), key=lambda peer: peer != proposer):
                await self._ask(member, left)
                left = await self._still_missing(left)
                if not left:
                    return
            await asyncio.sleep(RETRY_S)

    async def _still_missing(self, names: Sequence[str]) -> list[str]:
        openings = [name for name in names if _is_commitment(name) and name not in self._fetched]
        absent = await self._openings.absent(openings) if openings else []
        photos = [name for name in names if not _is_commitment(name) and not await self._photos.has(name)]
        return [*absent, *photos]

    async def _ask(self, member: str, names: Sequence[str]) -> None:
        commitments = [name for name in names if _is_commitment(name)][:ASKED_AT_ONCE]
        try:
            if commitments:
                answer = await self._peers.call(member, "openings", "\n".join(commitments).encode())
                for name, opening in unpack_attachments(answer):
                    if name in commitments and commitment_of(opening) == name:
                        self._fetched[name] = opening
            for name in names:
                if not _is_commitment(name):
                    await self._photos.keep(name, await self._peers.call(member, "photo", name.encode()))
        except (CallFailed, Malformed, ValueError, OSError) as error:
            log.info("attachment_not_there", member=member, reason=str(error)[:100])

    async def read_openings(self, commitments: Sequence[str]) -> dict[str, bytes]:
        """The openings that are held of these commitments."""
        stored = await self._openings.read(commitments)
        return {**{name: self._fetched[name] for name in commitments if name in self._fetched}, **stored}

    async def push_photo(self, sha256: str) -> list[str]:
        """Give a photo to every peer before a record names it. Returns the members that hold it now."""
        picture = await self._photos.read(sha256)
        members = self._peers.connected()
        calls = [self._peers.call(member, "photo-push", sha256.encode() + picture) for member in members]
        answers = await asyncio.gather(*calls, return_exceptions=True)
        return [member for member, answer in zip(members, answers, strict=True) if isinstance(answer, bytes)]

    async def _serve_openings(self, member: str, payload: bytes) -> bytes:
        names = payload.decode("ascii").split("\n")[:ASKED_AT_ONCE]
        found = await self.read_openings(names)
        return pack_attachments(tuple(found.items()))

    async def _serve_photo(self, member: str, payload: bytes) -> bytes:
        return await self._photos.read(payload.decode("ascii"))

    async def _take_photo(self, member: str, payload: bytes) -> bytes:
        await self._photos.keep(payload[:64].decode("ascii"), payload[64:])
        return b""


def _is_commitment(name: str) -> bool:
    return len(name) == 43
