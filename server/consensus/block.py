"""A block as replicas pass it around: header, items and small attachments, with the id that votes name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from server.consensus.packing import pack, unpack
from server.ledger.block import Header, block_id, entries_root
from server.limits import BLOCK_BYTES_MAX, BLOCK_ITEMS_MAX, ENTRY_BYTES_MAX, INTEGER_MAX, MIB, OPENING_BYTES_MAX
from server.record.canonical import Malformed, encode

Attachments = tuple[tuple[str, bytes], ...]
"""(name, bytes) of small attachments; the name is what the record commits to. Hashes are the driver's to check."""

ATTACHMENTS_MAX = 4 * BLOCK_ITEMS_MAX
ATTACHMENTS_BYTES_MAX = 2 * MIB
"""With the items these stay below the largest frame; who builds a block keeps to it."""
ATTACHMENT_NAME_BYTES_MAX = 64
_PREFIXES = 8
"""Two lengths, of a name and of its bytes."""
_HEADER = msgspec.json.Decoder(Header)


@dataclass(frozen=True, slots=True)
class Block:
    """A block with its id. The id binds header and items; attachments travel beside it (decisions 3)."""

    block_id: str
    header: Header
    items: tuple[bytes, ...]
    attachments: Attachments = ()

    @property
    def height(self) -> int:
        """Its number in the chain, from 1."""
        return self.header.height


def make_block(cluster_id: bytes, header: Header, items: Sequence[bytes], attachments: Attachments = ()) -> Block:
    """A block of this node's own making, with the attachments that fit its frame."""
    assert len(items) <= BLOCK_ITEMS_MAX
    assert header.entries_bytes <= BLOCK_BYTES_MAX
    return Block(block_id(cluster_id, header), header, tuple(items), fit_attachments(attachments))


def pack_block(block: Block) -> bytes:
    """Header, items and attachments, for a frame or the journal."""
    return pack([encode(block.header), pack(block.items), pack_attachments(block.attachments)])


def unpack_block(cluster_id: bytes, data: bytes) -> Block:
    """The block of its bytes, whose header fits its items (DESIGN.md 2.4). Raises Malformed."""
    header_bytes, item_bytes, attachment_bytes = unpack(data, 3)
    header = read_header(header_bytes)
    items = tuple(unpack(item_bytes, most=BLOCK_ITEMS_MAX))
    total = sum(map(len, items))
    if total > BLOCK_BYTES_MAX or total != header.entries_bytes or any(len(item) > ENTRY_BYTES_MAX for item in items):
        raise Malformed("the items are too large, or not as long as the header says")
    if entries_root(items) != header.entries_root:
        raise Malformed("the items are not those of the header")
    return Block(block_id(cluster_id, header), header, items, unpack_attachments(attachment_bytes))


def read_header(data: bytes) -> Header:
    """The header of its canonical bytes. Raises Malformed."""
    try:
        header = _HEADER.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Malformed(f"not a header: {error}") from None
    if encode(header) != data:
        raise Malformed("not a canonical header")
    numbers = (header.entries_bytes, header.epoch, header.height, header.rules, header.time_ms)
    if not all(0 <= number <= INTEGER_MAX for number in numbers):
        raise Malformed("a number of the header is out of bounds")
    return header


def pack_attachments(attachments: Attachments) -> bytes:
    """Names and bytes, alternating, in the order of the names, each once."""
    return pack([part for name, data in sorted(dict(attachments).items()) for part in (name.encode(), data)])


def fit_attachments(attachments: Attachments) -> Attachments:
    """Those that a frame has room for, in the order of their names. The others are fetched from whoever proposed."""
    kept: list[tuple[str, bytes]] = []
    room = ATTACHMENTS_BYTES_MAX
    for name, data in sorted(dict(attachments).items()):
        room -= len(name) + len(data) + _PREFIXES
        if room < 0 or len(kept) == ATTACHMENTS_MAX:
            break
        if len(data) <= OPENING_BYTES_MAX:
            kept.append((name, data))
    return tuple(kept)


def unpack_attachments(data: bytes) -> Attachments:
    """The attachments of their bytes: ASCII names, each once, in order, 4 KiB at most. Raises Malformed."""
    parts = unpack(data, most=2 * ATTACHMENTS_MAX)
    if len(parts) % 2:
        raise Malformed("an attachment lacks its bytes")
    found = []
    for name, content in zip(parts[::2], parts[1::2], strict=True):
        if not name.isascii() or not 0 < len(name) <= ATTACHMENT_NAME_BYTES_MAX or len(content) > OPENING_BYTES_MAX:
            raise Malformed("an attachment's name or size is out of bounds")
        found.append((name.decode(), content))
    if len(data) > ATTACHMENTS_BYTES_MAX:
        raise Malformed("the attachments are too large together")
    names = [name for name, _ in found]
    if names != sorted(dict.fromkeys(names)):
        raise Malformed("attachments must stand in the order of their names, each once")
    return tuple(found)
