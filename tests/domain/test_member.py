"""Who may sign: keys tied to people by two organisations, roles given by two, and ways around that do not work."""

from __future__ import annotations

from typing import Any

import pytest

from server.domain.member import (
    ATTESTATION_LIFE_MS,
    DEVICES_MAX,
    BindDevice,
    Device,
    GrantRole,
    Member,
    RevokeDevice,
    RevokeRole,
)
from server.limits import DAY_MS, HOUR_MS
from server.record.canonical import b64u_decode, b64u_encode
from server.record.rows import Key
from tests.domain.world import World, device, roll_body


def kid(name: str) -> str:
    return device(name).kid


def test_a_bound_device_signs_and_votes_at_once_when_it_is_the_first(world: World) -> None:
    world.bind("newcomer")
    bound = world.get(Device, kid("newcomer"))
    assert bound is not None
    assert (bound.member, bound.attested_by, bound.revoked) == ("newcomer", ("owners", "street"), False)
    assert bound.votes_from_ms == bound.bound_ms == world.time_ms
    assert world.get(Member, "newcomer") == Member("newcomer", (), (kid("newcomer"),))


def test_binding_refusals_stand_in_their_order(world: World) -> None:
    """Every fault at once; each refusal names the first, and it is mended."""
    old = world.time_ms - 2 * ATTESTATION_LIFE_MS
    for number in range(DEVICES_MAX - 1):
        world.bind("li", f"li-{number}")
    world.bind("li-s-friend", "lost")
    world.do("li-s-friend", "device.revoke", {"revoked": kid("lost")}, signer="lost")

    def body(signer: str, member: str = "li", *, genuine: bool = True, at_ms: int = 0) -> dict[str, Any]:
        bind = world.bind_body(member, signer)
        attestation = world.attestation("owners", member, kid(signer), time_ms=at_ms)
        if not genuine:
            attestation["signature"] = b64u_encode(bytes(64))
        return {**bind, "attestations": [attestation]}

    codes = [
        world.refuse("li", "device.bind", body("lost", genuine=False, at_ms=old), signer="lost"),
        world.refuse("chen", "device.bind", body("fresh", genuine=False, at_ms=old), signer="fresh"),
        world.refuse("li", "device.bind", body("fresh", genuine=False, at_ms=old), signer="fresh"),
        world.refuse("li", "device.bind", body("fresh", at_ms=old), signer="fresh"),
        world.refuse("li", "device.bind", body("fresh"), signer="fresh"),
    ]
    assert codes == [refusal.value for refusal in BindDevice.Refusal]


def test_a_key_of_another_member_cannot_be_taken_over(world: World) -> None:
    assert world.refuse("chen", "device.bind", world.bind_body("chen", "li"), signer="li") == "key_of_another"


@pytest.mark.parametrize("changed", ["member", "kid", "evidence", "node", "time_ms"])
def test_an_attestation_holds_for_exactly_what_it_was_signed_for(world: World, changed: str) -> None:
    signed: dict[str, Any] = {"node": "owners", "member": "li", "kid": kid("li-2"), "evidence": "phone"}
    other: dict[str, Any] = {"node": "street", "member": "chen", "kid": kid("li"), "evidence": "document"}
    at_ms = world.time_ms + 1 if changed == "time_ms" else world.time_ms
    if changed in signed:
        signed[changed] = other[changed]
    genuine = world.attestation(**signed, time_ms=at_ms)
    claimed = {"evidence": "phone", "node": "owners", "signature": genuine["signature"], "time_ms": world.time_ms}
    body = {**world.bind_body("li", "li-2"), "attestations": [claimed]}
    assert world.refuse("li", "device.bind", body, signer="li-2") == "attestation_invalid"


def test_an_attestation_of_a_stranger_counts_for_nothing(world: World) -> None:
    forged = {**world.attestation("owners", "li", kid("li-2")), "node": "atlantis"}
    body = {**world.bind_body("li", "li-2"), "attestations": [forged]}
    assert world.refuse("li", "device.bind", body, signer="li-2") == "attestation_invalid"


def test_a_second_bind_adds_the_second_organisation(world: World) -> None:
    world.bind("newcomer", nodes=("owners",))
    world.bind("newcomer", nodes=("street",))
    bound = world.get(Device, kid("newcomer"))
    assert bound is not None and bound.attested_by == ("owners", "street")


def test_a_key_bound_beside_another_votes_a_day_later(world: World) -> None:
    world.bind("li", "li-2")
    second = world.get(Device, kid("li-2"))
    assert second is not None and second.votes_from_ms == world.time_ms + DAY_MS


def test_two_organisations_that_saw_the_person_lift_the_delay(world: World) -> None:
    world.bind("li", "li-2", evidence="document")
    second = world.get(Device, kid("li-2"))
    assert second is not None and second.votes_from_ms == world.time_ms
    world.bind("li", "li-3", nodes=("owners",), evidence="document")
    third = world.get(Device, kid("li-3"))
    assert third is not None and third.votes_from_ms == world.time_ms + DAY_MS


