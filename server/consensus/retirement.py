"""Evidence of a retired key: one signature that its owner cannot have made before the key was retired (E8).

A key is retired where an epoch ends (consensus.md 2.9). That a signature names a size or a height past the end proves
nothing yet: at a fork an honest member that the other side puts out goes on signing its own side. What no honest member
signs is the *following* of that very end: a tree in which the last entry of the epoch stands where it stood, or a block
right behind the last one. Whoever signs that has executed the end, and with it knew that its key was good no more; an
honest replica stops there, before it signs anything (DESIGN.md D33). A lagging member stands before the end, and signs
neither.

It must not know who tells whom, nor what follows from it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from server.consensus.block import read_header
from server.consensus.config import Config, Ending
from server.consensus.evidence import COSIGN, RETIRED_KEY, Branch, Evidence, Statement, read_line, read_statement
from server.consensus.keyring import Keyring
from server.consensus.messages import TYPES, Commit, Cosign, Prepare, Signed, ViewChange, decode_body
from server.ledger.block import block_id
from server.ledger.merkle import ProofError, leaf_hash, verify_inclusion
from server.record.canonical import Malformed, b64u_decode, b64u_encode, encode

ENTRY = "ENTRY"
"""Type of the second statement: the last entry of the epoch, as the log has it. Nobody's signature is on it."""


def accuse_of_line(ending: Ending, line: Cosign, proof: Iterable[bytes]) -> Evidence:
    """The evidence that a checkpoint line with a retired key is. `proof`: of the epoch's last entry in its tree.

    Nothing is verified yet.
    """
    leaf = b64u_encode(leaf_hash(ending.entry))
    branch = Branch(index=ending.size - 1, leaf=leaf, proof=tuple(map(b64u_encode, proof)))
    return _evidence(ending, line.member, Statement(COSIGN, encode(line)), encode(branch))


def accuse_of_vote(config: Config, ending: Ending, statement: Signed[Any], header: bytes = b"") -> Evidence | None:
    """The evidence that a vote, or a VIEW-CHANGE, with a retired key is, if it follows the end of the epoch.

    `header`: of the block voted for, when it is at hand. The signature is the caller's to have checked.
    """
    if not _follows(config, ending, statement.body, header):
        return None
    said = Statement(TYPES[type(statement.body)], statement.raw, statement.signature)
    shown = () if isinstance(statement.body, ViewChange) else (header,)
    return _evidence(ending, statement.body.sender, said, *shown)


def _evidence(ending: Ending, culprit: str, said: Statement, *shown: bytes) -> Evidence:
    return Evidence(RETIRED_KEY, culprit, said, Statement(ENTRY, ending.entry), shown)


def _follows(config: Config, ending: Ending, body: Any, header: bytes) -> bool:
    """Whether who signs this body has stored the last block of the epoch: it leaves a view above it, or votes for a
    block that names it as the one before. Votes further up would need every header in between, and are left alone."""
    if isinstance(body, ViewChange):
        return (body.last_height, body.last_block) == (ending.height, ending.block_id)
    if not isinstance(body, Prepare | Commit) or body.height != ending.height + 1 or not header:
        return False
    try:
        read = read_header(header)
    except Malformed:
        return False
    named = (read.height, read.prev, block_id(config.cluster_id, read))
    return named == (body.height, ending.block_id, body.block_id)


def ending_of(config: Config, evidence: Evidence) -> Ending:
    """Where the epoch ended that evidence of a retired key is about. Raises Malformed for an end that is none here."""
    found = [one for one in config.endings if one.entry == evidence.second.raw]
    if evidence.offence != RETIRED_KEY or not found:
        raise Malformed("no epoch ended with this entry")
    return found[0]


def verify_retired(evidence: Evidence, config: Config, keyring: Keyring) -> None:
    """Raise Malformed unless this proves that its culprit signed with a retired key what no honest member signs.

    Whoever knows the members from genesis on, and the last entry of each epoch, verifies it: `config.endings`.
    """
    ending = ending_of(config, evidence)
    if evidence.first.type == COSIGN:
        found: Evidence | None = _verify_line(evidence, ending, keyring)
    else:
        found = _verify_vote(evidence, ending, config, keyring)
    if found != evidence:
        raise Malformed("the statement is no evidence of a retired key")


def _verify_line(evidence: Evidence, ending: Ending, keyring: Keyring) -> Evidence:
    line = read_line(evidence.first)
    root = b64u_decode(line.root, 32)
    if line.member not in ending.cosigners:
        raise Malformed("the key was not retired there")
    if not keyring.verify_line_of(line.member, ending.epoch, line.size, root, line.line):
        raise Malformed("the line is not signed with the retired key")
    if len(evidence.branches) != 1:
        raise Malformed("a line is shown with one branch")
    proof = [b64u_decode(node, 32) for node in decode_body(Branch, evidence.branches[0]).proof]
    try:
        verify_inclusion(leaf_hash(ending.entry), ending.size - 1, line.size, proof, root)
    except ProofError as error:
        raise Malformed(f"its tree does not hold the end of the epoch: {error}") from None
    return accuse_of_line(ending, line, proof)


def _verify_vote(evidence: Evidence, ending: Ending, config: Config, keyring: Keyring) -> Evidence | None:
    signed = read_statement(evidence.first)
    if signed.body.sender not in ending.voters:
        raise Malformed("the key was not retired there")
    if not is_signed_then(signed, ending, keyring):
        raise Malformed("the statement is not signed with the retired key")
    return accuse_of_vote(config, ending, signed, b"".join(evidence.branches[:1]))


def is_signed_then(signed: Signed[Any], ending: Ending, keyring: Keyring) -> bool:
    """Whether the retired key signed it, whatever epoch it says that it is of."""
    type_ = TYPES[type(signed.body)]
    return keyring.verify(signed.body.sender, ending.epoch, type_, signed.raw, signed.signature)
