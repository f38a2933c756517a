"""Checkpoint lines with retired keys made into evidence: the own log shows that the end of that epoch is in their tree.

What is evidence is for `server.consensus.retirement`; it must not know who brought a line.
"""

from __future__ import annotations

from collections.abc import Sequence

from server.consensus.config import Ending
from server.consensus.evidence import Evidence
from server.consensus.keyring import Keyring
from server.consensus.messages import Cosign
from server.consensus.retirement import accuse_of_line
from server.node.notes import lines_of
from server.record.canonical import Malformed, b64u_decode
from server.storage.ledger import Ledger


async def prove_line(ledger: Ledger, ending: Ending, line: Cosign) -> Evidence | None:
    """The evidence that a line with a retired key is; None when its tree is not one of the own log.

    The line's signature is the caller's to have checked.
    """
    root = b64u_decode(line.root, 32)
    if not ending.size <= line.size <= ledger.tip.size or await ledger.root_at(line.size) != root:
        return None
    return accuse_of_line(ending, line, await ledger.inclusion_proof(ending.size - 1, line.size))


async def accuse_of_note(
    ledger: Ledger, endings: Sequence[Ending], keyring: Keyring, origin: str, note: str
) -> list[Evidence]:
    """The evidence that a checkpoint is, one for each line under it with a retired key.

    Raises Malformed when the text is no checkpoint of this log, or proves nothing here: its keys were good, or its tree
    is not one that this node has.
    """
    members = sorted({member for ending in endings for member in ending.cosigners})
    lines = lines_of(origin, members, note).values()
    signed = [(ending, line) for line in lines for ending in endings if _is_of(ending, keyring, line)]
    found = [await prove_line(ledger, ending, line) for ending, line in signed]
    proved = [evidence for evidence in found if evidence is not None]
    if not proved:
        raise Malformed("nobody has signed this with a key that was retired before, as far as our log shows", "notes")
    return proved


def _is_of(ending: Ending, keyring: Keyring, line: Cosign) -> bool:
    root = b64u_decode(line.root, 32)
    return (
        line.member in ending.cosigners
        and line.size >= ending.size
        and keyring.verify_line_of(line.member, ending.epoch, line.size, root, line.line)
    )
