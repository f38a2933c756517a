"""Membership: who must agree, what one step is, and until when old keys are good."""

from __future__ import annotations

import json
from itertools import pairwise

import msgspec
import pytest

from samples import CLUSTER_ID, GENESIS, MEMBERS, ORIGIN, node_signer
from server.consensus.quorum import Quorum
from server.ledger.genesis import OPERATOR, ROLES, Organisation
from server.ledger.membership import (
    Change,
    ChangeKind,
    ChangeRefusal,
    Disputed,
    Epoch,
    Membership,
    SignedChange,
    change_message,
    founding_epoch,
    genesis_of_epoch,
    names_of,
    parse_change,
    refuse_change,
    retired_with,
    sign_change,
    unsigned_by,
)
from server.ledger.policy import parse_policy, policy_text
from server.record.canonical import Malformed, b64u_encode, encode

ROOT = bytes(range(32))
JOINERS = ("tenants", "union", "utility", "watch")


def organisation(node: str, **keys: str) -> Organisation:
    """A member with keys that follow from its id, but for those given."""
    made = {f"{role}_key": b64u_encode(node_signer(node, role).public) for role in (*ROLES, OPERATOR)}
    return Organisation(**(made | keys), id=node, name=node, officers=(), transport_certificate="")


def new_key(label: str) -> str:
    return b64u_encode(node_signer(label, "new").public)


FOUNDED = msgspec.structs.replace(GENESIS, members=tuple(organisation(node) for node in MEMBERS))
START = Membership((founding_epoch(FOUNDED),))


def change_of(membership: Membership, kind: ChangeKind, members: tuple[Organisation, ...]) -> Change:
    ordered = tuple(sorted(members, key=lambda member: member.id))
    return Change(membership.current.number, kind, ordered, membership.current.policy)


def adding(membership: Membership, *nodes: str) -> Change:
    return change_of(membership, "node.add", (*membership.current.members, *(organisation(node) for node in nodes)))


def removing(membership: Membership, *nodes: str) -> Change:
    kept = tuple(member for member in membership.current.members if member.id not in nodes)
    return change_of(membership, "node.remove", kept)


def rotating(membership: Membership, node: str, **keys: str) -> Change:
    members = tuple(
        msgspec.structs.replace(member, **keys) if member.id == node else member
        for member in membership.current.members
    )
    return change_of(membership, "key.rotate", members)


def signed(change: Change, *, without: str = "") -> SignedChange:
    """Signed by everybody that must, but for one."""
    found = SignedChange(change=change, signatures=())
    for member in reversed(change.members):
        if member.id != without:
            found = sign_change(node_signer(member.id, OPERATOR), member.id, CLUSTER_ID, found)
    return found


def refusal(membership: Membership, offered: SignedChange, cluster_id: bytes = CLUSTER_ID) -> ChangeRefusal | None:
    return refuse_change(membership.current, used(membership), cluster_id, parse_change(encode(offered)))


def used(membership: Membership) -> tuple[str, ...]:
    """The ids and keys of all epochs."""
    return names_of([member for epoch in membership.epochs for member in epoch.members])


def begun(membership: Membership, change: Change, height: int, size: int) -> Membership:
    """The change in force from the block after `height` on, with which the tree has `size` entries."""
    assert refusal(membership, signed(change)) is None
    epoch = Epoch(membership.current.number + 1, change.members, change.policy, height + 1, size)
    return Membership((*membership.epochs, epoch))


# ---------------------------------------------------------------- who must agree


@pytest.mark.parametrize("missing", [*MEMBERS, "tenants"])
def test_whoever_joins_needs_every_member_and_himself(missing: str) -> None:
    change = adding(START, "tenants")
    assert refusal(START, signed(change)) is None
    assert refusal(START, signed(change, without=missing)) is ChangeRefusal.SIGNATURES
    assert unsigned_by(START.current, CLUSTER_ID, signed(change, without=missing)) == (missing,)


