"""Who the members were, epoch after epoch: links from genesis that operators, members and proofs vouch for (D26).

A link holds two tlog-proofs. The first: the change, under a checkpoint that everybody who stays as it is has cosigned,
with the operators' signatures in it. The second: the last entry of the epoch, cosigned by a quorum of the next one.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

from verifier.checkpoint import open_cosigned, size_of
from verifier.encoding import HASH_BYTES, Rejected, b64u, canonical, members, parse_canonical, unb64, unb64u
from verifier.genesis import Genesis, genesis_with
from verifier.merkle import check_inclusion, leaf_hash
from verifier.policy import Policy
from verifier.record import ACCEPTED, Entry, parse_entry, parse_record
from verifier.report import Result
from verifier.resolution import RESOLUTION_KIND, Disputed, read_resolution, reject_abandoned
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
    """Where the change stands by which it began; or the resolution of a fork."""
    end: bytes = b""
    """The last entry of the epoch before, as the log has it; empty for the first one."""
    disputed: Disputed | None = None
    """Where the epoch before ended in a fork: which of its trees are of the ledger."""

    @property
    def ended_knowingly(self) -> bool:
        """Whether members knew that the epoch before ended: where it was a fork, honest ones may have signed on."""
        return bool(self.end) and self.disputed is None

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
            following = _after_fork if _is_fork(change) else _next
            eras.append(following(eras[-1], number, used, change, end))
        except Rejected as error:
            raise Rejected(FAULT, f"from epoch {number}: {error.detail}") from None
        except (KeyError, TypeError, AttributeError):
            raise Rejected(FAULT, f"from epoch {number}: the change is not of its form") from None
        used.update(_names(eras[-1].genesis.organisations_said))
    return eras


def era_of(eras: list[Era], size: int) -> Era:
    """The epoch whose members sign trees of this size; also the one of the entry at this index."""
    return next(era for era in reversed(eras) if era.first_size <= size)


def known_at(eras: list[Era], text: str) -> list[Era]:
    """The epochs up to the one of a receipt's checkpoint, the last with the policy that holds there.

    Rejected with fault `abandoned`, as `genesis_for`.
    """
    now = eras.index(era_of(eras, size_of(text)))
    return [*eras[:now], replace(eras[now], genesis=genesis_for(eras, text))]


def genesis_for(eras: list[Era], text: str) -> Genesis:
    """Whose signatures count for a receipt: genesis as of its checkpoint's epoch, with the policy that holds there.

    Rejected with fault `abandoned` for what was signed on a branch that operators have abandoned.
    """
    notes = [proof.partition("\n\n")[2] for proof in text.split("\n---\n")]
    for disputed in [era.disputed for era in eras if era.disputed is not None]:
        for note in notes:
            reject_abandoned(note if note.endswith("\n") else note + "\n", eras[0].genesis.origin, disputed)
    size = size_of(text)
    _, policy = next(one for one in reversed(policies(eras)) if one[0] <= size)
    return replace(era_of(eras, size).genesis, policy=policy)


def policies(eras: list[Era]) -> list[tuple[int, Policy]]:
    """Which policy decides from which size on: of each epoch, and of the sizes of which a fork made two trees."""
    told: list[tuple[int, Policy]] = []
    for era in eras:
        if era.disputed is not None:
            before = told[-1][1]
            told.append((era.disputed.first_size, era.disputed.policy(before)))
        told.append((era.first_size, era.policy))
    return told


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
        if seen.record is None and seen.kind == RESOLUTION_KIND:
            # A change that waited for its seal when the fork came is void.
            if seen.entry.index not in self._due[:2]:
                raise seen.reject("the resolution of a fork that the links leave out")
            self._due = self._due[self._due.index(seen.entry.index) + 1 :]
        if seen.is_accepted and seen.kind == CHANGE_KIND:
            if self._is_void(seen.entry.index):
                return
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

    def _is_void(self, index: int) -> bool:
        following = next((era for era in self._eras if era.change_index == (self._due or [-1])[0]), None)
        return following is not None and following.disputed is not None and index < following.change_index

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


def _is_fork(change: str) -> bool:
    """Whether a link's first proof is about a derived entry; nothing is checked yet."""
    return bool(_entry_of(change)[0].system)


def _after_fork(before: Era, number: int, used: set[str], change_text: str, end_text: str) -> Era:
    genesis = before.genesis
    said = read_resolution(_entry_of(change_text)[0], genesis, number, used)
    after = genesis_with(genesis, said.organisations, genesis.policy_said)
    (_, entry), (end, last) = _open_by_quorum(change_text, after), _open_by_quorum(end_text, after)
    if (entry.index, entry.height) != (said.kept_size, said.kept_height + 1):
        raise Rejected(FAULT, "the resolution does not stand behind the kept branch")
    body = last.system["body"] if last.system and last.system["kind"] == LEAF_KIND else {}
    is_tip = (last.index, last.height) == (said.kept_size - 1, said.kept_height)
    if not is_tip or (body.get("epoch"), body.get("block_id")) != (number, said.kept_block):
        raise Rejected(FAULT, "the block before the resolution is not the tip that was kept")
    return Era(after, entry.index + 1, entry.index, end, said.disputed)


def _open_by_quorum(text: str, genesis: Genesis) -> tuple[bytes, Entry]:
    data, _, signers = _open(text, genesis)
    quorum, _ = genesis.policy.groups["committed"]
    if len(signers) < quorum:
        raise Rejected(FAULT, f"the end of the epoch is signed by {', '.join(sorted(signers)) or 'nobody'} only")
    return data, parse_entry(data)


def _entry_of(text: str) -> tuple[Entry, bytes]:
    """The entry that a proof is about, and its bytes; nothing is proved yet."""
    lines = text.partition("\n\n")[0].split("\n")
    if len(lines) < 3 or not lines[1].startswith("extra ") or not lines[2].startswith("index "):
        raise Rejected(FAULT, "not a tlog-proof")
    extra = parse_canonical(unb64(lines[1].removeprefix("extra "), FAULT), FAULT)
    data = str(extra.get("entry") if isinstance(extra, dict) else "").encode()
    return parse_entry(data), data


def _open(text: str, genesis: Genesis) -> tuple[bytes, int, set[str]]:
    """The bytes of the entry of a proof, the size of the tree in which it stands, and which members signed that."""
    head, _, note = text.partition("\n\n")
    lines = head.split("\n")
    entry, data = _entry_of(text)
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
