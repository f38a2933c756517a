"""Evidence: what no honest member says (consensus.md 1.4): two statements of it, or one with a key that was retired.

Whoever has the members' keys verifies it, without trusting who brought it. It is kept for ever and ordered in the log.
Silence, lateness and a single odd statement are no evidence. EXECUTED never is: after a repair it may be said anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Annotated, Any, Final, Literal, get_args

from msgspec import Meta

from server.consensus.certificates import Certifier
from server.consensus.keyring import Keyring
from server.consensus.messages import (
    TYPES,
    BlockId,
    Body,
    Commit,
    Cosign,
    Count,
    NewView,
    Prepare,
    Signed,
    SignedBody,
    ViewChange,
    decode_body,
    read_body,
)
from server.consensus.packing import pack, unpack
from server.ledger.merkle import ProofError, verify_inclusion
from server.record.canonical import Malformed, b64u_decode, b64u_encode, decode, encode

Offence = Literal["double_vote", "double_new_view", "hidden_vote", "split_checkpoint", "retired_key"]
"""E1, E2, E3, E5 and E8 of consensus.md 1.4; the words are stored in the log."""
RETIRED_KEY: Final = "retired_key"
"""The one offence that names who had a key, and bars nobody: see `retirement`."""
COSIGN = "COSIGN"
EVIDENCE_BYTES_MAX = 64 * 1024
_SHAPES: dict[str, type[SignedBody]] = {TYPES[shape]: shape for shape in (Prepare, Commit, ViewChange, NewView)}


class Branch(Body, frozen=True):
    """An entry under a checkpoint: the leaf's hash at this index, and its inclusion proof (RFC 9162 2.1.3)."""

    index: Count
    leaf: BlockId
    proof: Annotated[tuple[BlockId, ...], Meta(max_length=64)]


@dataclass(frozen=True, slots=True)
class Statement:
    """What a member signed: its type (DESIGN.md 2.6), or COSIGN for a checkpoint line, which is its own signature."""

    type: str
    raw: bytes
    signature: bytes = b""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Two statements of `culprit`, in the one order that the offence gives them. `branches`: see `accuse_of_split`.

    Of a retired key: what was signed with it, the last entry of its epoch, and what shows that the one follows the
    other (`retirement`).
    """

    offence: Offence
    culprit: str
    first: Statement
    second: Statement
    branches: tuple[bytes, ...] = ()

    @property
    def packed(self) -> bytes:
        """Its bytes: what is kept, sent and hashed."""
        parts = [self.offence.encode(), self.culprit.encode()]
        for statement in (self.first, self.second):
            parts += [statement.type.encode(), statement.raw, statement.signature]
        return pack([*parts, *self.branches])

    @property
    def id(self) -> str:
        """SHA-256 of its bytes, in base64url."""
        return b64u_encode(sha256(self.packed).digest())

    @property
    def digests(self) -> tuple[str, str]:
        """SHA-256 of what was signed, in base64url: the entry in the log names the statements (decisions 9)."""
        first, second = (b64u_encode(sha256(one.raw).digest()) for one in (self.first, self.second))
        return first, second


def offence_of(first: SignedBody, second: SignedBody) -> Offence | None:
    """What it is that one member said both, in whichever order. None: an honest member may have."""
    if (first.sender, first.epoch) != (second.sender, second.epoch):
        return None
    if isinstance(first, Prepare | Commit) and isinstance(second, Prepare | Commit):
        same_place = (first.view, first.height) == (second.view, second.height)
        return "double_vote" if same_place and first.block_id != second.block_id else None
    if isinstance(first, NewView) and isinstance(second, NewView):
        return "double_new_view" if first.view == second.view and first != second else None
    if isinstance(first, ViewChange) and isinstance(second, Commit):
        return offence_of(second, first)
    if isinstance(first, Commit) and isinstance(second, ViewChange):
        return "hidden_vote" if _hides(second, first) else None
    return None


def _hides(change: ViewChange, vote: Commit) -> bool:
    """Whether a VIEW-CHANGE leaves out a COMMIT of an earlier view: neither its block nor a later view's is told.

    An honest member signs COMMIT only with a prepared certificate, which it keeps until the height commits, and never
    signs COMMIT in a view that it has left: the order in which the two were signed does not matter.
    """
    if change.view <= vote.view or change.last_height >= vote.height:
        return False
    tells_prepared = bool(change.prepared_block) and change.last_height + 1 == vote.height
    return not (tells_prepared and change.prepared_view >= vote.view)


def accuse(first: Signed[Any], second: Signed[Any]) -> Evidence | None:
    """The evidence that two statements are, if they are. Their signatures are the caller's to have checked."""
    offence = offence_of(first.body, second.body)
    if offence is None:
        return None
    ordered = sorted((first, second), key=lambda one: (isinstance(one.body, ViewChange), one.raw))
    statements = [Statement(TYPES[type(one.body)], one.raw, one.signature) for one in ordered]
    return Evidence(offence, first.body.sender, statements[0], statements[1])


