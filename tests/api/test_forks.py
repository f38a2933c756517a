"""What became of a fork is told to everybody; the abandoned branch is shown to who may read the log."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from server.domain.resolution import ForkResolved
from server.node.resubmission import REPORT, Resubmitted, read_report
from server.record.rows import Key
from server.storage.rewinding import BLOCKS, ENTRIES, BranchArchive
from server.storage.statements import Batch
from tests.api.test_three_nodes import Estate, estate, raw

pytestmark = pytest.mark.asyncio(loop_scope="module")
__all__ = ["estate"]

FORK = ForkResolved(
    "1", index=9, time_ms=1_800_000_000_000, fork_height=4, fork_size=5, kept_height=6, kept_size=9,
    held_by=("committee",), culprits=("street",), abandoned=("B" * 42 + "A",), records=2,
)  # fmt: skip
TOLD = [
    Resubmitted("R" * 43, "ballot.cast", "ordered", "accepted"),
    Resubmitted("S" * 43, "points.redeem", "ordered", "points_short"),
    Resubmitted("T" * 43, "ticket.report", "not_ordered", "expired"),
]


def archive_at(estate: Estate, number: int) -> Path:
    """The archive of an abandoned branch, as a node has it that has brought its records again."""
    folder = BranchArchive(Path(estate.nodes[number].config.node.data), 1).folder
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in ((ENTRIES, b'{"index":0,"entry":"{}"}\n'), (BLOCKS, b"{}\n"), ("rewound", b"")):
        (folder / name).write_bytes(content)
    (folder / REPORT).write_bytes(msgspec.json.encode(TOLD))
    return folder


async def keep_row(estate: Estate, number: int) -> None:
    """What the log says of the fork, in this node's rows."""
    node = estate.nodes[number]
    batch = Batch()
    node.rows.flush(batch, {Key(FORK.table, FORK.id): FORK}, FORK.time_ms)
    await node.ledger.database.write(batch)


async def test_without_a_fork_there_is_nothing_to_tell(estate: Estate) -> None:
    assert await raw(estate, 0, "GET", "/api/v1/forks") == (200, {"forks": []})


async def test_everybody_is_told_what_was_kept_who_signed_both_and_what_was_brought_again(estate: Estate) -> None:
    archive_at(estate, 1)
    for number in (1, 2):
        await keep_row(estate, number)
    _, told = await raw(estate, 1, "GET", "/api/v1/forks")
    [fork] = told["forks"]
    assert (fork["epoch"], fork["fork_size"], fork["records"], fork["is_archived"]) == (1, 5, 2, True)
    assert fork["culprits"] == [{"id": "street", "name": "居委会"}]
    assert fork["kept_by"] == [{"id": "committee", "name": "业委会"}]
    assert fork["brought_again"]["accepted"] == 1
    assert [one["outcome"] for one in fork["brought_again"]["others"]] == ["points_short", "expired"]
    _, elsewhere = await raw(estate, 2, "GET", "/api/v1/forks")
    [same] = elsewhere["forks"]
    assert (same["is_archived"], same["brought_again"]) == (False, None)


async def test_the_archive_is_for_who_may_read_the_log_and_only_its_own_files(estate: Estate) -> None:
    folder = archive_at(estate, 1)
    (folder / "signer").write_bytes(b"what it had signed")
    officer = estate.officers[1]
    assert await officer.call("GET", f"/api/v1/forks/1/{ENTRIES}", node=1) == (folder / ENTRIES).read_bytes()
    assert (await raw(estate, 1, "GET", f"/api/v1/forks/1/{ENTRIES}"))[0] == 401
    for path in ("1/signer", "1/rewound", "2/entries.jsonl", "1/..%2f..%2fjournal", "x/entries.jsonl"):
        headers = {"Authorization": f"Bearer {officer.tokens[estate.urls[1]]}"}
        status, _ = await raw(estate, 1, "GET", f"/api/v1/forks/{path}", headers=headers)
        assert status in (400, 404), path


async def test_a_report_is_read_as_it_was_written(estate: Estate) -> None:
    archive_at(estate, 1)
    data = Path(estate.nodes[1].config.node.data)
    assert read_report(data, 1) == TOLD
    assert read_report(data, 7) is None
