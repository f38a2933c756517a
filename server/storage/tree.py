"""The Merkle tree in the database: tiles of height 4, written in bulk with a block, read to answer proofs.

It knows levels, indexes and hashes: not what a leaf says. `ledger_tables.Tile` gives the reasons for the shape.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence

from server.ledger.merkle import consistency_proof, fold, inclusion_nodes
from server.storage.database import Database
from server.storage.ledger_tables import TILE
from server.storage.statements import Connection, change, find_rows

_HASH_BYTES = 32
_HEIGHT = 4
_WIDTH = 1 << _HEIGHT
_LEVEL_BEGIN = (0, 16, 24, 28)
"""Where the nodes of each of the four levels begin in a tile: 16 + 8 + 4 + 2 = 30 hashes."""
_TILE_HASHES = 30
_TIER_SHIFT = 48
_TIERS = 12
_EMPTY = bytes(_TILE_HASHES * _HASH_BYTES)
_CACHED_TILES_MAX = 2_048
"""Two megabytes: proofs of the newest 30,000 entries are answered from memory."""

Node = tuple[int, int]


def tile_place(level: int, index: int) -> tuple[int, int]:
    """(tile id, byte offset) of the perfect node (level, index)."""
    tier, above = divmod(level, _HEIGHT)
    tile = (tier << _TIER_SHIFT) + (index >> (_HEIGHT - above))
    slot = _LEVEL_BEGIN[above] + (index & ((_WIDTH >> above) - 1))
    return tile, slot * _HASH_BYTES


class TreeStore:
    """Mutable. Tiles of one log: the growing right edge and the tiles used last are in memory."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._edge: dict[int, bytes] = {}
        self._cached: OrderedDict[int, bytes] = OrderedDict()

    async def load_edge(self, size: int) -> None:
        """Read the tiles that the next leaf of a tree of `size` leaves will change."""
        counts = ((tier, size >> (tier * _HEIGHT)) for tier in range(_TIERS))
        wanted = [(tier << _TIER_SHIFT) + count // _WIDTH for tier, count in counts if count % _WIDTH]
        self._cached.clear()
        self._edge = await self._database.read(lambda connection: _read_tiles(connection, wanted))
        assert len(self._edge) == len(wanted), "a tile of the tree's edge is missing"

    def grow(self, nodes: Iterable[tuple[int, int, bytes]]) -> dict[int, bytes]:
        """The tiles as these new nodes make them. Nothing changes until `take`."""
        pages: dict[int, bytearray] = {}
        for level, index, node in nodes:
            tile, offset = tile_place(level, index)
            page = pages.get(tile)
            if page is None:
                page = pages[tile] = bytearray(self._edge.get(tile, _EMPTY))
            page[offset : offset + _HASH_BYTES] = node
        return {tile: bytes(page) for tile, page in pages.items()}

    def take(self, tiles: Mapping[int, bytes]) -> None:
        """After the block is durable: these tiles are the newest."""
        for tile, page in tiles.items():
            self._edge.pop(tile, None)
            if page[-_HASH_BYTES:] == _EMPTY[-_HASH_BYTES:]:
                self._edge[tile] = page
        self._remember(tiles)

    async def inclusion(self, index: int, size: int) -> list[bytes]:
        """The proof that leaf `index` stands in the tree of `size` leaves (RFC 9162 2.1.3.1). Both must be stored."""
        steps = inclusion_nodes(index, size)
        hashes = await self._hashes([node for step in steps for node in step])
        return [fold(step, lambda level, place: hashes[level, place]) for step in steps]

    async def consistency(self, size1: int, size2: int) -> list[bytes]:
        """The proof that the tree of `size1` leaves is a prefix of that of `size2` (RFC 9162 2.1.4.1)."""
        wanted: list[Node] = []

        def note(level: int, index: int) -> bytes:
            wanted.append((level, index))
            return _EMPTY[:_HASH_BYTES]

        consistency_proof(size1, size2, note)
        hashes = await self._hashes(wanted)
        return consistency_proof(size1, size2, lambda level, index: hashes[level, index])

    async def leaves(self, indexes: Iterable[int]) -> list[bytes]:
        """The hashes of these leaves, all of them stored."""
        wanted = [(0, index) for index in indexes]
        hashes = await self._hashes(wanted)
        return [hashes[node] for node in wanted]

    async def nodes(self, level: int, begin: int, end: int) -> list[bytes]:
        """The perfect nodes [begin, end) of a level, all of them stored: what C2SP's hash tiles are made of."""
        wanted = [(level, index) for index in range(begin, end)]
        hashes = await self._hashes(wanted)
        return [hashes[node] for node in wanted]

    async def _hashes(self, wanted: Sequence[Node]) -> dict[Node, bytes]:
        places = {node: tile_place(*node) for node in wanted}
        tiles = await self._tiles({tile for tile, _ in places.values()})
        return {node: tiles[tile][offset : offset + _HASH_BYTES] for node, (tile, offset) in places.items()}

    async def _tiles(self, wanted: set[int]) -> dict[int, bytes]:
        found = {tile: page for tile in wanted if (page := self._cached.get(tile) or self._edge.get(tile)) is not None}
        missing = wanted - found.keys()
        if missing:
            read = await self._database.read(lambda connection: _read_tiles(connection, missing))
            # A tile that was not complete when it was read may have grown since: only the edge knows the newest.
            self._remember({tile: page for tile, page in read.items() if page[-_HASH_BYTES:] != _EMPTY[-_HASH_BYTES:]})
            found.update(read)
        return found

    def _remember(self, tiles: Mapping[int, bytes]) -> None:
        for tile, page in tiles.items():
            self._cached[tile] = page
            self._cached.move_to_end(tile)
        while len(self._cached) > _CACHED_TILES_MAX:
            self._cached.popitem(last=False)


async def _read_tiles(connection: Connection, wanted: Iterable[int]) -> dict[int, bytes]:
    return {tile: bytes(page) for tile, page in await find_rows(connection, TILE, sorted(wanted))}


async def cut_tiles(connection: Connection, size: int) -> list[tuple[int, bytes]]:
    """Delete what a tree of `size` leaves does not hold; returns the tiles of its edge as they are to be put."""
    kept: list[tuple[int, bytes]] = []
    for tier in range(_TIERS):
        first = (tier << _TIER_SHIFT) + (size >> (_HEIGHT * (tier + 1)))
        for _, page in await find_rows(connection, TILE, [first]):
            cut = _cut_page(bytes(page), tier, size)
            kept += [(first, cut)] if cut != _EMPTY else []
        await change(connection, 'DELETE FROM "tile" WHERE "id" >= ? AND "id" < ?', first, (tier + 1) << _TIER_SHIFT)
    return kept


def _cut_page(page: bytes, tier: int, size: int) -> bytes:
    """The tile on the edge of a tree, without the nodes that are not whole there."""
    cut, number = bytearray(page), size >> (_HEIGHT * (tier + 1))
    for above, begin in enumerate(_LEVEL_BEGIN):
        held = (size >> (tier * _HEIGHT + above)) - (number << (_HEIGHT - above))
        end = begin + (_WIDTH >> above)
        cut[(begin + held) * _HASH_BYTES : end * _HASH_BYTES] = bytes((end - begin - held) * _HASH_BYTES)
    return bytes(cut)
