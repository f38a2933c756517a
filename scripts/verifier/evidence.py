"""Evidence that a member contradicted itself (consensus.md 1.4; DESIGN.md D21), as a receipt carries it.

Length-prefixed parts: offence, culprit, two statements of three parts each, and two branches for checkpoints of two
sizes. Checkpoints are signed by the keys of the policy, votes by consensus keys, which genesis and its links name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from verifier.checkpoint import members_that_signed
from verifier.encoding import HASH_BYTES, Rejected, b64u, is_count, members, parse_canonical, sha256, unb64u
from verifier.merkle import check_inclusion
from verifier.policy import Policy
from verifier.signatures import is_member_signature
from verifier.succession import Era, era_of

BYTES_MAX = 64 * 1024
OFFENCES = {
    "double_vote": "voted for two blocks at one place",
    "double_new_view": "began one view in two ways",
    "hidden_vote": "hid a vote of its own",
    "split_checkpoint": "signed two histories",
}
"""What the culprit was caught doing, by the word in the log."""
_PREFIX_BYTES = 4
_SHAPES = {
    "PREPARE": "block_id epoch height sender view",
    "COMMIT": "block_id epoch height new_view sender view",
    "VIEW-CHANGE": "epoch last_block last_height prepared_block prepared_view sender view",
    "NEW-VIEW": "base_height block_id epoch sender view view_changes",
}
_COUNTS = frozenset({"base_height", "epoch", "height", "last_height", "prepared_view", "view"})
_MAY_BE_EMPTY = frozenset({"last_block", "new_view", "prepared_block"})


@dataclass(frozen=True)
class Statement:
    """What a member signed; a checkpoint line is its own signature."""

    type: str
    raw: bytes
    signature: bytes


@dataclass(frozen=True)
class Evidence:
    """Its shape holds; nothing is verified."""

    id: str
    offence: str
    culprit: str
    first: Statement
    second: Statement
    branches: list[bytes]

    @property
    def digests(self) -> list[str]:
        """SHA-256 of what was signed, in base64url, as the log names it."""
        return [b64u(sha256(self.first.raw)), b64u(sha256(self.second.raw))]


def parse_evidence(data: bytes) -> Evidence:
    """Take evidence apart; Rejected with fault `barring`."""
    parts = _unpack(data)
    if len(data) > BYTES_MAX or len(parts) not in (8, 10):
        raise Rejected("barring", "evidence has eight parts, or ten")
    words = [parts[at].decode("ascii", "replace") for at in (0, 1, 2, 5)]
    if words[0] not in OFFENCES:
        raise Rejected("barring", "no such offence")
    first, second = Statement(words[2], parts[3], parts[4]), Statement(words[3], parts[6], parts[7])
    return Evidence(b64u(sha256(data)), words[0], words[1], first, second, parts[8:])


def _unpack(data: bytes) -> list[bytes]:
    parts, at = [], 0
    while at < len(data):
        begin = at + _PREFIX_BYTES
        at = begin + int.from_bytes(data[at:begin], "big")
        if begin > len(data) or at > len(data):
            raise Rejected("barring", "the evidence is cut short")
        parts.append(data[begin:at])
    return parts


def check_evidence(evidence: Evidence, policy: Policy, eras: list[Era]) -> bool:
    """Whether it was verified: votes are not without `eras`, the epochs since genesis. Rejected `barring` unless it
    proves what it says."""
    try:
        if evidence.offence == "split_checkpoint":
            _check_split(evidence, policy, eras)
            return True
        if not eras:
            return False
        one, other = (_read_vote(statement, evidence.culprit, eras) for statement in (evidence.first, evidence.second))
    except Rejected as error:
        raise Rejected("barring", error.detail) from None
    types = evidence.first.type, evidence.second.type
    if evidence.branches or one["epoch"] != other["epoch"] or not _CONTRADICTS[evidence.offence](types, one, other):
        raise Rejected("barring", "the two statements do not contradict each other")
    if evidence.offence != "hidden_vote" and evidence.first.raw >= evidence.second.raw:
        raise Rejected("barring", "the statements stand in the other order")
    return True


def _read_vote(statement: Statement, culprit: str, eras: list[Era]) -> dict[str, Any]:
    """The body of a consensus statement that the culprit signed (DESIGN.md 2.6)."""
    if statement.type not in _SHAPES:
        raise Rejected("barring", "a statement of this type is no evidence")
    body = members(parse_canonical(statement.raw, "barring"), _SHAPES[statement.type], "barring")
    optional = _MAY_BE_EMPTY | ({"block_id"} if statement.type == "NEW-VIEW" else set())
    for name, value in body.items():
        if not (value == "" and name in optional):
            _check_member(name, value)
    if body["epoch"] >= len(eras):
        raise Rejected("barring", "a statement of an epoch that has not begun")
    genesis = eras[body["epoch"]].genesis
    prefix = f"linli/pbft/v1\n{statement.type}\n{b64u(genesis.cluster_id)}\n".encode()
    public = genesis.consensus_key(culprit)
    is_signed = is_member_signature(public, prefix + statement.raw, statement.signature)
    if body["sender"] != culprit or not is_signed:
        raise Rejected("barring", "a statement is not signed by the member")
    return body


def _check_member(name: str, value: Any) -> None:
    if name in _COUNTS:
        if not is_count(value):
            raise Rejected("barring", f"{name} is no count")
    elif name == "view_changes":
        for digest in value if isinstance(value, list) else [None]:
            unb64u(digest, "barring", HASH_BYTES)
    elif name != "sender":
        unb64u(value, "barring", HASH_BYTES)


def _votes_twice(types: tuple[str, str], one: dict[str, Any], other: dict[str, Any]) -> bool:
    """E1: two blocks at one height in one view."""
    are_votes = set(types) <= {"PREPARE", "COMMIT"}
    return are_votes and _place(one) == _place(other) and one["block_id"] != other["block_id"]


def _begins_twice(types: tuple[str, str], one: dict[str, Any], other: dict[str, Any]) -> bool:
    """E2: two NEW-VIEWs of one view."""
    return set(types) == {"NEW-VIEW"} and one["view"] == other["view"] and one != other


def _hides(types: tuple[str, str], vote: dict[str, Any], change: dict[str, Any]) -> bool:
    """E3: a VIEW-CHANGE that tells neither the block of an earlier COMMIT nor a later view's."""
    if types != ("COMMIT", "VIEW-CHANGE") or change["view"] <= vote["view"]:
        return False
    tells = change["prepared_block"] != "" and change["last_height"] + 1 == vote["height"]
    return change["last_height"] < vote["height"] and not (tells and change["prepared_view"] >= vote["view"])


