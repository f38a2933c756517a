"""Photos: cleaned before anybody signs for them, given to the peers at once, shown by right (decisions 3, 16)."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from server.api.call import Call
from server.api.errors import Declined
from server.api.route import Answer, Header, Media, Path, Query, Routes, Upload
from server.api.tickets import may_see
from server.domain.photo import Document
from server.domain.ticket import Ticket
from server.gateway.photo_cleaning import UPLOAD_BYTES_MAX, PhotoRefused
from server.gateway.photo_workshop import WorkshopBusy
from server.gateway.photos import PhotoCorrupted, PhotoMissing
from server.limits import DAY_MS, MIB
from server.record.shape import Hex256

routes = Routes()
QUOTA_BYTES = 100 * MIB
"""Cleaned pictures that one member uploads at one node in a day: some two hundred."""
BUSY_RETRY_S = 5
Size = Literal["full", "thumbnail"]


class UploadedPhoto(msgspec.Struct, frozen=True):
    """A cleaned picture: what a record names, and where the phone finds the small one to show before signing."""

    sha256: str
    original_sha256: str
    width: int
    height: int
    size: int
    thumbnail: str


@routes.route(
    "POST",
    "/api/v1/photos",
    declines=("photo_too_large", "photo_not_readable", "photo_damaged", "photo_quota"),
)
async def upload_photo(
    call: Call, photo: Annotated[bytes, Upload("photo", UPLOAD_BYTES_MAX, "photo_too_large")]
) -> UploadedPhoto:
    """Upload a photo of at most 12 MB; the answer names the cleaned picture, which the record must name too."""
    since_ms = call.node.clock.now_ms() - DAY_MS
    if await call.node.photos.uploaded_bytes(call.caller.member, since_ms) >= QUOTA_BYTES:
        raise Declined("photo_quota", retry_after_s=3_600)
    try:
        cleaned = await call.node.workshop.clean(photo)
    except PhotoRefused as refused:
        raise Declined(refused.fault.value) from None
    except WorkshopBusy:
        raise Declined("too_many", retry_after_s=BUSY_RETRY_S) from None
    await call.node.photos.keep_upload(cleaned, call.caller.member)
    return UploadedPhoto(
        cleaned.sha256,
        cleaned.original_sha256,
        cleaned.width,
        cleaned.height,
        len(cleaned.jpeg),
        f"/api/v1/photos/{cleaned.sha256}?size=thumbnail",
    )


@routes.route("GET", "/api/v1/photos/{sha256}", declines=("photo_unknown",), also={304: None})
async def show_photo(
    call: Call,
    sha256: Annotated[Hex256, Path],
    size: Annotated[Size, Query] = "full",
    if_none_match: Annotated[str, Header] = "",
) -> Annotated[Answer[bytes | None], Media("image/jpeg")]:
    """A photo, to who uploaded it, to those who may see its ticket, and to verified members what is put before all.

    The thumbnail is a WebP.
    """
    if not await _may_see(call, sha256):
        raise Declined("photo_unknown")
    tag = f'"{sha256[:32]}-{size}"'
    headers = {"ETag": tag, "Cache-Control": "private, max-age=86400, immutable"}
    if tag in {one.strip() for one in if_none_match.split(",")}:
        return Answer(None, 304, headers)
    try:
        if size == "full":
            return Answer(await call.node.photos.read(sha256), headers=headers)
        return Answer(await _thumbnail(call, sha256), headers={**headers, "Content-Type": "image/webp"})
    except (PhotoMissing, PhotoCorrupted):
        raise Declined("photo_unknown") from None
    except WorkshopBusy:
        raise Declined("too_many", retry_after_s=BUSY_RETRY_S) from None


async def _thumbnail(call: Call, sha256: str) -> bytes:
    """The small picture; made anew for a photo that a peer gave."""
    try:
        return await call.node.photos.files.read_thumbnail(sha256)
    except (PhotoMissing, PhotoCorrupted):
        small = await call.node.workshop.shrink(await call.node.photos.read(sha256))
        await call.node.photos.files.keep_thumbnail(sha256, small)
        return small


async def _may_see(call: Call, sha256: str) -> bool:
    if call.caller.member in await call.node.photos.uploaders(sha256):
        return True
    if call.caller.verified and await call.node.queries.select(Document, photo=sha256, limit=1):
        return True
    for named in await call.node.queries.photo_tickets(sha256):
        ticket = await call.node.queries.get(Ticket, named.ticket)
        if ticket is not None and may_see(call.caller, ticket):
            return True
    return False
