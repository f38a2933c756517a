"""The resolution of a fork: does it hold, and which checkpoints of the disputed time are of the ledger (D32)?

The operators of all members that are not proved guilty have signed it; the evidence stands in it. It must not know how
links are followed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from verifier.checkpoint import open_cosigned
from verifier.encoding import HASH_BYTES, Rejected, b64u, canonical, is_count, members, parse_canonical, sha256, unb64u
from verifier.genesis import Genesis
from verifier.guilt import find_culprit
from verifier.policy import Key, Policy
from verifier.record import ACCEPTED, Entry
from verifier.signatures import is_member_signature

FAULT = "succession"
RESOLUTION_KIND = "fork.resolution"
RENEWED = ("consensus_key", "cosign_key")
_FIELDS = "abandoned culprits epoch evidence fork_height fork_size kept members records"
_BRANCH = "block_id first height held_by root size"


@dataclass(frozen=True)
class Disputed:
    """Sizes from `first_size` to `last_size` of which there were two trees. Whoever held the kept branch signed only
    trees of the ledger there, and whoever held an abandoned one (`lost`, with the keys of then) none."""

    first_size: int
    last_size: int
    held_by: tuple[str, ...]
    lost: dict[str, Key]

    def policy(self, before: Policy) -> Policy:
        """Who must have signed a tree of these sizes: a quorum, and somebody who held the kept branch."""
        quorum = before.groups["committed"]
        kept = [node for node in self.held_by if node in before.witnesses]
        groups = {"quorate": quorum, "kept": (1, kept), "committed": (2, ["quorate", "kept"])}
        return Policy(before.logs, before.witnesses, {**groups, "sealed": before.groups["sealed"]}, "committed")


@dataclass(frozen=True)
class Resolution:
    """What a resolution that holds says."""

    organisations: list[dict[str, Any]]
    kept_height: int
    kept_size: int
    kept_block: str
    disputed: Disputed


def read_resolution(entry: Entry, genesis: Genesis, epoch: int, used: set[str]) -> Resolution:
    """The resolution in the entry that ends this epoch; Rejected with fault `succession` unless it holds."""
    if not entry.system or entry.system["kind"] != RESOLUTION_KIND or entry.outcome != ACCEPTED:
        raise Rejected(FAULT, "neither a change of members nor the resolution of a fork")
    body = members(entry.system["body"], "evidence resolution signatures", FAULT)
    said = members(body["resolution"], _FIELDS, FAULT)
    if said["epoch"] != epoch or entry.system["key"] != str(epoch + 1):
        raise Rejected(FAULT, "the resolution ends another epoch")
    kept = members(said["kept"], _BRANCH, FAULT)
    lost = [members(branch, _BRANCH, FAULT) for branch in said["abandoned"]]
    culprits = _check_evidence(genesis, epoch, said, body["evidence"])
    _check_branches(said, kept, lost)
    sides = [*kept["held_by"], *culprits, *(node for branch in lost for node in branch["held_by"])]
    if sorted(sides) != sorted(genesis.policy.witnesses) or not kept["held_by"]:
        raise Rejected(FAULT, "not every member stands once: kept, abandoned, or proved guilty")
    after = [parse_canonical(str(text).encode(), FAULT) for text in said["members"]]
    _check_members(genesis, after, kept["held_by"], culprits, used)
    _check_operators(genesis, said, body["signatures"], culprits)
    losers = {node: genesis.policy.witnesses[node] for branch in lost for node in branch["held_by"]}
    disputed = Disputed(said["fork_size"] + 1, kept["size"], tuple(kept["held_by"]), losers)
    return Resolution(after, kept["height"], kept["size"], kept["block_id"], disputed)


def _check_evidence(genesis: Genesis, epoch: int, said: dict[str, Any], evidence: list[str]) -> list[str]:
    """Each piece is the one that was signed for, and proves its culprit guilty. Returns them."""
    packed = [unb64u(one, FAULT) for one in evidence]
    if [b64u(sha256(one)) for one in packed] != said["evidence"] or not packed:
        raise Rejected(FAULT, "not the evidence that was signed for")
    proved = [find_culprit(one, genesis, epoch) for one in packed]
    if proved != said["culprits"] or proved != sorted(set(proved)):
        raise Rejected(FAULT, f"the evidence proves {', '.join(proved)} guilty and nobody else")
    return proved


def _check_branches(said: dict[str, Any], kept: dict[str, Any], lost: list[dict[str, Any]]) -> None:
    numbers = [said["fork_height"], said["fork_size"], kept["height"], kept["size"]]
    if not lost or not all(map(is_count, numbers)):
        raise Rejected(FAULT, "branches without places")
    if any(one["height"] < said["fork_height"] or one["size"] <= said["fork_size"] for one in (kept, *lost)):
        raise Rejected(FAULT, "a branch ends before the fork")
    if any(one["first"] == kept["first"] or one["block_id"] == kept["block_id"] for one in lost):
        raise Rejected(FAULT, "the branches do not part")
    if len({(one["first"], one["block_id"]) for one in lost}) != len(lost):
        raise Rejected(FAULT, "an abandoned branch twice")


def _check_members(
    genesis: Genesis, after: list[dict[str, Any]], held_by: list[str], culprits: list[str], used: set[str]
) -> None:
    """Who held the kept branch stays as it is; everybody else comes back with new keys, or is a culprit and leaves."""
    was = {member["id"]: member for member in genesis.organisations_said}
    now = {member["id"]: member for member in after}
    if [member["id"] for member in after] != sorted(now):
        raise Rejected(FAULT, "members must stand in the order of their ids")
    if any(now.get(node) != was[node] for node in held_by):
        raise Rejected(FAULT, "who held the kept branch does not stay as it is")
    if any(node not in now for node in was if node not in culprits) or not now.keys() <= was.keys():
        raise Rejected(FAULT, "an honest member leaves, or somebody joins")
    back = [node for node in now if node not in held_by]
    if any(now[node][name] == was[node][name] for node in back for name in RENEWED):
        raise Rejected(FAULT, "a member that signed an abandoned branch comes back with its old keys")
    fresh = [now[node][name] for node in back for name in RENEWED]
    if any({**now[node], **{name: was[node][name] for name in RENEWED}} != was[node] for node in back):
        raise Rejected(FAULT, "more than the keys of consensus and of cosigning changes")
    if len(set(fresh)) != len(fresh) or used.intersection(fresh):
        raise Rejected(FAULT, "a key is used again")
    policy = genesis.policy_said
    if len(now) < max(policy["approvals"], policy["attestations"]):
        raise Rejected(FAULT, "fewer members than the policy asks for")


def _check_operators(genesis: Genesis, said: dict[str, Any], lines: list[dict[str, Any]], culprits: list[str]) -> None:
    """Exactly the operators of all members that are not proved guilty have signed."""
    content = canonical({"cluster_id": b64u(genesis.cluster_id), "resolution": said})
    keys = {member["id"]: member["operator_key"] for member in genesis.organisations_said}
    for line in lines:
        public = unb64u(keys.get(line["node"]), FAULT, HASH_BYTES)
        if not is_member_signature(public, b"linli/fork-resolution/v1\n" + content, unb64u(line["signature"], FAULT)):
            raise Rejected(FAULT, f"the operator's signature of {line['node']} does not hold")
    if [line["node"] for line in lines] != [node for node in sorted(keys) if node not in culprits]:
        raise Rejected(FAULT, "not signed by exactly the operators of all who are not proved guilty")


def reject_abandoned(note: str, origin: str, disputed: Disputed) -> None:
    """Rejected with fault `abandoned` for a checkpoint that a holder of an abandoned branch signed after the fork."""
    size, _, signers = open_cosigned(note, origin, disputed.lost)
    if signers and size >= disputed.first_size:
        names = ", ".join(sorted(signers))
        raise Rejected("abandoned", f"of the branch that was abandoned after a fork, signed there by {names}: ask anew")