def test_a_removal_needs_all_but_the_removed() -> None:
    change = removing(START, "street")
    assert refusal(START, signed(change)) is None
    for other in ("owners", "property"):
        assert refusal(START, signed(change, without=other)) is ChangeRefusal.SIGNATURES


def test_two_of_three_cannot_give_the_third_other_keys() -> None:
    change = rotating(START, "street", consensus_key=new_key("street"))
    assert refusal(START, signed(change)) is None
    assert refusal(START, signed(change, without="street")) is ChangeRefusal.SIGNATURES


def test_a_node_key_is_no_operator_key() -> None:
    change = removing(START, "street")
    forged = sign_change(node_signer("owners", "consensus"), "owners", CLUSTER_ID, signed(change))
    assert refusal(START, forged) is ChangeRefusal.SIGNATURES


def test_a_change_cannot_bring_the_operator_key_that_signs_it() -> None:
    change = rotating(START, "street", operator_key=new_key("street"))
    forged = sign_change(node_signer("street", "new"), "street", CLUSTER_ID, signed(change))
    assert unsigned_by(START.current, CLUSTER_ID, forged) == ("street",)


def test_an_agreement_fits_no_other_ledger() -> None:
    offered = signed(removing(START, "street"))
    assert refusal(START, offered, bytes(32)) is ChangeRefusal.SIGNATURES


def test_an_agreement_to_one_change_fits_no_other_change() -> None:
    offered = signed(adding(START, "tenants"))
    other = SignedChange(change=adding(START, "union"), signatures=offered.signatures)
    assert refusal(START, other) is ChangeRefusal.SIGNATURES


def test_a_signature_of_somebody_who_is_not_asked_is_refused() -> None:
    change = removing(START, "street")
    more = sign_change(node_signer("street", OPERATOR), "street", CLUSTER_ID, signed(change))
    assert refusal(START, more) is ChangeRefusal.SIGNATURES


def test_signing_again_leaves_one_signature_a_member() -> None:
    change = removing(START, "street")
    again = sign_change(node_signer("owners", OPERATOR), "owners", CLUSTER_ID, signed(change))
    assert again == signed(change)


def test_operators_sign_the_ledger_and_the_whole_change() -> None:
    change = adding(START, "tenants")
    head, _, said = change_message(CLUSTER_ID, change).partition(b"\n")
    assert head == b"linli/membership/v1"
    value = json.loads(said)
    assert value["cluster_id"] == b64u_encode(CLUSTER_ID)
    assert [member["id"] for member in value["change"]["members"]] == sorted([*MEMBERS, "tenants"])


# ---------------------------------------------------------------- one step


@pytest.mark.parametrize(
    "change",
    [
        adding(START, "tenants", "union"),
        adding(START),
        change_of(START, "node.remove", adding(START, "tenants").members),
        change_of(START, "node.add", removing(START, "street").members),
        change_of(START, "key.rotate", removing(START, "street").members),
        change_of(START, "node.add", (*removing(START, "street").members, organisation("tenants"))),
        rotating(START, "street"),
        rotating(START, "street", operator_key=new_key("street")),
        rotating(START, "street", name="another name"),
        change_of(START, "node.add", (*adding(START, "tenants").members[1:], organisation("owners", log_key="A" * 43))),
    ],
)
def test_more_or_other_than_the_kind_says_is_not_one_step(change: Change) -> None:
    assert refuse_change(START.current, used(START), CLUSTER_ID, signed(change)) is ChangeRefusal.NOT_ONE_STEP


def test_fewer_members_than_must_attest_are_refused() -> None:
    two = begun(START, removing(START, "street"), 10, 100)
    assert refusal(two, signed(removing(two, "owners"))) is ChangeRefusal.POLICY_TOO_FEW


