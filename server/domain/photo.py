"""Pictures that records name: whose they are, and which of them all owners may look at.

Hashes stand in the log for all members to read: naming a picture of somebody else's gives no right to it. It must not
know where pictures are kept.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from server.record.kind import Context
from server.record.rows import Key, Row, Rows, key
from server.record.shape import PhotoRef


class PhotoOwner(Row, frozen=True):
    """Who named a photo first. The id is the photo's."""

    table: ClassVar[str] = "photo_owner"
    member: str


class Document(Row, frozen=True):
    """A page that every verified owner may read: a budget, a contract, minutes. Id `<photo>/<record>`."""

    table: ClassVar[str] = "document"
    indexes: ClassVar[tuple[tuple[str, ...], ...]] = (("photo",), ("subject",))
    photo: str
    subject: str
    """The record that it belongs to."""
    kind: str
    page: int


def claim_photo(rows: Rows, context: Context, photo: str) -> bool:
    """Is the picture the author's, or nobody's so far? Then it is his from now on."""
    owner = rows.get(PhotoOwner, photo)
    if owner is None:
        rows.put(PhotoOwner(photo, context.author))
    return owner is None or owner.member == context.author


def owner_keys(photos: Iterable[PhotoRef]) -> tuple[Key, ...]:
    """The rows that say whose pictures these are."""
    return tuple(key(PhotoOwner, photo) for photo in dict.fromkeys(photo.sha256 for photo in photos))


def document_keys(photos: Iterable[PhotoRef], record: str) -> tuple[Key, ...]:
    """The rows of the documents that a record names."""
    owners = owner_keys(photos)
    return (*owners, *(key(Document, owner.id, record) for owner in owners))


def own_documents(rows: Rows, context: Context, photos: Iterable[PhotoRef]) -> bool:
    """May the author show these pictures to all owners? Only what nobody else has named before."""
    owners = (rows.get(PhotoOwner, photo.sha256) for photo in photos)
    return all(owner is None or owner.member == context.author for owner in owners)


def file_documents(rows: Rows, context: Context, kind: str, photos: Iterable[PhotoRef]) -> None:
    """Keep pictures as documents of the record, in their order."""
    for page, photo in enumerate(photos):
        claim_photo(rows, context, photo.sha256)
        rows.put(Document(f"{photo.sha256}/{context.signed.id}", photo.sha256, context.signed.id, kind, page))
