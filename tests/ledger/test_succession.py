"""Successions: genesis alone decides which later members are believed; the shared vectors say how."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from server.consensus.quorum import Quorum
from server.ledger.genesis import parse_genesis
from server.ledger.membership import genesis_of_epoch
from server.ledger.policy import policy_text
from server.ledger.succession import Link, SuccessionError, follow_links
from tests.vector_files import read_vectors, vector_cases
from verifier.encoding import Rejected
from verifier.genesis import parse_genesis as parse_verifiers_genesis
from verifier.policy import parse_policy
from verifier.succession import follow

VECTORS = read_vectors("successions.json")
GENESIS, CLUSTER_ID = parse_genesis(VECTORS["genesis"].encode())


def quorum_of(n: int) -> int:
    return Quorum(n).quorum


def follow_all(case: dict[str, Any]) -> Any:
    links = msgspec.convert(case["links"], list[Link])
    return follow_links(GENESIS, CLUSTER_ID, VECTORS["estate"], links, quorum_of)


@pytest.mark.parametrize("case", vector_cases("successions.json", valid=True))
def test_links_lead_from_genesis_to_the_members_of_today(case: dict[str, Any]) -> None:
    epochs = follow_all(case).epochs
    told = [
        {
            "first_size": one.first_size,
            "policy": policy_text(genesis_of_epoch(GENESIS, one), quorum_of(len(one.members))),
        }
        for one in epochs
    ]
    assert told == case["eras"]


@pytest.mark.parametrize("case", vector_cases("successions.json", valid=False))
def test_links_that_prove_no_membership_are_refused(case: dict[str, Any]) -> None:
    with pytest.raises(SuccessionError):
        follow_all(case)


@pytest.mark.parametrize("case", vector_cases("successions.json", valid=True))
def test_the_independent_verifier_comes_to_the_same_members(case: dict[str, Any]) -> None:
    eras = follow(parse_verifiers_genesis(VECTORS["genesis"].encode()), json.dumps({"links": case["links"]}).encode())
    assert [era.first_size for era in eras] == [era["first_size"] for era in case["eras"]]
    assert [era.policy for era in eras] == [parse_policy(era["policy"]) for era in case["eras"]]


@pytest.mark.parametrize("case", vector_cases("successions.json", valid=False))
def test_the_independent_verifier_refuses_what_we_refuse(case: dict[str, Any]) -> None:
    with pytest.raises(Rejected):
        follow(parse_verifiers_genesis(VECTORS["genesis"].encode()), json.dumps({"links": case["links"]}).encode())
