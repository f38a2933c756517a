"""Policies: made from genesis, read as tlog-policy says; what they grade."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samples import GENESIS, MEMBERS, ORIGIN, POLICY_TEXT, QUORUM
from server.ledger.policy import Grade, parse_policy, policy_text
from server.record.canonical import Malformed
from tests.vector_files import vector_cases


@pytest.mark.parametrize("case", vector_cases("policies.json", valid=True))
def test_good_policies_grade_as_the_vectors_say(case: dict[str, Any]) -> None:
    policy = parse_policy(case["policy"])
    assert policy.origin == case["origin"]
    assert list(policy.witnesses) == case["witnesses"]
    for graded in case["grades"]:
        grade = policy.grade(graded["signers"])
        assert (grade.value if grade else "") == graded["grade"]


@pytest.mark.parametrize("case", vector_cases("policies.json", valid=False))
def test_bad_policies_are_malformed(case: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        parse_policy(case["policy"])


def test_the_policy_of_a_genesis_names_every_member_as_log_and_witness() -> None:
    policy = parse_policy(policy_text(GENESIS, QUORUM))
    assert policy.origin == ORIGIN
    assert [log.public for log in policy.logs] == [GENESIS.key(member, "log") for member in MEMBERS]
    assert {name: key.public for name, key in policy.witnesses.items()} == {
        member: GENESIS.key(member, "cosign") for member in MEMBERS
    }
    assert policy.groups["committed"].threshold == QUORUM
    assert policy.groups["sealed"].threshold == len(MEMBERS)
    assert policy.quorum == "committed"


def test_a_strict_ledger_knows_no_grade_below_sealed() -> None:
    policy = parse_policy(policy_text(GENESIS, len(MEMBERS)))
    assert policy.grade(MEMBERS[:2]) is None
    assert policy.grade(MEMBERS) is Grade.SEALED


@given(st.sets(st.sampled_from([*MEMBERS, "nobody", "committed", "sealed"])))
def test_only_known_witnesses_count(signers: set[str]) -> None:
    count = len(signers & set(MEMBERS))
    expected = {0: None, 1: None, 2: Grade.COMMITTED, 3: Grade.SEALED}[count]
    assert parse_policy(POLICY_TEXT).grade(signers) is expected


def test_a_chain_of_groups_is_graded_without_exponential_work() -> None:
    names = ["street"]
    lines = []
    for number in range(200):
        lines.append(f"group g{number} all {' '.join(names[-2:])}")
        names.append(f"g{number}")
    policy = parse_policy(POLICY_TEXT.replace("quorum committed", "\n".join(lines) + "\nquorum g199"))
    assert policy.grade(["street"]) is Grade.COMMITTED


@given(st.text() | st.lists(st.sampled_from(POLICY_TEXT.replace("\n", " \n ").split(" ")), max_size=30).map(" ".join))
def test_texts_that_are_no_policy_raise_malformed_and_nothing_else(text: str) -> None:
    for candidate in (text, POLICY_TEXT + text, text + POLICY_TEXT):
        try:
            parse_policy(candidate)
        except Malformed:
            continue
