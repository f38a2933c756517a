"""Execute a whole log anew with the server's own code, from genesis, and compare everything with what the log says.

    python3 scripts/replay.py LOG_DIR_OR_URL [--token FILE]
    python3 scripts/replay.py --data NODE_DATA --genesis GENESIS

LOG_DIR is what scripts/export.py made. NODE_DATA is the data folder of a stopped node, which is only read: its blocks,
rows and snapshot are compared as well. Ends with size, root, digest, the newest hash of the whole state (if the log is
that long), time and records a second; exits 1 when anything comes out otherwise (height, index and what are named), 2
for what cannot be read.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import sqlite3
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]

import environment

if __name__ == "__main__":
    environment.reexec_in_environment()

from server.consensus.quorum import Quorum
from server.domain import RULEBOOK
from server.domain.rules import Rulebook
from server.domain.state_root import Schedule
from server.ledger.genesis import Genesis, parse_genesis
from server.ledger.membership import genesis_of_epoch
from server.ledger.merkle import ProofError
from server.ledger.policy import parse_policy, policy_text, verify_checkpoint
from server.record.canonical import Malformed, b64u_encode, encode
from server.storage.reexecution import LogDiffers, Reexecution, blocks_told
from server.storage.snapshots import find_difference
from server.storage.tables import ROW_TABLES
from verifier.source import Source, SourceError, open_source

EXIT_DIFFERS, EXIT_UNREAD = 1, 2
_BLOCKS = (
    'SELECT "height", "block_id", "size", "root", "state_digest" FROM "block" WHERE "height" > 0 ORDER BY "height"'
)
_ENTRIES = 'SELECT "index", "content" FROM "entry" ORDER BY "index"'


class Unread(Exception):
    """Something cannot be read; the message says what."""


def replay_log(source: Source, rulebook: Rulebook = RULEBOOK) -> Reexecution:
    """Execute an exported or served log, and compare it with its checkpoint. Raises LogDiffers, SourceError, Unread."""
    genesis, cluster_id = _parse_genesis(source.read("genesis.json"), "genesis.json")
    note = source.read("checkpoint").decode("utf-8", "replace")
    replayed = _execute(genesis, cluster_id, source.entries(), rulebook)
    try:
        standing = replayed.standing
        now = genesis_of_epoch(genesis, standing.epoch) if standing is not None else genesis
        policy = parse_policy(policy_text(now, Quorum(len(now.members), now.mode).quorum))
        checkpoint = verify_checkpoint(note, policy).checkpoint
    except ProofError as error:
        raise LogDiffers(replayed.end.height, replayed.end.size, f"the checkpoint does not hold: {error}") from None
    if replayed.roots.get(checkpoint.size) != checkpoint.root:
        what = f"the log does not lead to the checkpoint's root at size {checkpoint.size}"
        raise LogDiffers(replayed.end.height, replayed.end.size, what)
    return replayed


def replay_data(
    data: Path, genesis_path: Path, schedule: Schedule | None = None, rulebook: Rulebook = RULEBOOK
) -> Reexecution:
    """Execute the log in a stopped node's database and compare its blocks, its rows and its newest snapshot.

    Raises LogDiffers, Unread. `schedule`: at which heights the log tells states, if not as every node does.
    """
    try:
        genesis, cluster_id = _parse_genesis(genesis_path.read_bytes(), str(genesis_path))
        with _stopped(data), closing(_open(data / "node.db")) as database:
            replayed = _execute(genesis, cluster_id, _contents(database), rulebook, schedule)
            _compare_blocks(database, replayed)
            _compare_rows(database, replayed)
            _compare_snapshot(data, replayed)
            return replayed
    except sqlite3.Error as error:
        raise Unread(f"the database in {data} cannot be read: {error}") from None
    except OSError as error:
        raise Unread(f"cannot read {error.filename}: {error.strerror}") from None


def _execute(
    genesis: Genesis,
    cluster_id: bytes,
    contents: Iterator[bytes],
    rulebook: Rulebook,
    schedule: Schedule | None = None,
) -> Reexecution:
    with ThreadPoolExecutor(os.cpu_count() or 1) as threads:
        replayed = Reexecution(genesis, cluster_id, threads, schedule, rulebook)
        for told in blocks_told(contents):
            replayed.take(told)
        return replayed


def _parse_genesis(data: bytes, name: str) -> tuple[Genesis, bytes]:
    try:
        return parse_genesis(data)
    except Malformed as error:
        raise Unread(f"{name} is not a genesis file: {error}") from None


@contextmanager
def _stopped(data: Path) -> Iterator[None]:
    """Hold the node's own lock, so that it neither runs nor starts meanwhile. Raises Unread, OSError."""
    descriptor = os.open(data / "node.db.lock", os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise Unread(f"the node of {data} runs: stop it first, or give its address") from None
    finally:
        os.close(descriptor)


def _open(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)


def _contents(database: sqlite3.Connection) -> Iterator[bytes]:
    for expected, (index, content) in enumerate(database.execute(_ENTRIES)):
        if index != expected:
            raise LogDiffers(0, expected, f"the entry is missing; the next one is {index}")
        yield bytes(content)


def _compare_blocks(database: sqlite3.Connection, replayed: Reexecution) -> None:
    """The stored blocks' own words about the end, and each of their roots."""
    end, last = replayed.end, None
    for last in database.execute(_BLOCKS):
        height, _, size, root, _ = last
        if replayed.roots.get(size) != bytes(root):
            raise LogDiffers(height, size - 1, "the block's stored root is not that of its entries")
    found = (last[0], last[1], last[2], last[4]) if last else (0, end.block_id, 0, end.state_digest)
    if found != (end.height, end.block_id, end.size, end.state_digest):
        raise LogDiffers(end.height, end.size, f"the last stored block is {found}")


def _compare_rows(database: sqlite3.Connection, replayed: Reexecution) -> None:
    for table, row_table in ROW_TABLES.items():
        columns = ",".join(f'"{column}"' for column in row_table.table.columns)
        found = database.execute(f'SELECT {columns} FROM "{table}"')  # noqa: S608 - names of our own tables
        stored = {row.id: encode([table, row.id, row]) for row in map(row_table.row, found)}
        for name, _ in sorted(stored.items() ^ replayed.rows.of_table(table).items()):
            raise LogDiffers(replayed.end.height, replayed.end.size, f"the stored row {table}/{name} is another one")


def _compare_snapshot(data: Path, replayed: Reexecution) -> None:
    difference = find_difference(data / "snapshots", replayed.state) if replayed.state is not None else None
    if difference is not None:
        raise LogDiffers(replayed.end.height, replayed.end.size, difference)


def main(arguments: Sequence[str]) -> int:
    """Run the command line; return the exit code."""
    options = _parse(arguments)
    begin = time.monotonic()
    try:
        if options.data:
            replayed = replay_data(options.data, options.genesis)
        else:
            replayed = replay_log(
                open_source(options.place, options.token.read_text().strip() if options.token else "")
            )
    except LogDiffers as difference:
        print(f"DIFFERS: {difference}")
        return EXIT_DIFFERS
    except (SourceError, Unread, OSError, UnicodeDecodeError) as error:
        print(f"replay: {error}", file=sys.stderr)
        return EXIT_UNREAD
    spent_s = time.monotonic() - begin
    end = replayed.end
    print(f"size {end.size}\nheight {end.height}\nroot {b64u_encode(end.root)}\nstate_digest {end.state_digest}")
    if replayed.state is not None:
        print(f"state {replayed.state.height} {replayed.state.hash}")
    rate = replayed.records / spent_s
    print(f"{replayed.records} records in {spent_s:.1f} s, {rate:.0f} records/s: all as the log says")
    return 0


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="replay.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    place = parser.add_mutually_exclusive_group(required=True)
    place.add_argument("place", nargs="?", metavar="LOG_DIR_OR_URL", help="an export, or a node's address")
    place.add_argument("--data", type=Path, metavar="NODE_DATA", help="the data folder of a stopped node")
    parser.add_argument("--genesis", type=Path, help="genesis.json, with --data")
    parser.add_argument("--token", type=Path, help="file with an access token, for a node that asks for one")
    options = parser.parse_args(arguments)
    if bool(options.data) != bool(options.genesis):
        parser.error("--data and --genesis go together")
    return options


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
