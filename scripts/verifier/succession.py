"""Who the members were, epoch after epoch: links from genesis that operators, members and proofs vouch for (D26).

A link holds two tlog-proofs. The first: the change, under a checkpoint that everybody who stays as it is has cosigned,
with the operators' signatures in it. The second: the last entry of the epoch, cosigned by a quorum of the next one.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from verifier.checkpoint import open_cosigned
from verifier.encoding import HASH_BYTES, Rejected, b64u, canonical, members, parse_canonical, unb64, unb64u
from verifier.genesis import Genesis, genesis_with
from verifier.merkle import check_inclusion, leaf_hash
from verifier.policy import Policy
from verifier.record import ACCEPTED, Entry, parse_entry, parse_record
from verifier.report import Result
from verifier.seen import LEAF_KIND, RETIRED_KIND, Seen
from verifier.signatures import is_member_signature

FAULT = "succession"
LINKS_MAX = 1_000
CHANGE_KIND = "members.change"
ROTATED = ("consensus_key", "cosign_key")


@dataclass(frozen=True)
class Era:
    """An epoch: genesis as if its members had founded the log, and the smallest tree that they sign."""

    genesis: Genesis
    first_size: int = 0
    change_index: int = -1
    """Where the change stands by which it began."""
    end: bytes = b""
    """The last entry of the epoch before, as the log has it; empty for the first one."""

    @property
    def ended_knowingly(self) -> bool:
        """Whether the change was in the log before the epoch before ended: else honest members may have signed on."""
        return bool(self.end) and self.change_index < self.first_size

    @property
    def policy(self) -> Policy:
        """Whose signatures count in it."""
        return self.genesis.policy


def follow(genesis: Genesis, data: bytes) -> list[Era]:
    """All epochs that a succession.json proves, oldest first. Rejected with fault `succession`."""
    try:
        value = json.loads(data)
        links = [(str(link["change"]), str(link["end"])) for link in value["links"]]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise Rejected(FAULT, "not a list of links") from None
    if len(links) > LINKS_MAX:
        raise Rejected(FAULT, "too many links")
    eras, used = [Era(genesis)], set(_names(genesis.organisations_said))
    for number, (change, end) in enumerate(links):
        try:
            eras.append(_next(eras[-1], number, used, change, end))
        except Rejected as error:
            raise Rejected(FAULT, f"from epoch {number}: {error.detail}") from None
        except (KeyError, TypeError, AttributeError):
            raise Rejected(FAULT, f"from epoch {number}: the change is not of its form") from None
        used.update(_names(eras[-1].genesis.organisations_said))
    return eras


def era_of(eras: list[Era], size: int) -> Era:
    """The epoch whose members sign trees of this size; also the one of the entry at this index."""
    return next(era for era in reversed(eras) if era.first_size <= size)


class Changes:
    """The members changed where the links say that they did, and every block says the epoch that it is of."""

    def __init__(self, eras: list[Era]) -> None:
        self._eras = eras
        self._due = [era.change_index for era in eras[1:]]
        self._retired: dict[tuple[str, int], None] = {}

    def see(self, seen: Seen) -> None:
        """Look at the next entry."""
        if seen.is_leaf:
            now = self._eras.index(era_of(self._eras, seen.entry.index))
            if seen.entry.system["body"].get("epoch") != now:
                raise seen.reject(f"a block that does not say that it is of epoch {now}")
        if seen.record is None and seen.kind == RETIRED_KIND:
            self._note_retired(seen)
        if seen.is_accepted and seen.kind == CHANGE_KIND:
            if self._due[:1] != [seen.entry.index]:
                # The newest one may still wait for its seal.
                self._due = [*self._due, seen.entry.index]
                if len(self._due) > 1:
                    raise seen.reject("a change of members that the links leave out")
                return
            self._due = self._due[1:]

    def _note_retired(self, seen: Seen) -> None:
        """Evidence of a retired key: that epoch has ended, with it a key of the member, and it is named once."""
        body = seen.body("culprit", "epoch", "statements")
        key, number = (body["culprit"], body["epoch"]), body["epoch"]
        begun = [era for era in self._eras if era.first_size <= seen.entry.index]
        had, has = (_keys_of(begun[at : at + 1], body["culprit"]) for at in (number, number + 1))
        if number + 1 >= len(begun) or not had or had == has or key in self._retired:
            raise seen.reject("evidence of a key that was not retired, or that is named already")
        self._retired[key] = None

    def conclude(self) -> tuple[Result, str]:
        """The result at the end."""
        if any(index in self._due for index in (era.change_index for era in self._eras[1:])):
            raise Rejected("log", "the links tell a change of members that is not in the log")
        waiting = "; one more waits for its seal" if self._due else ""
        names = ", ".join(member for member, _ in self._retired)
        signed_on = f"; retired keys of {names} signed on: the evidence lies beside the log" if names else ""
        now = len(self._eras[-1].policy.witnesses)
        return Result.OK, f"{len(self._eras)} epochs, {now} members now{waiting}{signed_on}"


def _next(before: Era, number: int, used: set[str], change_text: str, end_text: str) -> Era:
    genesis = before.genesis
    data, size, signers = _open(change_text, genesis)
    entry = parse_entry(data)
    change = _change_of(entry, number)
    _check_step(genesis, change, used)
    _check_operators(genesis, change, entry)
    unsigned = {member["id"] for member in genesis.organisations_said if member in change["members"]} - signers
    if unsigned:
        raise Rejected(FAULT, f"membership changed without {', '.join(sorted(unsigned))}'s signature")
    after = genesis_with(genesis, change["members"], change["policy"])
    end, end_size, enders = _open(end_text, after)
    last = parse_entry(end)
    quorum, _ = after.policy.groups["committed"]
    if len(enders) < quorum:
        raise Rejected(FAULT, f"the end of the epoch is signed by {', '.join(sorted(enders)) or 'nobody'} only")
    body = last.system["body"] if last.system and last.system["kind"] == LEAF_KIND else {}
    if body.get("epoch") != number or not size <= last.index < end_size:
        raise Rejected(FAULT, "not the last entry of the epoch")
    return Era(after, last.index + 1, entry.index, end)


def _open(text: str, genesis: Genesis) -> tuple[bytes, int, set[str]]:
    """The bytes of the entry of a proof, the size of the tree in which it stands, and which members signed that."""
    head, _, note = text.partition("\n\n")
    lines = head.split("\n")
    if len(lines) < 3 or not lines[1].startswith("extra ") or not lines[2].startswith("index "):
        raise Rejected(FAULT, "not a tlog-proof")
    extra = parse_canonical(unb64(lines[1].removeprefix("extra "), FAULT), FAULT)
    data = str(extra.get("entry") if isinstance(extra, dict) else "").encode()
    entry = parse_entry(data)
    size, root, signers = open_cosigned(note, genesis.origin, genesis.policy.witnesses)
    if lines[2] != f"index {entry.index}":
        raise Rejected(FAULT, "the entry says another index")
    check_inclusion(leaf_hash(data), entry.index, size, [unb64(line, FAULT) for line in lines[3:]], root)
    return data, size, signers


def _change_of(entry: Entry, number: int) -> dict[str, Any]:
    if entry.system or entry.outcome != ACCEPTED:
        raise Rejected(FAULT, "the change did not take effect")
    record = parse_record(entry.record)
    if record.kind != CHANGE_KIND:
        raise Rejected(FAULT, "not a change of members")
    body = members(record.payload["body"], "change signatures", FAULT)
    change: dict[str, Any] = members(body["change"], "epoch kind members policy", FAULT)
    if change["epoch"] != number or not isinstance(change["members"], list):
        raise Rejected(FAULT, "the change ends another epoch")
    return change


def _check_step(genesis: Genesis, change: dict[str, Any], used: set[str]) -> None:
    """One member came, went or has other keys, or the policy is another one: nothing else."""
    before = {member["id"]: member for member in genesis.organisations_said}
    after = {member["id"]: member for member in change["members"]}
    other = [node for node in sorted({*before, *after}) if before.get(node) != after.get(node)]
    kind = change["kind"]
    if kind == "policy.set":
        is_step = not other and change["policy"] != genesis.policy_said
    else:
        is_step = len(other) == 1 and change["policy"] == genesis.policy_said
        is_step = is_step and kind == _kind_of(before.get(other[0]), after.get(other[0]))
    if not is_step:
        raise Rejected(FAULT, "the change is not one step")
    fresh = {name for node in other if node in after for name in _names([after[node]])}
    fresh -= {name for node in other if node in before for name in _names([before[node]])}
    if fresh & used:
        raise Rejected(FAULT, "an id or a key is used again")


def _kind_of(before: dict[str, Any] | None, after: dict[str, Any] | None) -> str:
    if before is None or after is None:
        return "node.add" if before is None else "node.remove"
    kept = {name: value for name, value in before.items() if name not in ROTATED}
    same = kept == {name: value for name, value in after.items() if name not in ROTATED}
    return "key.rotate" if same else ""


def _check_operators(genesis: Genesis, change: dict[str, Any], entry: Entry) -> None:
    """Everybody who will be a member has signed, and nobody else; who was one, with the key that it had."""
    lines = parse_record(entry.record).payload["body"]["signatures"]
    message = b"linli/membership/v1\n" + canonical({"change": change, "cluster_id": b64u(genesis.cluster_id)})
    keys = {member["id"]: member["operator_key"] for member in (*change["members"], *genesis.organisations_said)}
    signed = set()
    for line in lines if isinstance(lines, list) else ():
        node, signature = str(line["node"]), unb64u(line["signature"], FAULT)
        public = unb64u(keys.get(node), FAULT, HASH_BYTES)
        if not is_member_signature(public, message, signature):
            raise Rejected(FAULT, f"the operator's signature of {node} does not hold")
        signed.add(node)
    if signed != {member["id"] for member in change["members"]}:
        raise Rejected(FAULT, "not signed by the operators of all who are members then")


def _keys_of(eras: list[Era], node: str) -> list[Any]:
    """The member's keys that end with an epoch; none where it is no member."""
    said = [member for era in eras for member in era.genesis.organisations_said if member["id"] == node]
    return [member[name] for member in said for name in ROTATED]


def _names(organisations: list[dict[str, Any]]) -> list[str]:
    """The ids and keys of members."""
    return [str(value) for member in organisations for name, value in member.items() if name == "id" or "_key" in name]
