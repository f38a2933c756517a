"""The log as tiles (c2sp.org/tlog-tiles): hashes for everybody, entries for those who may see them (decisions 11).

`/tile/<L>/<N>[.p/<W>]`: L is the tile's level, N its number in groups of three digits (`x001/x234/067`), W the width of
a partial one. A tile that is served never changes: partial ones have their width in their name. Bundles are compressed
when the client says that it reads gzip (RFC 9110 12.5.3); hashes do not compress.
"""

from __future__ import annotations

import asyncio
import gzip
import re
import struct
from typing import Annotated

from msgspec import Meta

from server.api.call import Call
from server.api.errors import Declined
from server.api.log import READERS
from server.api.route import PUBLIC, Answer, Media, Path, Routes
from server.limits import ENTRY_BYTES_MAX

routes = Routes()
WIDTH = 256
HEIGHT = 8
"""Levels of the tree in one tile."""
LEVELS = 64
"""tlog-tiles: levels are 0 to 63. Those above what our integers count are well-formed, and never there."""
GZIP_LEVEL = 6
_PLACE = re.compile(r"((?:x[0-9]{3}/)*)([0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?")
_FOREVER = {"Cache-Control": "public, max-age=31536000, immutable", "Access-Control-Allow-Origin": "*"}
_LENGTH = struct.Struct(">H")
_CODING = re.compile(r"(gzip|x-gzip|\*)(?:\s*;\s*q=([01](?:\.[0-9]{0,3})?))?", re.IGNORECASE)
Level = Annotated[int, Path, Meta(ge=0, lt=LEVELS)]
TilePlace = Annotated[str, Path, Meta(max_length=60, pattern=r"^(x[0-9]{3}/)*[0-9]{3}(\.p/[1-9][0-9]{0,2})?$(?!\n)")]
Bytes = Annotated[Answer[bytes], Media("application/octet-stream")]

assert ENTRY_BYTES_MAX < 1 << 16


@routes.route("GET", "/tile/entries/{place:.*}", access=READERS, declines=("tile_unknown",))
async def show_entries(call: Call, place: TilePlace) -> Bytes:
    """An entry bundle: for each entry its length as u16, then its bytes. For verified members and auditors."""
    number, width = read_place(place)
    begin = number * WIDTH
    if begin + width > call.node.ledger.tip.size:
        raise Declined("tile_unknown")
    entries = await call.node.ledger.contents(begin, width)
    data = b"".join(_LENGTH.pack(len(entry)) + entry for entry in entries)
    headers = {"Cache-Control": "private, max-age=86400, immutable", "Vary": "Accept-Encoding, Authorization"}
    if not reads_gzip(call.request.headers.get("Accept-Encoding", "")):
        return Answer(data, headers=headers)
    # Beside the loop: a bundle may have 16 MB. Without a time in it, so that the same bundle is the same bytes.
    packed = await asyncio.to_thread(gzip.compress, data, GZIP_LEVEL, mtime=0)
    return Answer(packed, headers={**headers, "Content-Encoding": "gzip"})


@routes.route("GET", r"/tile/{level:0|[1-9][0-9]?}/{place:.*}", access=PUBLIC, declines=("tile_unknown",))
async def show_tile(call: Call, level: Level, place: TilePlace) -> Bytes:
    """A tile of hashes, 32 bytes each."""
    number, width = read_place(place)
    begin, tree_level = number * WIDTH, level * HEIGHT
    if begin + width > call.node.ledger.tip.size >> tree_level:
        raise Declined("tile_unknown")
    nodes = await call.node.ledger.tree_nodes(tree_level, begin, begin + width)
    return Answer(b"".join(nodes), headers=_FOREVER)


def reads_gzip(accept_encoding: str) -> bool:
    """Does a client with this header take gzip (RFC 9110 12.5.3)? A client that says nothing gets plain bytes."""
    parts = (_CODING.fullmatch(part.strip()) for part in accept_encoding.split(","))
    weights = {found[1].lower(): float(found[2] or 1) for found in parts if found}
    return weights.get("gzip", weights.get("x-gzip", weights.get("*", 0.0))) > 0


def read_place(place: str) -> tuple[int, int]:
    """(number, width) of a tile from its path. Raises Declined for a path that names none."""
    match = _PLACE.fullmatch(place)
    width = int(match[3] or WIDTH) if match else 0
    if match is None or not 0 < width <= WIDTH or (match[3] and width == WIDTH):
        raise Declined("tile_unknown")
    number = int(match[1].replace("x", "").replace("/", "") + match[2])
    if tile_path(number) != match[1] + match[2]:
        raise Declined("tile_unknown")
    return number, width


def tile_path(number: int) -> str:
    """A tile's number in groups of three digits, all but the last marked with x (tlog-tiles)."""
    text = f"{number % 1000:03d}"
    while number := number // 1000:
        text = f"x{number % 1000:03d}/{text}"
    return text