def test_the_id_of_a_member_that_left_is_never_used_again() -> None:
    two = begun(START, removing(START, "street"), 10, 100)
    fresh = {f"{role}_key": new_key(role) for role in (*ROLES, OPERATOR)}
    back = change_of(two, "node.add", (*two.current.members, organisation("street", **fresh)))
    assert refusal(two, signed(back)) is ChangeRefusal.ID_USED


@pytest.mark.parametrize("role", [*ROLES, OPERATOR])
def test_a_joiner_brings_his_own_keys(role: str) -> None:
    taken = organisation("tenants", **{f"{role}_key": FOUNDED.members[0].cosign_key})
    change = change_of(START, "node.add", (*START.current.members, taken))
    assert refusal(START, signed(change)) is ChangeRefusal.KEY_USED


def test_one_new_key_in_two_places_is_refused() -> None:
    change = rotating(START, "street", consensus_key=new_key("street"), cosign_key=new_key("street"))
    assert refusal(START, signed(change)) is ChangeRefusal.KEY_USED


def test_a_retired_key_never_comes_back() -> None:
    old = START.current.members[2].cosign_key
    rotated = begun(START, rotating(START, "street", cosign_key=new_key("street")), 10, 100)
    assert refusal(rotated, signed(rotating(rotated, "street", cosign_key=old))) is ChangeRefusal.KEY_USED


def test_what_was_signed_for_an_earlier_epoch_is_refused() -> None:
    after = begun(START, adding(START, "tenants"), 10, 100)
    assert refusal(after, signed(removing(START, "street"))) is ChangeRefusal.EPOCH_PASSED


def policy_change(**numbers: int) -> Change:
    policy = msgspec.structs.replace(FOUNDED.policy, **numbers)
    return Change(0, "policy.set", FOUNDED.members, policy)


def test_another_policy_leaves_the_members_and_needs_all_of_them() -> None:
    change = policy_change(final_without_ms=1_000)
    assert refusal(START, signed(change)) is None
    assert refusal(START, signed(change, without="street")) is ChangeRefusal.SIGNATURES
    assert refusal(START, signed(policy_change())) is ChangeRefusal.NOT_ONE_STEP
    both = msgspec.structs.replace(removing(START, "street"), policy=change.policy)
    assert refusal(START, signed(both)) is ChangeRefusal.NOT_ONE_STEP
    assert refusal(START, signed(policy_change(attestations=4))) is ChangeRefusal.POLICY_TOO_FEW
    after = begun(START, change, 10, 100)
    assert genesis_of_epoch(FOUNDED, after.current).policy.final_without_ms == 1_000


# ---------------------------------------------------------------- epochs


def test_the_tree_with_which_an_epoch_ends_is_signed_by_the_next_one() -> None:
    after = begun(START, adding(START, "tenants"), 11, 105)
    assert [after.epoch_at_height(height).number for height in (1, 11, 12)] == [0, 0, 1]
    assert [after.epoch_of_size(size).number for size in (0, 104, 105, 106)] == [0, 0, 1, 1]
    assert [after.epoch(number) for number in (-1, 2)] == [None, None]


def test_three_become_seven_and_three_again_by_single_steps() -> None:
    membership, height = START, 10
    for node in JOINERS:
        membership, height = begun(membership, adding(membership, node), height, 10 * height), height + 10
    for node in JOINERS:
        membership, height = begun(membership, removing(membership, node), height, 10 * height), height + 10
    assert [epoch.number for epoch in membership.epochs] == list(range(9))
    assert [len(epoch.members) for epoch in membership.epochs] == [3, 4, 5, 6, 7, 6, 5, 4, 3]
    assert membership.current.members == FOUNDED.members
    for before, after in pairwise(membership.epochs):
        assert len(set(before.ids) ^ set(after.ids)) == 1
        assert (before.first_height, before.first_size) < (after.first_height, after.first_size)


