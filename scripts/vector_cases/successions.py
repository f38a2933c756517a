"""Successions: links from genesis to other members, and whatever may be wrong with one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from samples import CREATED_MS, GENESIS, MEMBERS, NAMES, OFFICER, ORIGIN, node_signer, seed
from server.consensus.guilt import culprit_finder
from server.consensus.quorum import Quorum
from server.ledger.block import ACCEPTED, Header, leaf_entry, record_entry
from server.ledger.checkpoint import Checkpoint, b64_decode, b64_encode, cosign_line, log_line, note_of
from server.ledger.genesis import OPERATOR, ROLES, Genesis, Organisation, Policy, estate_of, parse_genesis
from server.ledger.membership import Change, ChangeKind, Epoch, Membership, SignedChange, genesis_of_epoch, sign_change
from server.ledger.merkle import Frontier, inclusion_proof, leaf_hash, node_hash
from server.ledger.policy import policy_text
from server.ledger.receipt import proof_text
from server.ledger.succession import Link, follow_links
from server.record.canonical import b64u_encode, decode, encode
from server.record.envelope import Payload, sign_record
from server.record.signature import NodeSigner
from vector_cases.case import Case, bad, changed, good, vector_file

TIME_S = CREATED_MS // 1000 + 60
Members = dict[str, Organisation]


def organisation(node: str, **keys: str) -> Organisation:
    """A member with keys that follow from its id, but for those given."""
    made = {f"{role}_key": b64u_encode(node_signer(node, role).public) for role in (*ROLES, OPERATOR)}
    name = NAMES.get(node, "邻里监督会")
    return Organisation(**(made | keys), id=node, name=name, officers=(), transport_certificate="")


FOUNDED_BYTES = encode(msgspec.structs.replace(GENESIS, members=tuple(map(organisation, MEMBERS))))
FOUNDED, FOUNDED_ID = parse_genesis(FOUNDED_BYTES)
FOUNDED_ESTATE = estate_of(FOUNDED, FOUNDED_ID)


@dataclass
class Plan:
    """Mutable. One change as it is brought; a case spoils a field or two."""

    kind: ChangeKind
    after: Members
    policy: Policy = FOUNDED.policy
    operators: Sequence[str] | None = None
    cluster_id: bytes = FOUNDED_ID
    sealed_by: Sequence[str] | None = None
    ended_by: Sequence[str] | None = None
    outcome: str = ACCEPTED
    record_kind: str = "members.change"
    leaf_epoch: int | None = None
    ends_early: bool = False


@dataclass
class Story:
    """Mutable. A log in which members change, and the links that it gives."""

    members: Members = field(default_factory=lambda: {member.id: member for member in FOUNDED.members})
    policy: Policy = FOUNDED.policy
    entries: list[bytes] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    secrets: dict[str, NodeSigner] = field(default_factory=dict)
    """Cosigning keys that are not the first ones, by their public halves."""

    def change(self, plan: Plan) -> Story:
        """Order the change, seal it, and end the epoch."""
        epoch, before = len(self.links), self.members
        members = tuple(member for _, member in sorted(plan.after.items()))
        signed = SignedChange(change=Change(epoch, plan.kind, members, plan.policy), signatures=())
        for node in plan.operators if plan.operators is not None else plan.after:
            signed = sign_change(node_signer(node, OPERATOR), node, plan.cluster_id, signed)
        early = self.add_leaf(epoch)
        index = self._record(plan, signed, epoch)
        self.add_leaf(epoch)
        size = len(self.entries)
        staying = [node for node, member in before.items() if plan.after.get(node) == member]
        sealed_by = plan.sealed_by if plan.sealed_by is not None else staying
        change = self.prove(index, size, before, sealed_by)
        last = self.add_leaf(epoch if plan.leaf_epoch is None else plan.leaf_epoch)
        self.add_leaf(epoch + 1)
        ended_by = plan.ended_by if plan.ended_by is not None else list(plan.after)
        end = self.prove(early if plan.ends_early else last, len(self.entries), plan.after, ended_by)
        self.links.append(Link(change, end))
        self.members, self.policy = plan.after, plan.policy
        return self

    def _record(self, plan: Plan, signed: SignedChange, epoch: int) -> int:
        payload = Payload(
            author="officer-street",
            body=decode(encode(signed)),
            estate=FOUNDED_ESTATE,
            expires_ms=CREATED_MS + 600_000,
            kind=plan.record_kind,
            made_ms=CREATED_MS,
            nonce=b64u_encode(seed(f"change {epoch}")[:16]),
        )
        index = len(self.entries)
        self.entries.append(record_entry(index + 1, index, CREATED_MS, sign_record(OFFICER, payload), plan.outcome))
        return index

    def add_leaf(self, epoch: int) -> int:
        """The next block's leaf; returns its index."""
        index = len(self.entries)
        digest = b64u_encode(seed(f"digest {index}"))
        header = Header(0, digest, epoch, index + 1, digest, MEMBERS[0], 1, digest, CREATED_MS + index)
        self.entries.append(leaf_entry(FOUNDED_ID, header, index, digest))
        return index

    def prove(self, index: int, size: int, members: Members, signers: Sequence[str]) -> str:
        """A tlog-proof of the entry at `index` in the log of `size` entries, as these members sign that."""
        tree = Frontier()
        hashes = [leaf_hash(entry) for entry in self.entries]
        for leaf in hashes[:size]:
            tree.append(leaf)

        def read(level: int, place: int) -> bytes:
            if level == 0:
                return hashes[place]
            return node_hash(read(level - 1, 2 * place), read(level - 1, 2 * place + 1))

        root = tree.root()
        lines = [cosign_line(self._signer(members[node]), ORIGIN, node, size, root, TIME_S) for node in signers]
        note = note_of(Checkpoint(ORIGIN, size, root), lines)
        return proof_text(self.entries[index], index, inclusion_proof(index, size, read), note, None)

    def note(self, root: bytes, size: int, members: Members, signers: Sequence[str]) -> str:
        """A checkpoint of some tree, as these members sign it, with a log's own line."""
        lines = [log_line(node_signer(signers[-1], "log"), ORIGIN, size, root)]
        lines += [cosign_line(self._signer(members[node]), ORIGIN, node, size, root, TIME_S) for node in signers]
        return note_of(Checkpoint(ORIGIN, size, root), lines)

    def _signer(self, member: Organisation) -> NodeSigner:
        return self.secrets.get(member.cosign_key) or node_signer(member.id, "cosign")