def test_revoking_everything_first_does_not_lift_the_delay(world: World) -> None:
    """Whoever holds the phone number for an hour binds, revokes all keys, and binds again: the owner has his day."""
    world.bind("li", "thief")
    world.do("li", "device.revoke", {"revoked": kid("li")}, signer="thief")
    world.do("li", "device.revoke", {"revoked": kid("thief")}, signer="thief")
    member = world.get(Member, "li")
    assert member is not None and member.devices == ()
    world.bind("li", "thief-2")
    bound = world.get(Device, kid("thief-2"))
    assert bound is not None and bound.votes_from_ms == world.time_ms + DAY_MS


def test_revoking_refusals_stand_in_their_order(world: World) -> None:
    world.bind("li", "li-2")
    codes = [world.refuse("li", "device.revoke", {"revoked": kid("chen")})]
    world.do("li", "device.revoke", {"revoked": kid("li-2")})
    codes.append(world.refuse("li", "device.revoke", {"revoked": kid("li-2")}))
    assert codes == [refusal.value for refusal in RevokeDevice.Refusal]


def test_a_role_takes_officers_of_two_organisations(world: World) -> None:
    body = {"member": "sun", "organisation": "street", "role": "auditor"}
    world.do("officer-owners", "role.grant", body)
    assert world.refuse("officer-owners", "role.grant", body) == GrantRole.Refusal.ALREADY_APPROVED.value
    sun = world.get(Member, "sun")
    assert sun is not None and sun.roles == ("staff@property",)
    world.do("officer-street", "role.grant", body)
    sun = world.get(Member, "sun")
    assert sun is not None and sun.roles == ("auditor@street", "staff@property")
    assert world.refuse("officer-property", "role.grant", body) == GrantRole.Refusal.ROLE_ALREADY_HELD.value


def test_a_role_is_held_for_a_member_organisation(world: World) -> None:
    """Whoever signs: nobody could answer for `staff@nowhere`, and no later block makes it a member of the cluster."""
    body = {"member": "sun", "organisation": "nowhere", "role": "staff"}
    for officer in ("officer-owners", "officer-street"):
        assert world.refuse(officer, "role.grant", body) == "organisation_unknown"
    sun = world.get(Member, "sun")
    assert sun is not None and sun.roles == ("staff@property",)
    assert "organisation_unknown" in GrantRole.permanent


def test_taking_a_role_back_takes_two_as_well(world: World) -> None:
    body = {"member": "sun", "organisation": "property", "role": "staff"}
    world.do("officer-owners", "role.revoke", body)
    assert world.refuse("officer-owners", "role.revoke", body) == RevokeRole.Refusal.ALREADY_APPROVED.value
    world.do("officer-street", "role.revoke", body)
    sun = world.get(Member, "sun")
    assert sun is not None and sun.roles == ()
    assert world.refuse("officer-owners", "role.revoke", body) == RevokeRole.Refusal.ROLE_NOT_HELD.value


def test_the_same_role_can_be_given_again(world: World) -> None:
    """Approvals are used up: old signatures do not count for a later grant."""
    body = {"member": "sun", "organisation": "property", "role": "staff"}
    for kind in ("role.revoke", "role.grant"):
        world.do("officer-owners", kind, body)
        sun = world.get(Member, "sun")
        assert sun is not None and ("staff@property" in sun.roles) is (kind == "role.revoke")
        world.do("officer-street", kind, body)


def test_an_officer_of_two_organisations_speaks_for_one(world: World) -> None:
    """Genesis may name one person twice; one signature is still one organisation's."""
    member = world.get(Member, "officer-owners")
    assert member is not None
    both = Member(member.id, ("officer@owners", "officer@street"), member.devices)
    world.rows[Key(Member.table, member.id)] = both
    body = {"member": "sun", "organisation": "street", "role": "auditor"}
    world.do("officer-owners", "role.grant", body)
    assert world.refuse("officer-owners", "role.grant", body) == "already_approved"
    published = roll_body("new")
    world.do("officer-owners", "roll.publish", published)
    confirm = {"roll": "new", "root": published["root"]}
    assert world.refuse("officer-owners", "roll.confirm", confirm) == "already_approved"


def test_one_organisation_alone_cannot_sign_as_another_ones_officer(world: World) -> None:
    """The property company attests a key of its own to the street's officer."""
    world.bind("officer-street", "forged", nodes=("property",))
    body = {"member": "sun", "organisation": "street", "role": "committee"}
    assert world.refuse("officer-street", "role.grant", body, signer="forged") == "role_missing"


def test_an_officers_new_key_waits_as_a_voters_does(world: World) -> None:
    world.bind("officer-street", "new-phone")
    body = {"member": "sun", "organisation": "street", "role": "committee"}
    assert world.refuse("officer-street", "role.grant", body, signer="new-phone") == "role_missing"
    world.do(
        "officer-street",
        "role.grant",
        body,
        signer="new-phone",
        after_ms=DAY_MS,
        expires_ms=world.time_ms + DAY_MS + HOUR_MS,
        made_ms=world.time_ms + DAY_MS,
    )


def test_a_signature_with_another_spelling_is_malformed_before_it_can_stop_a_node(world: World) -> None:
    body = world.bind_body("li", "li-2")
    signature = body["attestations"][0]["signature"]
    assert b64u_decode(signature, 64)
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    body["attestations"][0]["signature"] = signature[:-1] + alphabet[alphabet.index(signature[-1]) + 1]
    record = world.record("li", "device.bind", body, signer="li-2")
    with pytest.raises(ValueError, match="signature"):
        world.block(record)
