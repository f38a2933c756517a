"""Evidence that a retired key signed on, and what the log says of it (consensus.md 1.4, E8; DESIGN.md D33).

A key is good until its epoch ends. What proves that it signed on follows that very end: a tree in which the last entry
of the epoch stands at its place, a vote for a block right behind the last one, or a view left above it. Members, keys
and ends follow from genesis by the links of succession.json; who shows the evidence is not asked.
"""

from __future__ import annotations

import json
from typing import Any

from verifier.checkpoint import members_that_signed
from verifier.encoding import HASH_BYTES, Rejected, b64u, canonical, is_count, members, parse_canonical, sha256, unb64u
from verifier.merkle import check_inclusion, leaf_hash
from verifier.record import Entry, parse_entry
from verifier.report import Report, Result
from verifier.signatures import is_member_signature
from verifier.succession import Era

FAULT = "retirement"
CHECKS = ("form", "retirement")
OFFENCE = "retired_key"
LENGTH_BYTES = 4
BYTES_MAX = 64 * 1024
PLACES = "epoch sender view"
BODIES = {
    "PREPARE": f"block_id height {PLACES}",
    "COMMIT": f"block_id height new_view {PLACES}",
    "VIEW-CHANGE": f"last_block last_height prepared_block prepared_view {PLACES}",
}
HEADER = "entries_bytes entries_root epoch height prev proposer rules state_digest_prev time_ms"


def examine(text: str, cluster_id: bytes, eras: list[Era]) -> Report:
    """Check a file with evidence, as a phone exports it or a node shows it, and report."""
    report = Report(CHECKS)
    try:
        packed = _packed_of(text)
        report.say("form", Result.OK, f"evidence {b64u(sha256(packed))}")
        culprit, epoch, what = check_retired(packed, cluster_id, eras)
        said = f"{culprit} signed {what} with a key that was retired with epoch {epoch}"
        report.say("retirement", Result.OK, said)
    except Rejected as error:
        failed = next(name for name in CHECKS if report.result(name) is Result.NOT_CHECKED)
        report.say(failed, Result.FAILED, f"{error.detail} ({error.fault})")
    return report


def _packed_of(text: str) -> bytes:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise Rejected("form", "not JSON") from None
    if not isinstance(value, dict):
        raise Rejected("form", "not one piece of evidence")
    return unb64u(value.get("packed"), "form")


def check_retired(packed: bytes, cluster_id: bytes, eras: list[Era]) -> tuple[str, int, str]:
    """Whose key, of which epoch, and what it signed; Rejected with fault `retirement` when nothing is proved."""
    parts = _parts(packed)
    if len(parts) not in (8, 9) or parts[0] != OFFENCE.encode() or (parts[5], parts[7]) != (b"ENTRY", b""):
        raise Rejected(FAULT, "not evidence of a retired key")
    culprit, kind = parts[1].decode("ascii", "replace"), parts[2].decode("ascii", "replace")
    number = next((number for number, era in enumerate(eras) if era.end == parts[6] and era.ended_knowingly), 0)
    if not number:
        raise Rejected(FAULT, "no epoch ended with this entry")
    end, before, after = parse_entry(parts[6]), eras[number - 1], eras[number]
    if kind == "COSIGN":
        _retired(before, after, culprit, "cosign_key")
        return culprit, number - 1, _check_line(parts, culprit, end, before)
    public = _retired(before, after, culprit, "consensus_key")
    if kind not in BODIES:
        raise Rejected(FAULT, "a statement of another type")
    return culprit, number - 1, _check_vote(parts, culprit, end, public, cluster_id)


def _parts(packed: bytes) -> list[bytes]:
    """Each part stands behind its length as an unsigned 32-bit big-endian integer."""
    parts, at = [], 0
    while at < len(packed) <= BYTES_MAX:
        begin = at + LENGTH_BYTES
        at = begin + int.from_bytes(packed[at:begin], "big")
        parts.append(packed[begin:at])
    if not packed or at != len(packed):
        raise Rejected(FAULT, "cut short, or too long")
    return parts


def _retired(before: Era, after: Era, culprit: str, role: str) -> bytes:
    """The key that the member had, and has no more."""
    had = next((one for one in before.genesis.organisations_said if one["id"] == culprit), None)
    has = next((one for one in after.genesis.organisations_said if one["id"] == culprit), {})
    if had is None or has.get(role) == had[role]:
        raise Rejected(FAULT, f"no key of {culprit} was retired there")
    return unb64u(had[role], FAULT, HASH_BYTES)


def _check_line(parts: list[bytes], culprit: str, end: Entry, before: Era) -> str:
    said = members(parse_canonical(parts[3], FAULT), "line member root size", FAULT)
    if not (is_count(said["size"]) and isinstance(said["line"], str)) or said["member"] != culprit or parts[4]:
        raise Rejected(FAULT, "not a line of the member")
    root, key = unb64u(said["root"], FAULT, HASH_BYTES), {culprit: before.policy.witnesses[culprit]}
    if not members_that_signed(before.genesis.origin, said["size"], root, [said["line"]], key):
        raise Rejected(FAULT, "not signed with the retired key")
    branch = members(parse_canonical(b"".join(parts[8:]), FAULT), "index leaf proof", FAULT)
    leaf = leaf_hash(parts[6])
    if (branch["index"], branch["leaf"]) != (end.index, b64u(leaf)) or not isinstance(branch["proof"], list):
        raise Rejected(FAULT, "not the branch of the end of the epoch")
    check_inclusion(leaf, end.index, said["size"], [unb64u(step, FAULT, HASH_BYTES) for step in branch["proof"]], root)
    return f"a tree of {said['size']} entries, which holds the end of the epoch at {end.index},"


def _check_vote(parts: list[bytes], culprit: str, end: Entry, public: bytes, cluster_id: bytes) -> str:
    kind, raw = parts[2].decode("ascii"), parts[3]
    said = members(parse_canonical(raw, FAULT), BODIES[kind], FAULT)
    message = b"linli/pbft/v1\n" + parts[2] + b"\n" + b64u(cluster_id).encode() + b"\n" + raw
    if said["sender"] != culprit or not is_member_signature(public, message, parts[4]):
        raise Rejected(FAULT, "not signed with the retired key")
    last = end.system["body"]["block_id"]
    if kind == "VIEW-CHANGE":
        follows = (said["last_height"], said["last_block"]) == (end.height, last) and len(parts) == 8
    else:
        follows = _is_behind(parts[8:], said, end.height, last, cluster_id)
    if not follows:
        raise Rejected(FAULT, "it does not follow the end of the epoch: at a fork an honest member may sign it")
    return f"a {kind} behind block {end.height}, the last one of the epoch,"


def _is_behind(shown: list[bytes], said: dict[str, Any], height: int, last: str, cluster_id: bytes) -> bool:
    """Whether the vote is for a block whose header names the last one of the epoch as the one before."""
    header = members(parse_canonical(b"".join(shown), FAULT), HEADER, FAULT)
    block_id = b64u(sha256(b"linli/block/v1\n" + cluster_id + b"\n" + canonical(header)))
    return (header["height"], header["prev"], block_id, said["height"]) == (
        height + 1,
        last,
        said["block_id"],
        height + 1,
    )
