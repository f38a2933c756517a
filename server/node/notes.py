"""Checkpoints as people bring them: the cosignatures of members under a note, for whoever makes evidence of them."""

from __future__ import annotations

from collections.abc import Sequence

from server.consensus.messages import Cosign
from server.ledger.checkpoint import CheckpointError, cosigner_name, note_line, parse_note
from server.record.canonical import Malformed, b64u_encode


def lines_of(origin: str, members: Sequence[str], text: str) -> dict[str, Cosign]:
    """The cosignatures of these members under a checkpoint, unverified. Raises Malformed."""
    try:
        note = parse_note(text, origin)
    except CheckpointError as error:
        raise Malformed(f"not a checkpoint of this log: {error}", "notes") from None
    names = {cosigner_name(origin, member): member for member in members}
    root, size = b64u_encode(note.checkpoint.root), note.checkpoint.size
    return {
        names[line.name]: Cosign(line=note_line(line), member=names[line.name], root=root, size=size)
        for line in note.lines
        if line.name in names
    }
