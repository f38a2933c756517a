"""The ledger's own tables: blocks, entries, the Merkle tree and cosignatures. Made by migrations, never derived.

The tree is kept as *tiles* of height 4: a row holds the 30 hashes of 16 adjacent nodes and of the three levels above
them. Against a row a node, 500 entries are 36 rows instead of 1,000; against C2SP's 256-wide tiles, a small block
rewrites 1 KB instead of 8 KB (which PostgreSQL would move out of line at every block), and no hash is computed to
answer a proof: at 1,000,000 entries an inclusion proof reads 5 to 9 tiles in one query.
"""

from __future__ import annotations

from tortoise import fields
from tortoise.models import Model

from server.storage.statements import table_of


class Block(Model):
    """A stored block. `header` is canonical JSON; `peaks` the frontier after it, 32 bytes each; height 0 is genesis."""

    height = fields.BigIntField(primary_key=True, generated=False)
    block_id = fields.CharField(max_length=43)
    header = fields.BinaryField()
    view = fields.BigIntField()
    new_view = fields.CharField(max_length=64)
    certificate = fields.BinaryField()
    first_index = fields.BigIntField()
    size = fields.BigIntField()
    root = fields.BinaryField()
    peaks = fields.BinaryField()
    state_digest = fields.CharField(max_length=43)
    time_ms = fields.BigIntField()

    class Meta:
        table = "block"
        indexes = (("size",),)


class Entry(Model):
    """A log entry. `record` is the record's id or the derived entry's; `author` is empty for a derived one.

    The id is not unique: whatever a faulty primary orders twice must be stored twice, or this node would stand still.
    """

    index = fields.BigIntField(primary_key=True, generated=False)
    height = fields.BigIntField()
    record = fields.CharField(max_length=43)
    kind = fields.CharField(max_length=64)
    author = fields.CharField(max_length=40)
    outcome = fields.CharField(max_length=64)
    content = fields.BinaryField()

    class Meta:
        table = "entry"
        indexes = (("record",), ("author", "index"))


class Tile(Model):
    """Sixteen nodes of level 4 x tier and the 14 above them. Id: tier x 2^48 + number of the tile."""

    id = fields.BigIntField(primary_key=True, generated=False)
    hashes = fields.BinaryField()

    class Meta:
        table = "tile"


class Cosignature(Model):
    """A member's line under the checkpoint of a size. Id: `<size>/<member>`."""

    id = fields.CharField(max_length=64, primary_key=True)
    size = fields.BigIntField()
    member = fields.CharField(max_length=16)
    root = fields.CharField(max_length=43)
    line = fields.TextField()

    class Meta:
        table = "cosignature"
        indexes = (("size",),)


class Transcript(Model):
    """What must be kept beside the log for ever, by digest: NEW-VIEWs (consensus.md 1.3) and evidence messages."""

    digest = fields.CharField(max_length=64, primary_key=True)
    kind = fields.CharField(max_length=32)
    content = fields.BinaryField()

    class Meta:
        table = "transcript"


class RowBefore(Model):
    """A row as it was when the state began to be hashed, if it changed since. Id `<table>/<row id>`; the line is as in
    `domain.state_root`, empty for a row that was not there."""

    id = fields.CharField(max_length=320, primary_key=True)
    line = fields.BinaryField()

    class Meta:
        table = "row_before"


class DerivedTable(Model):
    """Which shape each table of rows was made for, so that a changed shape is noticed and replayed."""

    name = fields.CharField(max_length=255, primary_key=True)
    fingerprint = fields.CharField(max_length=64)

    class Meta:
        table = "derived_table"


BLOCK = table_of(Block)
ENTRY = table_of(Entry)
TILE = table_of(Tile)
COSIGNATURE = table_of(Cosignature)
TRANSCRIPT = table_of(Transcript)
ROW_BEFORE = table_of(RowBefore)
DERIVED_TABLE = table_of(DerivedTable)