def added(story: Story, node: str = "tenants", **keys: str) -> Plan:
    """Somebody joins."""
    return Plan("node.add", {**story.members, node: organisation(node, **keys)}, story.policy)


def removed(story: Story, node: str = "street") -> Plan:
    """Somebody is put out."""
    return Plan("node.remove", {name: one for name, one in story.members.items() if name != node}, story.policy)


def rotated(story: Story, node: str = "property", label: str = "new") -> Plan:
    """Somebody takes new keys."""
    signer = NodeSigner(seed(f"{node} cosign {label}"))
    story.secrets[b64u_encode(signer.public)] = signer
    keys = {"cosign_key": b64u_encode(signer.public), "consensus_key": b64u_encode(seed_key(f"{node} {label}"))}
    return Plan(
        "key.rotate", {**story.members, node: msgspec.structs.replace(story.members[node], **keys)}, story.policy
    )


def seed_key(label: str) -> bytes:
    """A public key that follows from a label."""
    return NodeSigner(seed(label)).public


def other_policy(story: Story) -> Plan:
    """Another policy."""
    return Plan("policy.set", story.members, msgspec.structs.replace(story.policy, final_without_ms=1))


def files() -> dict[str, dict[str, Any]]:
    """This family's files by name."""
    from vector_cases import forks

    cases = [*_good(), *_bad()]
    for name, story in forks.good_stories().items():
        told = {} if len(story.links) > 1 else {"checkpoints": forks.told_checkpoints(story)}
        cases.append(_good_case(name, story.links, **told))
    cases += [
        bad(name, "succession", links=msgspec.to_builtins(story.links)) for name, story in forks.bad_stories().items()
    ]
    about = "Links from genesis to the members of later epochs (DESIGN.md D26), and beyond a fork (D32)."
    return {"successions.json": vector_file(about, cases, genesis=FOUNDED_BYTES.decode(), estate=FOUNDED_ESTATE)}


def _good() -> list[Case]:
    stories = {
        "nothing has changed": Story(),
        "a fourth joins": _told(added),
        "a third leaves and signs nothing": _told(removed),
        "new keys, for which the old ones signed nothing": _told(rotated),
        "new keys, for which the old ones signed too": _told(lambda story: replace(rotated(story), sealed_by=MEMBERS)),
        "another policy": _told(other_policy),
        "one change after the other": _told(added, removed, rotated, other_policy),
        "new keys twice": _told(rotated, lambda story: rotated(story, label="newer")),
    }
    return [_good_case(name, story.links) for name, story in stories.items()]


