"""Another membership: it waits for the seal, begins with the next block, and decides from there on who is trusted."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from server.domain.check import BatchInvalid, check_batch
from server.domain.member import Device
from server.domain.membership import IN_FORCE, ChangeMembers, EpochBegun, EpochInForce
from server.ledger.genesis import OPERATOR, ROLES, Organisation
from server.ledger.membership import Change, ChangeKind, SignedChange, sign_change
from server.record.canonical import b64u_encode
from tests.domain.world import ORGANISATIONS, World, device, make_genesis, organisation, organisation_key

Refusal = ChangeMembers.Refusal


@pytest.fixture
def world() -> World:
    return World(genesis=make_genesis(has_operators=True))


def standing(world: World) -> EpochInForce:
    found = world.get(EpochInForce, IN_FORCE)
    assert found is not None
    return found


def change_of(world: World, kind: ChangeKind, members: tuple[Organisation, ...], **policy: int) -> Change:
    epoch = standing(world).epoch
    ordered = tuple(sorted(members, key=lambda member: member.id))
    return Change(epoch.number, kind, ordered, msgspec.structs.replace(epoch.policy, **policy))


def adding(world: World, name: str = "tenants") -> Change:
    return change_of(world, "node.add", (*standing(world).epoch.members, joiner(name)))


def joiner(name: str) -> Organisation:
    return organisation(name, (*ROLES, OPERATOR))


def removing(world: World, name: str) -> Change:
    return change_of(
        world, "node.remove", tuple(member for member in standing(world).epoch.members if member.id != name)
    )


def rotating(world: World, name: str) -> Change:
    fresh = {
        f"{role}_key": b64u_encode(organisation_key(f"new {name}", role).public) for role in ("consensus", "cosign")
    }
    return change_of(
        world,
        "key.rotate",
        tuple(
            msgspec.structs.replace(member, **fresh) if member.id == name else member
            for member in standing(world).epoch.members
        ),
    )


def body_of(world: World, change: Change, without: str = "") -> dict[str, Any]:
    offered = SignedChange(change=change, signatures=())
    for member in change.members:
        if member.id != without:
            offered = sign_change(organisation_key(member.id, OPERATOR), member.id, world.cluster_id, offered)
    body: dict[str, Any] = msgspec.to_builtins(offered)
    return body


def order(world: World, change: Change) -> None:
    world.do("officer-owners", "members.change", body_of(world, change))


def refuse(world: World, change: Change, **envelope: Any) -> str:
    return world.refuse("officer-owners", "members.change", body_of(world, change, **envelope))


def begin(world: World, change: Change) -> None:
    order(world, change)
    world.block(seals=True)


# ---------------------------------------------------------------- when it begins


def test_a_change_waits_for_the_seal_that_covers_it_and_begins_with_the_block_after(world: World) -> None:
    order(world, adding(world))
    assert (standing(world).number, standing(world).pending_kind) == (0, "node.add")
    before = standing(world)
    world.block(seals=True)
    assert standing(world).epoch.ids == ("owners", "property", "street", "tenants")
    assert (standing(world).number, standing(world).pending) == (1, "")
    begun = world.get(EpochBegun, "1")
    assert begun is not None
    assert (begun.first_height, begun.change_index) == (world.height + 1, before.pending_index)


def test_a_seal_of_less_than_the_change_begins_nothing(world: World) -> None:
    world.bind("li")
    seal = world.seal_item()
    order(world, adding(world))
    world.keep(world.execute([seal], world.time_ms + 1_000))
    assert (standing(world).number, standing(world).pending_kind) == (0, "node.add")


def test_one_change_at_a_time(world: World) -> None:
    order(world, adding(world))
    assert refuse(world, removing(world, "street")) == Refusal.CHANGE_PENDING.value
    world.block(seals=True)
    begin(world, removing(world, "street"))
    assert standing(world).epoch.ids == ("owners", "property", "tenants")


def test_an_agreement_on_an_epoch_that_has_passed_is_refused_for_ever(world: World) -> None:
    late = adding(world, "union")
    begin(world, adding(world))
    assert refuse(world, late) == Refusal.EPOCH_PASSED.value
    assert Refusal.EPOCH_PASSED.value in ChangeMembers.permanent


@pytest.mark.parametrize("shift", [-1, 1])
def test_a_block_says_the_epoch_in_force_and_no_other(world: World, shift: int) -> None:
    begin(world, adding(world))
    items = [world.record("li", "device.bind", world.bind_body("li")).encode()]
    header = msgspec.structs.replace(world.header_of(items, world.time_ms + 1_000), epoch=world.epoch + shift)
    with pytest.raises(BatchInvalid, match="epoch in force"):
        check_batch(header, items, *world.plan(items), [], world.rules)


# ---------------------------------------------------------------- whose signature its seal needs


def test_a_seal_needs_everybody_who_stays_as_it_is(world: World) -> None:
    order(world, adding(world))
    assert standing(world).leaving == ""


@pytest.mark.parametrize("change", [removing, rotating])
def test_a_seal_waits_neither_for_who_is_put_out_nor_for_lost_keys(world: World, change: Any) -> None:
    order(world, change(world, "street"))
    waiting = standing(world)
    assert waiting.excused(waiting.pending_index + 1) == "street"
    assert waiting.excused(waiting.pending_index) == "", "what came before the change is sealed by everybody"


# ---------------------------------------------------------------- what cannot be


def test_a_cluster_without_operators_keeps_its_members_for_ever() -> None:
    founded, with_operators = World(), World(genesis=make_genesis(has_operators=True))
    body = body_of(founded, adding(with_operators))
    assert founded.refuse("officer-owners", "members.change", body) == Refusal.NO_OPERATORS.value


def test_a_signature_too_few_changes_nothing(world: World) -> None:
    for name in (*ORGANISATIONS, "tenants"):
        assert refuse(world, adding(world), without=name) == Refusal.SIGNATURES.value


def test_members_out_of_order_are_malformed(world: World) -> None:
    change = adding(world)
    shuffled = msgspec.structs.replace(change, members=change.members[::-1])
    assert refuse(world, shuffled) == Refusal.CHANGE_MALFORMED.value


def test_who_was_put_out_never_comes_back_under_its_name_or_with_its_keys(world: World) -> None:
    begin(world, adding(world))
    begin(world, removing(world, "tenants"))
    assert refuse(world, adding(world)) == Refusal.ID_USED.value
    disguised = msgspec.structs.replace(joiner("union"), log_key=joiner("tenants").log_key)
    change = change_of(world, "node.add", (*standing(world).epoch.members, disguised))
    assert refuse(world, change) == Refusal.KEY_USED.value


def test_only_an_officer_brings_a_change(world: World) -> None:
    world.bind("li")
    assert world.refuse("li", "members.change", body_of(world, adding(world))) == "role_missing"


def test_an_officer_of_whoever_joins_is_nobody_so_far(world: World) -> None:
    world.bind("officer-tenants")
    assert refuse(world, adding(world)) == Refusal.OFFICER_KNOWN.value


# ---------------------------------------------------------------- who is trusted from then on


def grant(world: World, officer: str, member: str = "sun", organisation: str = "owners") -> str:
    body = {"member": member, "organisation": organisation, "role": "staff"}
    return world.block(world.record(officer, "role.grant", body))[0]


def test_the_officer_of_whoever_joins_signs_for_it_as_soon_as_it_is_a_member(world: World) -> None:
    order(world, adding(world))
    assert grant(world, "officer-tenants") == "role_missing"
    world.block(seals=True)
    assert [grant(world, "officer-tenants"), grant(world, "officer-street")] == ["accepted", "accepted"]
    assert grant(world, "officer-owners") == "role_already_held"


def test_officers_of_who_was_put_out_have_no_office_any_more(world: World) -> None:
    begin(world, adding(world))
    begin(world, removing(world, "street"))
    assert grant(world, "officer-street") == "role_missing"


def test_attestations_of_members_in_force_tie_a_key_to_a_person(world: World) -> None:
    body = world.bind_body("li", nodes=("owners", "tenants"))
    assert world.refuse("li", "device.bind", body) == "attestation_invalid"
    begin(world, adding(world))
    world.bind("li", nodes=("owners", "tenants"))
    found = world.get(Device, device("li").public.thumbprint())
    assert found is not None
    assert found.attested_by == ("owners", "tenants")
    begin(world, removing(world, "street"))
    late = world.bind_body("wang", nodes=("owners", "street"))
    assert world.refuse("wang", "device.bind", late) == "attestation_invalid"


def test_another_policy_is_in_force_from_the_next_block_on(world: World) -> None:
    begin(world, change_of(world, "policy.set", standing(world).epoch.members, approvals=3))
    assert [grant(world, f"officer-{name}") for name in ("owners", "street")] == ["accepted", "accepted"]
    assert grant(world, "officer-owners") == "already_approved", "two are not enough any more"
    assert grant(world, "officer-property") == "accepted"
    assert grant(world, "officer-owners") == "role_already_held"
