"""Successions: genesis alone decides which later members are believed; the shared vectors say how."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from server.consensus.guilt import culprit_finder
from server.consensus.quorum import Quorum
from server.ledger.genesis import parse_genesis
from server.ledger.policy import parse_policy as parse_tlog_policy
from server.ledger.policy import verify_checkpoint
from server.ledger.succession import Link, SuccessionError, follow_links
from tests.vector_files import read_vectors, vector_cases
from vector_cases.successions import told_eras
from verifier.encoding import Rejected
from verifier.genesis import parse_genesis as parse_verifiers_genesis
from verifier.policy import parse_policy
from verifier.succession import follow, genesis_for, policies

VECTORS = read_vectors("successions.json")
GENESIS, CLUSTER_ID = parse_genesis(VECTORS["genesis"].encode())


def quorum_of(n: int) -> int:
    return Quorum(n).quorum


def follow_all(case: dict[str, Any]) -> Any:
    links = msgspec.convert(case["links"], list[Link])
    culprit_of = culprit_finder(GENESIS.origin, CLUSTER_ID)
    return follow_links(GENESIS, CLUSTER_ID, VECTORS["estate"], links, quorum_of, culprit_of)


@pytest.mark.parametrize("case", vector_cases("successions.json", valid=True))
def test_links_lead_from_genesis_to_the_members_of_today(case: dict[str, Any]) -> None:
    assert told_eras(follow_all(case)) == case["eras"]


FORKS = [case for case in VECTORS["cases"] if "checkpoints" in case]


@pytest.mark.parametrize("case", FORKS, ids=lambda case: case["name"])
def test_of_two_trees_that_counts_which_somebody_signed_who_held_the_kept_branch(case: dict[str, Any]) -> None:
    eras = follow(parse_verifiers_genesis(VECTORS["genesis"].encode()), json.dumps({"links": case["links"]}).encode())
    for told in case["checkpoints"]:
        size = int(told["note"].split("\n")[1])
        text = next(era["policy"] for era in reversed(case["eras"]) if era["first_size"] <= size)
        grade = verify_checkpoint(told["note"], parse_tlog_policy(text)).grade
        assert (grade.value if grade else "") == told["grade"]
        if told["abandoned"]:
            with pytest.raises(Rejected, match=f"abandoned.*{told['abandoned'][0]}"):
                genesis_for(eras, "\n\n" + told["note"])
        else:
            assert genesis_for(eras, "\n\n" + told["note"]).policy == parse_policy(text)


@pytest.mark.parametrize("case", vector_cases("successions.json", valid=False))
def test_links_that_prove_no_membership_are_refused(case: dict[str, Any]) -> None:
    with pytest.raises(SuccessionError):
        follow_all(case)


@pytest.mark.parametrize("case", vector_cases("successions.json", valid=True))
def test_the_independent_verifier_comes_to_the_same_members(case: dict[str, Any]) -> None:
    eras = follow(parse_verifiers_genesis(VECTORS["genesis"].encode()), json.dumps({"links": case["links"]}).encode())
    assert policies(eras) == [(era["first_size"], parse_policy(era["policy"])) for era in case["eras"]]


@pytest.mark.parametrize("case", vector_cases("successions.json", valid=False))
def test_the_independent_verifier_refuses_what_we_refuse(case: dict[str, Any]) -> None:
    with pytest.raises(Rejected):
        follow(parse_verifiers_genesis(VECTORS["genesis"].encode()), json.dumps({"links": case["links"]}).encode())
