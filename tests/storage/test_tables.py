"""Tables of rows follow from the shapes of the domain, whatever shapes come."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest
import tortoise.models

from server.domain import ROWS
from server.record.rows import Row
from server.storage.database import Database, DatabaseFault
from server.storage.statements import Batch, change, find_rows
from server.storage.tables import ROW_TABLES, RowTable, creation_statements, fingerprint
from server.storage.tree import tile_place


class Sample(Row, frozen=True):
    """A shape that nobody told storage about."""

    table: ClassVar[str] = "sample"
    indexes: ClassVar[tuple[tuple[str, ...], ...]] = (("index", "key"), ("flag",))
    index: int
    key: str
    flag: bool
    names: tuple[str, ...] = ()


class Renamed(Row, frozen=True):
    """The same with another column."""

    table: ClassVar[str] = "sample"
    indexes: ClassVar[tuple[tuple[str, ...], ...]] = Sample.indexes
    index: int
    key: str
    flag: bool
    titles: tuple[str, ...] = ()


class Floating(Row, frozen=True):
    """A shape that no row may have."""

    table: ClassVar[str] = "floating"
    share: float


SAMPLE = RowTable(Sample)


def test_every_shape_of_the_domain_has_its_table() -> None:
    assert set(ROW_TABLES) == set(ROWS)
    for name, table in ROW_TABLES.items():
        assert table.table.columns == ROWS[name].__struct_fields__
        assert issubclass(table.model, tortoise.models.Model)


async def test_new_shape_is_stored_without_a_word_about_it(database: Database, dialect: str) -> None:
    rows = [Sample(f"id/{place}", 2**53 - place, "键", place == 1, ("a", '"', "二")[:place]) for place in range(3)]
    batch = Batch()
    batch.put(SAMPLE.table, [SAMPLE.values(row) for row in rows])
    for statement in creation_statements(SAMPLE, postgres=dialect == "postgres"):
        await database.run(lambda connection, sql=statement: change(connection, sql))
    await database.run(batch.run)
    found = await database.read(lambda connection: find_rows(connection, SAMPLE.table, [row.id for row in rows]))
    assert sorted((SAMPLE.row(record) for record in found), key=lambda row: row.id) == rows


def test_shape_with_other_types_is_refused() -> None:
    with pytest.raises(TypeError, match=r"Floating\.share"):
        RowTable(Floating)


def test_changed_shape_has_another_fingerprint() -> None:
    assert fingerprint(Sample) != fingerprint(Renamed)
    assert len({fingerprint(shape) for shape in ROWS.values()}) == len(ROWS)


def test_nodes_of_four_levels_share_a_tile() -> None:
    assert tile_place(0, 0) == (0, 0)
    assert tile_place(0, 31) == (1, 15 * 32)
    assert tile_place(3, 3) == (1, 29 * 32)
    assert tile_place(4, 17) == ((1 << 48) + 1, 32)
    places = {tile_place(level, index) for level in range(8) for index in range(256 >> level)}
    assert len(places) == 510, "no two nodes share a place"


async def test_one_process_uses_one_dialect(tmp_path: Path, postgres_url: str) -> None:
    async with await Database.open(f"sqlite://{tmp_path / 'node.db'}"):
        with pytest.raises(DatabaseFault, match="at the same time"):
            await Database.open(postgres_url)
    async with await Database.open(postgres_url) as database:
        assert database.dialect == "postgres"
