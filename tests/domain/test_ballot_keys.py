"""The keys of a motion's ballots: one of each organisation, for this motion, under its own signature."""

from typing import Any

import msgspec
import pytest

from samples import CLUSTER_ID, GENESIS, MEMBERS, node_signer, seed
from server.domain.ballot_keys import BallotKey, BallotKeys, KeyFault, ballot_key_bytes, find_key_fault
from server.domain.genesis_rows import trust_of
from server.record.box import BoxContext, box_key_of, open_box, seal_box
from server.record.canonical import Malformed, b64u_encode, decode, encode
from server.record.shape import parse, seal
from tests.vector_files import vector_cases

MOTION, ANOTHER_MOTION = b64u_encode(seed("motion")), b64u_encode(seed("another motion"))
TRUST = trust_of(GENESIS, CLUSTER_ID)


def announce(member: str, key: bytes, motion: str = MOTION, cluster_id: bytes = CLUSTER_ID, by: str = "") -> BallotKey:
    """An organisation's key with its announcement."""
    content = ballot_key_bytes(cluster_id, motion, member, key)
    signature = node_signer(by or member, "attest").sign(content)
    return BallotKey(key=b64u_encode(key), member=member, signature=b64u_encode(signature))


def private_key(member: str) -> bytes:
    """The private key of an organisation for the motion."""
    return seed(f"{member} ballot key")


def honest(member: str) -> BallotKey:
    """What an honest organisation announces."""
    return announce(member, box_key_of(private_key(member)))


KEYS = BallotKeys(keys=tuple(honest(member) for member in MEMBERS))


def with_first(announced: BallotKey) -> BallotKeys:
    """The keys with another first one."""
    return BallotKeys(keys=(announced, *KEYS.keys[1:]))


def test_the_keys_that_all_announced_are_taken_and_seal_a_ballot_that_two_of_three_open() -> None:
    assert find_key_fault(KEYS, MOTION, TRUST) is None
    commitment, opening = seal("for", bytes(16))
    context = BoxContext(CLUSTER_ID, commitment, KEYS.public_keys(), MOTION, 0, "lift")
    box = seal_box(opening, seed("box"), context)
    assert open_box(box, context, {1: private_key(MEMBERS[1]), 2: private_key(MEMBERS[2])}) == opening


@pytest.mark.parametrize(
    "keys",
    [
        KEYS.keys[:2],
        (KEYS.keys[1], KEYS.keys[0], KEYS.keys[2]),
        (KEYS.keys[0], KEYS.keys[0], KEYS.keys[2]),
        (*KEYS.keys, announce("bank", box_key_of(seed("bank")))),
    ],
)
def test_every_member_has_one_key_in_the_order_of_members(keys: tuple[BallotKey, ...]) -> None:
    assert find_key_fault(BallotKeys(keys=keys), MOTION, TRUST) is KeyFault.MEMBERS_DIFFER


@pytest.mark.parametrize("key", [bytes(32), (1).to_bytes(32, "little"), (2**255 - 19).to_bytes(32, "little")])
def test_a_key_under_which_anybody_reads_is_not_taken(key: bytes) -> None:
    assert find_key_fault(with_first(announce(MEMBERS[0], key)), MOTION, TRUST) is KeyFault.KEY_UNFIT


def test_one_key_for_two_organisations_would_give_its_holder_two_shares() -> None:
    same = announce(MEMBERS[0], box_key_of(private_key(MEMBERS[1])))
    assert find_key_fault(with_first(same), MOTION, TRUST) is KeyFault.KEY_TWICE


@pytest.mark.parametrize(
    "announced",
    [
        announce(MEMBERS[0], box_key_of(seed("x")), motion=ANOTHER_MOTION),
        announce(MEMBERS[0], box_key_of(seed("x")), cluster_id=bytes(32)),
        announce(MEMBERS[0], box_key_of(seed("x")), by=MEMBERS[1]),
        msgspec.structs.replace(KEYS.keys[0], key=b64u_encode(box_key_of(seed("x")))),
        msgspec.structs.replace(KEYS.keys[0], signature=b64u_encode(bytes(64))),
    ],
    ids=["another motion", "another ledger", "another organisation", "another key", "no signature"],
)
def test_a_key_that_its_organisation_did_not_announce_for_this_motion_is_not_taken(announced: BallotKey) -> None:
    assert find_key_fault(with_first(announced), MOTION, TRUST) is KeyFault.NOT_ANNOUNCED


def test_keys_of_an_earlier_motion_serve_no_later_one() -> None:
    """After a close the keys are handed over: brought again, they would open ballots before the next close."""
    assert find_key_fault(KEYS, ANOTHER_MOTION, TRUST) is KeyFault.NOT_ANNOUNCED


def test_an_organisation_that_is_no_member_any_more_has_no_key() -> None:
    later = msgspec.structs.replace(TRUST, attest_keys=dict(list(TRUST.attest_keys.items())[:2]))
    assert find_key_fault(KEYS, MOTION, later) is KeyFault.MEMBERS_DIFFER


def test_the_first_fault_in_order_is_told() -> None:
    unfit = announce(MEMBERS[0], bytes(32), motion=ANOTHER_MOTION)
    assert find_key_fault(BallotKeys(keys=(unfit, KEYS.keys[1])), MOTION, TRUST) is KeyFault.MEMBERS_DIFFER
    assert find_key_fault(with_first(unfit), MOTION, TRUST) is KeyFault.KEY_UNFIT


def test_keys_are_read_from_a_record_as_they_were_written() -> None:
    assert parse(BallotKeys, decode(encode(KEYS))) == KEYS
    with pytest.raises(Malformed):
        parse(BallotKeys, {"keys": []})


@pytest.mark.parametrize("case", vector_cases("ballot_keys.json"))
def test_the_shared_vectors_are_decided_as_they_say(case: dict[str, Any]) -> None:
    fault = find_key_fault(parse(BallotKeys, {"keys": case["keys"]}), MOTION, TRUST)
    assert (fault.value if fault else None) == case.get("reason")
