"""Whom a piece of evidence proves guilty: two statements of one member that no honest member makes (consensus.md 1.4).

As nodes keep, hash and order it: parts behind their lengths. Checked with the members' public keys alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from verifier.checkpoint import members_that_signed
from verifier.encoding import HASH_BYTES, Rejected, b64u, is_count, members, parse_canonical, unb64u
from verifier.genesis import Genesis
from verifier.merkle import check_inclusion
from verifier.signatures import is_member_signature

FAULT = "succession"
PACKED_BYTES_MAX = 64 * 1024
_PREFIX = 4
_FIELDS = {
    "PREPARE": "block_id epoch height sender view",
    "COMMIT": "block_id epoch height new_view sender view",
    "VIEW-CHANGE": "epoch last_block last_height prepared_block prepared_view sender view",
    "NEW-VIEW": "base_height block_id epoch sender view view_changes",
}
_VOTES = ("PREPARE", "COMMIT")


@dataclass(frozen=True)
class Statement:
    """What a member signed."""

    type: str
    raw: bytes
    signature: bytes


def find_culprit(packed: bytes, genesis: Genesis, epoch: int) -> str:
    """The member of this epoch whom it proves guilty in it; Rejected with fault `succession`."""
    parts = _unpack(packed)
    if len(parts) not in (8, 10):
        raise Rejected(FAULT, "evidence has eight parts, or ten")
    offence, culprit = _text(parts[0]), _text(parts[1])
    first, second = (Statement(_text(parts[at]), parts[at + 1], parts[at + 2]) for at in (2, 5))
    if culprit not in genesis.policy.witnesses:
        raise Rejected(FAULT, f"evidence against {culprit[:40]!r}, who is no member")
    if offence == "split_checkpoint":
        _check_split(genesis, culprit, first, second, parts[8:])
    elif parts[8:] or offence != _offence_of(*(_read(genesis, culprit, epoch, one) for one in (first, second))):
        raise Rejected(FAULT, "the two statements are no evidence")
    return culprit


def _unpack(data: bytes) -> list[bytes]:
    parts, at = list[bytes](), 0
    if len(data) > PACKED_BYTES_MAX:
        raise Rejected(FAULT, "the evidence is too large")
    while at < len(data):
        begin = at + _PREFIX
        at = begin + int.from_bytes(data[at:begin], "big")
        if begin > len(data) or at > len(data):
            raise Rejected(FAULT, "the evidence is cut short")
        parts.append(data[begin:at])
    return parts


def _text(part: bytes) -> str:
    return part.decode("ascii", "replace")


def _read(genesis: Genesis, culprit: str, epoch: int, one: Statement) -> tuple[str, dict[str, Any]]:
    """The statement's type and body, signed by the culprit's consensus key in this epoch (DESIGN.md 2.6)."""
    body = members(parse_canonical(one.raw, FAULT), _FIELDS.get(one.type, "none"), FAULT)
    member = next(each for each in genesis.organisations_said if each["id"] == culprit)
    said = f"linli/pbft/v1\n{one.type}\n{b64u(genesis.cluster_id)}\n".encode() + one.raw
    key = unb64u(member["consensus_key"], FAULT, HASH_BYTES)
    counts = [body[name] for name in ("height", "view", "last_height", "prepared_view") if name in body]
    is_his = body["sender"] == culprit and body["epoch"] == epoch and all(map(is_count, counts))
    if not is_his or not is_member_signature(key, said, one.signature):
        raise Rejected(FAULT, "a statement is not signed by the member in this epoch")
    return one.type, body


def _offence_of(one: tuple[str, dict[str, Any]], other: tuple[str, dict[str, Any]]) -> str:
    """What it is to have said both, in the order that evidence has; empty where an honest member may."""
    (type_, first), (other_type, second) = one, other
    if type_ in _VOTES and other_type in _VOTES:
        place = (first["view"], first["height"]) == (second["view"], second["height"])
        return "double_vote" if place and first["block_id"] != second["block_id"] else ""
    if (type_, other_type) == ("NEW-VIEW", "NEW-VIEW"):
        return "double_new_view" if first["view"] == second["view"] and first != second else ""
    if (type_, other_type) == ("COMMIT", "VIEW-CHANGE"):
        return "hidden_vote" if _hides(second, first) else ""
    return ""


def _hides(change: dict[str, Any], vote: dict[str, Any]) -> bool:
    if change["view"] <= vote["view"] or change["last_height"] >= vote["height"]:
        return False
    tells = bool(change["prepared_block"]) and change["last_height"] + 1 == vote["height"]
    return not (tells and change["prepared_view"] >= vote["view"])


def _check_split(genesis: Genesis, culprit: str, first: Statement, second: Statement, branches: list[bytes]) -> None:
    trees = [_read_line(genesis, culprit, one) for one in (first, second)]
    (size, root), (other_size, other_root) = trees
    if size == other_size:
        if root == other_root or branches:
            raise Rejected(FAULT, "not two roots of one size")
        return
    if len(branches) != 2:
        raise Rejected(FAULT, "two sizes may have two roots: branches are needed")
    said = [members(parse_canonical(data, FAULT), "index leaf proof", FAULT) for data in branches]
    if said[0]["index"] != said[1]["index"] or said[0]["leaf"] == said[1]["leaf"] or not is_count(said[0]["index"]):
        raise Rejected(FAULT, "not two leaves of one index")
    for branch, (of_size, of_root) in zip(said, trees, strict=True):
        path = [unb64u(step, FAULT, HASH_BYTES) for step in branch["proof"]]
        check_inclusion(unb64u(branch["leaf"], FAULT, HASH_BYTES), branch["index"], of_size, path, of_root)


def _read_line(genesis: Genesis, culprit: str, one: Statement) -> tuple[int, bytes]:
    body = members(parse_canonical(one.raw, FAULT), "line member root size", FAULT)
    if one.type != "COSIGN" or one.signature or body["member"] != culprit or not is_count(body["size"]):
        raise Rejected(FAULT, "a split checkpoint is shown by two lines of the culprit")
    root = unb64u(body["root"], FAULT, HASH_BYTES)
    if culprit not in members_that_signed(
        genesis.origin, body["size"], root, [str(body["line"])], genesis.policy.witnesses
    ):
        raise Rejected(FAULT, "a line is not signed by the member")
    return body["size"], root