def _told(*plans: Callable[[Story], Plan]) -> Story:
    story = Story()
    for plan in plans:
        story.change(plan(story))
    return story


def _good_case(name: str, links: Sequence[Link], **more: Any) -> Case:
    membership = follow_links(FOUNDED, FOUNDED_ID, FOUNDED_ESTATE, links, quorum_of, CULPRIT_OF)
    eras = told_eras(membership)
    return good(name, links=msgspec.to_builtins(list(links)), eras=eras, **more)


CULPRIT_OF = culprit_finder(ORIGIN, FOUNDED_ID)


def quorum_of(n: int) -> int:
    """How many of n members decide."""
    return Quorum(n).quorum


def told_eras(membership: Membership) -> list[dict[str, Any]]:
    """From which size on which policy decides."""
    told: list[dict[str, Any]] = []
    for epoch in membership.epochs:
        if epoch.disputed is not None:
            before = membership.epochs[epoch.number - 1]
            policy = _policy_of(before, epoch.disputed.held_by)
            told.append({"first_size": epoch.disputed.first_size, "policy": policy})
        told.append({"first_size": epoch.first_size, "policy": _policy_of(epoch)})
    return told


def _policy_of(epoch: Epoch, held_by: Sequence[str] = ()) -> str:
    genesis: Genesis = genesis_of_epoch(FOUNDED, epoch)
    return policy_text(genesis, quorum_of(len(epoch.members)), held_by)


def _bad() -> list[Case]:
    def spoiled(plan: Callable[[Story], Plan], **fields: Any) -> list[Link]:
        return _told(lambda story: replace(plan(story), **fields)).links

    [link] = _told(added).links
    hash_ = link.change.split("\n")[3]
    cases = {
        "an operator has not signed": spoiled(added, operators=["owners", "property", "tenants"]),
        "whoever joins has not agreed": spoiled(added, operators=MEMBERS),
        "one too many has signed": spoiled(removed, operators=MEMBERS),
        "signed for another ledger": spoiled(added, cluster_id=bytes(32)),
        "who stays has not sealed it": spoiled(added, sealed_by=["owners", "property"]),
        "a removal that who stays has not sealed": spoiled(removed, sealed_by=["owners", "street"]),
        "a quorum of the new members has not signed the end": spoiled(added, ended_by=["owners", "tenants"]),
        "new keys that who stays has not sealed": spoiled(rotated, sealed_by=["owners", "property"]),
        "the end is of another epoch": spoiled(added, leaf_epoch=1),
        "the end lies before the change": spoiled(added, ends_early=True),
        "the change was refused": spoiled(added, outcome="signatures"),
        "a record of another kind": spoiled(added, record_kind="role.grant"),
        "two join at once": _told(lambda story: replace(added(story), after=_two_more(story))).links,
        "it is called another step": spoiled(added, kind="key.rotate"),
        "a removal that brings another policy": spoiled(removed, policy=other_policy(Story()).policy),
        "the same policy again": spoiled(other_policy, policy=FOUNDED.policy),
        "an id comes back": _told(removed, lambda story: added(story, "street", **_fresh("street again"))).links,
        "a retired key comes back": _told(rotated, _turned_back).links,
        "who joins brings another's key": _told(
            lambda story: added(story, log_key=story.members["owners"].log_key)
        ).links,
        "a second link before the first": _told(added, removed).links[1:],
        "a proof too short": [Link(changed(link.change, hash_ + "\n", ""), link.end)],
        "another outcome than was signed": [_with_entry(link, "accepted", "refused")],
        "the proofs exchanged": [Link(link.end, link.change)],
        "nothing for an end": [Link(link.change, "")],
        "another log": [Link(changed(link.change, f"\n{ORIGIN}\n", "\nlinli.example/other\n"), link.end)],
    }
    return [bad(name, "succession", links=msgspec.to_builtins(links)) for name, links in cases.items()]


def _two_more(story: Story) -> Members:
    return {**story.members, "tenants": organisation("tenants"), "union": organisation("union")}


def _fresh(label: str) -> dict[str, str]:
    return {f"{role}_key": b64u_encode(seed_key(f"{label} {role}")) for role in (*ROLES, OPERATOR)}


def _turned_back(story: Story) -> Plan:
    return Plan("key.rotate", {**story.members, "property": organisation("property")}, story.policy)


def _with_entry(link: Link, old: str, new: str) -> Link:
    extra = link.change.split("\n")[1].removeprefix("extra ")
    data = b64_decode(extra).replace(old.encode(), new.encode(), 1)
    return Link(changed(link.change, extra, b64_encode(data)), link.end)