def test_each_epoch_has_the_policy_of_its_members() -> None:
    four = begun(START, adding(START, "tenants"), 10, 100)
    texts = [policy_text(genesis_of_epoch(FOUNDED, epoch), Quorum(len(epoch.members)).quorum) for epoch in four.epochs]
    first, second = (parse_policy(text) for text in texts)
    assert (first.groups["committed"].threshold, second.groups["committed"].threshold) == (2, 3)
    assert second.groups["sealed"].threshold == 4
    assert second.witnesses["tenants"] == four.current.cosign_keys(ORIGIN)["tenants"]
    assert {node: first.witnesses[node] for node in MEMBERS} == {node: second.witnesses[node] for node in MEMBERS}


# ---------------------------------------------------------------- old keys


def retired(before: Membership, after: Membership) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Whose consensus keys and whose cosign keys ended with the epoch before."""
    pair = (before.current, after.current)
    return retired_with(*pair, "consensus"), retired_with(*pair, "cosign")


def test_keys_of_whoever_leaves_end_with_the_epoch_and_of_whoever_rotates_those_that_are_replaced() -> None:
    gone = begun(START, removing(START, "street"), 10, 100)
    assert retired(START, gone) == (("street",), ("street",))
    rotated = begun(START, rotating(START, "street", cosign_key=new_key("street")), 10, 100)
    assert retired(START, rotated) == ((), ("street",)), "the key that stayed goes on being good"
    again = begun(rotated, rotating(rotated, "street", cosign_key=new_key("street again")), 20, 206)
    assert retired(rotated, again) == ((), ("street",))
    joined = begun(START, adding(START, "tenants"), 10, 100)
    assert retired(START, joined) == ((), ())


def test_no_key_counts_as_retired_at_an_end_that_was_a_fork() -> None:
    """It was decided afterwards where the epoch had ended: honest members had signed that end before, and more."""
    gone = begun(START, removing(START, "street"), 10, 100).current
    assert retired_with(START.current, gone, "consensus") == ("street",)
    after_fork = msgspec.structs.replace(gone, disputed=Disputed(90, ("property", "owners")))
    assert retired_with(START.current, after_fork, "consensus") == ()


# ---------------------------------------------------------------- reading


def test_a_signed_change_is_read_as_it_was_written() -> None:
    offered = signed(adding(START, "tenants"))
    assert parse_change(encode(offered)) == offered


def _reversed(change: SignedChange) -> SignedChange:
    members = tuple(reversed(change.change.members))
    return msgspec.structs.replace(change, change=msgspec.structs.replace(change.change, members=members))


def _with_member(change: SignedChange, **keys: str) -> SignedChange:
    first, *others = change.change.members
    members = (msgspec.structs.replace(first, **keys), *others)
    return msgspec.structs.replace(change, change=msgspec.structs.replace(change.change, members=members))


GOOD = signed(adding(START, "tenants"))


@pytest.mark.parametrize(
    "bad",
    [
        _reversed(GOOD),
        msgspec.structs.replace(GOOD, signatures=GOOD.signatures[::-1]),
        msgspec.structs.replace(GOOD, signatures=(GOOD.signatures[0], *GOOD.signatures)),
        _with_member(GOOD, operator_key=""),
        _with_member(GOOD, consensus_key=b64u_encode(b"\x01" + bytes(31))),
        _with_member(GOOD, operator_key=b64u_encode(b"\x01" + bytes(31))),
    ],
)
def test_what_is_no_change_is_malformed(bad: SignedChange) -> None:
    with pytest.raises(Malformed):
        parse_change(encode(bad))


def test_who_was_put_out_may_see_how_that_came_and_no_more() -> None:
    joined = begun(START, adding(START, "tenants"), 10, 30)
    left = begun(joined, removing(joined, "street"), 20, 60)
    later = begun(left, adding(left, "union"), 30, 90)
    assert later.last_height_of("street") == 20
    assert [later.last_height_of(node) for node in ("owners", "union", "watch")] == [None, None, None]
