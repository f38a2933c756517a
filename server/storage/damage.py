"""Damage of a SQLite file, looked for before the node reads it: pages that do not hold together, a file cut short.

SQLite keeps no checksums: a byte flipped inside a text is found by comparing with the ledger's tree when it is read
(`Ledger`), and inside a row by `scripts/replay.py --data`. It must not know what is stored.
"""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path

CHECK_S_MAX = 20.0
"""A start must end: what a larger file has beyond that is found when it is read. Some gigabytes are looked through."""
_STEPS = 100_000
_CHECK = "PRAGMA quick_check(1)"


def find_damage(path: Path, seconds_max: float = CHECK_S_MAX) -> str:
    """What is wrong with a SQLite file, in SQLite's words; empty when nothing was found in the time given."""
    if not path.exists() or path.stat().st_size == 0:
        return ""
    end_s = time.monotonic() + seconds_max
    try:
        with closing(sqlite3.connect(path)) as database:
            database.set_progress_handler(lambda: time.monotonic() > end_s, _STEPS)
            [(said,)] = database.execute(_CHECK).fetchall()
    except sqlite3.DatabaseError as error:
        is_damage = error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
        if error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT:
            return ""
        if not is_damage:
            raise
        return str(error)
    return "" if said == "ok" else str(said)