def _place(vote: dict[str, Any]) -> tuple[int, int]:
    return vote["view"], vote["height"]


_CONTRADICTS = {"double_vote": _votes_twice, "double_new_view": _begins_twice, "hidden_vote": _hides}


def _check_split(evidence: Evidence, policy: Policy, eras: list[Era]) -> None:
    """E5: two checkpoint lines, of one size with two roots, or with two leaves at one index."""
    lines = (evidence.first, evidence.second)
    trees = [_read_line(statement, evidence.culprit, policy, eras) for statement in lines]
    if evidence.first.raw >= evidence.second.raw:
        raise Rejected("barring", "the lines stand in the other order")
    if trees[0][0] == trees[1][0]:
        if trees[0][1] == trees[1][1] or evidence.branches:
            raise Rejected("barring", "not two roots of one size")
        return
    if len(evidence.branches) != 2:
        raise Rejected("barring", "two sizes need two branches")
    read = [members(parse_canonical(raw, "barring"), "index leaf proof", "barring") for raw in evidence.branches]
    if read[0]["index"] != read[1]["index"] or read[0]["leaf"] == read[1]["leaf"]:
        raise Rejected("barring", "not two leaves of one index")
    for branch, (size, root) in zip(read, trees, strict=True):
        if not is_count(branch["index"]) or not isinstance(branch["proof"], list):
            raise Rejected("barring", "not a branch")
        path = [unb64u(step, "barring", HASH_BYTES) for step in branch["proof"]]
        check_inclusion(unb64u(branch["leaf"], "barring", HASH_BYTES), branch["index"], size, path, root)


def _read_line(statement: Statement, culprit: str, policy: Policy, eras: list[Era]) -> tuple[int, bytes]:
    """Size and root of a checkpoint that the culprit cosigned."""
    said = members(parse_canonical(statement.raw, "barring"), "line member root size", "barring")
    if (statement.type, statement.signature, said["member"]) != ("COSIGN", b"", culprit):
        raise Rejected("barring", "not a line of the culprit")
    if not isinstance(said["line"], str) or not is_count(said["size"]):
        raise Rejected("barring", "not a line")
    size, root = said["size"], unb64u(said["root"], "barring", HASH_BYTES)
    policy = era_of(eras, size).policy if eras else policy
    if culprit not in policy.witnesses:
        raise Rejected("barring", "not a line of a member")
    key = {culprit: policy.witnesses[culprit]}
    if members_that_signed(policy.origin, size, root, [said["line"]], key) != {culprit}:
        raise Rejected("barring", "a line is not signed by the member")
    return size, root
