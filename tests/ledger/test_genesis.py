"""Genesis: one spelling, sane members, and everything that follows from it."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from samples import CLUSTER_ID, ESTATE, GENESIS, GENESIS_BYTES, MEMBERS, QUORUM, node_signer
from server.ledger.genesis import OPERATOR, estate_of, parse_genesis
from server.ledger.policy import policy_text
from server.record.canonical import Malformed, b64u_encode, encode
from tests.vector_files import vector_cases


@pytest.mark.parametrize("case", vector_cases("genesis.json"))
def test_genesis_is_decided_as_the_vectors_say(case: dict[str, Any]) -> None:
    if not case["valid"]:
        with pytest.raises(Malformed):
            parse_genesis(case["text"].encode())
        return
    genesis, cluster_id = parse_genesis(case["text"].encode())
    assert b64u_encode(cluster_id) == case["cluster_id"]
    assert estate_of(genesis, cluster_id) == case["estate"]
    assert policy_text(genesis, QUORUM) == case["policy"]


Change = Callable[[dict[str, Any]], object]
CHANGES: dict[str, Change] = {
    "members out of order": lambda value: value["members"].reverse(),
    "a member twice": lambda value: value["members"].append(value["members"][0]),
    "no members": lambda value: value.update(members=[]),
    "more attestations than members": lambda value: value["policy"].update(attestations=4),
    "more approvals than members": lambda value: value["policy"].update(approvals=4),
    "no approval at all": lambda value: value["policy"].update(approvals=0),
    "a padded key": lambda value: value["members"][0].update(log_key=value["members"][0]["log_key"] + "="),
    "a short key": lambda value: value["members"][0].update(cosign_key="AAAA"),
    "trailing bits of a key": lambda value: value["members"][0].update(cosign_key="A" * 42 + "B"),
    "an officer's key off the curve": lambda value: value["members"][0]["officers"][0]["device_key"].update(x="A" * 43),
    "another mode": lambda value: value.update(mode="fast"),
    "other rules": lambda value: value.update(rules=2),
    "an origin without a path": lambda value: value.update(origin="linli.example"),
    "an origin with a newline": lambda value: value.update(origin="linli.example/x\n"),
    "another member of the object": lambda value: value.update(note="x"),
    "an empty name": lambda value: value["estate"].update(name=""),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_does_not_make_a_cluster_is_malformed(change: Change) -> None:
    value = json.loads(GENESIS_BYTES)
    change(value)
    with pytest.raises(Malformed):
        parse_genesis(encode(value))


@pytest.mark.parametrize("name", ["attest_key", "consensus_key", "cosign_key", "log_key"])
def test_a_member_key_under_which_anybody_signs_is_malformed_and_named(name: str) -> None:
    value = json.loads(GENESIS_BYTES)
    value["members"][1][name] = b64u_encode(b"\x01" + bytes(31))
    with pytest.raises(Malformed, match="small order") as caught:
        parse_genesis(encode(value))
    assert caught.value.field == f"members[1].{name}"


def test_the_cluster_id_is_the_hash_of_the_bytes() -> None:
    value = json.loads(GENESIS_BYTES)
    value["created_ms"] += 1
    assert parse_genesis(GENESIS_BYTES)[1] == CLUSTER_ID
    assert parse_genesis(encode(value))[1] != CLUSTER_ID
    assert ESTATE.endswith(b64u_encode(CLUSTER_ID)[:22])


def test_members_are_found_by_id() -> None:
    assert [member.id for member in GENESIS.members] == list(MEMBERS)
    assert GENESIS.member("street") is GENESIS.members[2]
    assert GENESIS.member("nobody") is None
    assert len(GENESIS.key("street", "consensus")) == 32


def with_operators(members: int) -> bytes:
    """The sample genesis in which so many members, from the first on, have an operator key."""
    value = json.loads(GENESIS_BYTES)
    for member in value["members"][:members]:
        member["operator_key"] = b64u_encode(node_signer(member["id"], OPERATOR).public)
    return encode(value)


def test_a_genesis_from_before_operator_keys_is_read_and_says_that_it_has_none() -> None:
    assert not GENESIS.has_operators
    assert encode(GENESIS) == GENESIS_BYTES


def test_operator_keys_stand_in_genesis_and_are_spelled_once() -> None:
    data = with_operators(len(MEMBERS))
    genesis, _ = parse_genesis(data)
    assert genesis.has_operators
    assert encode(genesis) == data
    assert genesis.key("street", OPERATOR) == node_signer("street", OPERATOR).public


@pytest.mark.parametrize("count", [1, 2])
def test_an_operator_key_that_some_members_lack_is_malformed(count: int) -> None:
    with pytest.raises(Malformed, match="every member has an operator key or none"):
        parse_genesis(with_operators(count))


@pytest.mark.parametrize("operator_key", ["", "AAAA", b64u_encode(b"\x01" + bytes(31))])
def test_an_operator_key_under_which_nobody_or_anybody_signs_is_malformed(operator_key: str) -> None:
    value = json.loads(with_operators(len(MEMBERS)))
    value["members"][0]["operator_key"] = operator_key
    with pytest.raises(Malformed):
        parse_genesis(encode(value))