def accuse_of_split(first: Cosign, second: Cosign, branches: Sequence[Branch] = ()) -> Evidence | None:
    """The evidence that two checkpoint lines of one member are (consensus.md 1.4, E5).

    Of one size they must have two roots. Of two sizes the branches show, in the order of the lines, two leaves at one
    index. The lines' signatures are the caller's to have checked; branches are looked at by `verify` only.
    """
    if first.member != second.member or (first.size == second.size and first.root == second.root):
        return None
    if len(branches) != (0 if first.size == second.size else 2):
        return None
    pairs = list(zip((first, second), branches or (None, None), strict=True))
    pairs.sort(key=lambda pair: encode(pair[0]))
    statements = [Statement(COSIGN, encode(line)) for line, _ in pairs]
    packed = tuple(encode(branch) for _, branch in pairs if branch is not None)
    return Evidence("split_checkpoint", first.member, statements[0], statements[1], packed)


def is_of_epoch(evidence: Evidence, epoch: int, first_size: int) -> bool:
    """Whether it was signed in this epoch, whose trees begin with `first_size`: what a key that was retired has signed
    says nothing of who holds the new one."""
    return all(_is_said_in(one, epoch, first_size) for one in (evidence.first, evidence.second))


def _is_said_in(statement: Statement, epoch: int, first_size: int) -> bool:
    if statement.type == COSIGN:
        return decode_body(Cosign, statement.raw).size >= first_size
    body = decode(statement.raw)
    return isinstance(body, dict) and body.get("epoch") == epoch


def unpack_evidence(data: bytes) -> Evidence:
    """The evidence of its bytes: shape only, see `verify`. Raises Malformed."""
    if len(data) > EVIDENCE_BYTES_MAX:
        raise Malformed("the evidence is too large")
    parts = unpack(data, most=10)
    if len(parts) not in ((8, 9) if parts[:1] == [RETIRED_KEY.encode()] else (8, 10)):
        raise Malformed("evidence has eight parts, or ten; of a retired key eight or nine")
    offence, culprit, *rest = parts
    words = [part.decode("ascii", "replace") for part in (offence, culprit, rest[0], rest[3])]
    if words[0] not in get_args(Offence):
        raise Malformed("no such offence")
    first, second = Statement(words[2], rest[1], rest[2]), Statement(words[3], rest[4], rest[5])
    return Evidence(words[0], words[1], first, second, tuple(rest[6:]))  # type: ignore[arg-type]


def verify_contradiction(evidence: Evidence, certifier: Certifier, keyring: Keyring) -> None:
    """Raise Malformed unless this proves that its culprit, a member, said two things that no honest member says."""
    if evidence.offence == "split_checkpoint":
        found = _verify_split(evidence, keyring)
    else:
        found = accuse(*(_read_signed(statement, certifier) for statement in (evidence.first, evidence.second)))
    if found != evidence:
        raise Malformed("the two statements are no evidence")


def read_statement(statement: Statement) -> Signed[Any]:
    """The signed body of a statement, unchecked. Raises Malformed."""
    shape = _SHAPES.get(statement.type)
    if shape is None:
        raise Malformed("a statement of this type is no evidence")
    return read_body(shape, statement.raw, statement.signature)


def _read_signed(statement: Statement, certifier: Certifier) -> Signed[Any]:
    signed = read_statement(statement)
    if not certifier.signed_once(signed):
        raise Malformed("a statement is not signed by the member")
    return signed


def _verify_split(evidence: Evidence, keyring: Keyring) -> Evidence | None:
    lines = [_read_line(statement, keyring) for statement in (evidence.first, evidence.second)]
    branches = [decode_body(Branch, data) for data in evidence.branches]
    if branches:
        _verify_branches(lines, branches)
    return accuse_of_split(lines[0], lines[1], branches)


def read_line(statement: Statement) -> Cosign:
    """The checkpoint line of a statement, unchecked. Raises Malformed."""
    if statement.type != COSIGN or statement.signature:
        raise Malformed("not a checkpoint line")
    return decode_body(Cosign, statement.raw)


def _read_line(statement: Statement, keyring: Keyring) -> Cosign:
    line = read_line(statement)
    if not keyring.verify_cosignature(line.member, line.size, b64u_decode(line.root, 32), line.line):
        raise Malformed("a line is not signed by the member")
    return line


def _verify_branches(lines: Sequence[Cosign], branches: Sequence[Branch]) -> None:
    """Two leaves at one index: whatever the sizes, one of the trees does not continue the other."""
    if branches[0].index != branches[1].index or branches[0].leaf == branches[1].leaf:
        raise Malformed("the two branches show no contradiction")
    try:
        for line, branch in zip(lines, branches, strict=True):
            proof = [b64u_decode(node, 32) for node in branch.proof]
            leaf, root = b64u_decode(branch.leaf, 32), b64u_decode(line.root, 32)
            verify_inclusion(leaf, branch.index, line.size, proof, root)
    except ProofError as error:
        raise Malformed(f"a branch does not hold: {error}") from None
