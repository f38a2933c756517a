"""What outside witnesses signed: the file that `scripts/witness.py push` keeps in the node's data folder.

It was checked by whom it was made; here it must only be of this log, so that nobody is told a stranger's lines. It must
not know who the witnesses are: lines of unknown keys are ignored by everybody (signed-note).
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import msgspec
import structlog

from server.api.call import Call
from server.ledger.checkpoint import NOTE_BYTES_MAX, CheckpointError, parse_note

log = structlog.get_logger()
WITNESSED_FILE = "witnessed.checkpoint"
"""In the data folder (`node.data`)."""


class Witnessed(msgspec.Struct, frozen=True):
    """A checkpoint with the lines of outside witnesses. `lines`: every signature line of it, by the signer's name."""

    size: int
    root: bytes
    text: str
    lines: tuple[tuple[str, str], ...]


async def find_witnessed(call: Call) -> Witnessed | None:
    """The newest checkpoint of this very log that outside witnesses signed; None when there is none."""
    path = Path(call.node.config.node.data) / WITNESSED_FILE
    try:
        status = path.stat()
    except OSError:
        return None
    witnessed = _read(path, status.st_mtime_ns, status.st_size, call.node.genesis.origin)
    if witnessed is None or await call.node.ledger.root_at(witnessed.size) != witnessed.root:
        return None
    return witnessed


def with_lines(text: str, witnessed: Witnessed | None) -> str:
    """A checkpoint's text with the witnesses' lines, if it is the one that they signed."""
    if witnessed is None or not text.startswith(witnessed.text.partition("\n\n")[0] + "\n\n"):
        return text
    held = {line.split(" ")[1] for line in text.partition("\n\n")[2].splitlines()}
    return text + "".join(line + "\n" for name, line in witnessed.lines if name not in held)


@lru_cache(maxsize=4)
def _read(path: Path, changed_ns: int, size: int, origin: str) -> Witnessed | None:
    """The file as it was when it changed last: read once for each state of it."""
    if size > NOTE_BYTES_MAX:
        return None
    try:
        text = path.read_text("utf-8")
        note = parse_note(text, origin)
    except (OSError, UnicodeDecodeError, CheckpointError) as error:
        log.warning("witnessed_checkpoint_unreadable", path=str(path), reason=str(error))
        return None
    rows = text.rpartition("\n\n")[2].splitlines()
    lines = tuple((line.name, row) for line, row in zip(note.lines, rows, strict=True))
    return Witnessed(note.checkpoint.size, note.checkpoint.root, text, lines)
