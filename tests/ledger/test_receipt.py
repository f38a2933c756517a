"""Receipts: decided as the vectors say, built as they are read; nothing but ReceiptError comes out of bad ones."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samples import (
    ACCEPTED_RECORD,
    BIND_LI,
    CLUSTER_ID,
    ESTATE,
    GENESIS,
    LI,
    OFFICER,
    OFFICERS_RECORD,
    POLICY_TEXT,
    SEAL,
    SampleLedger,
    sample_ledger,
)
from server.ledger.block import record_entry
from server.ledger.merkle import leaf_hash
from server.ledger.policy import Grade, parse_policy
from server.ledger.receipt import (
    RECEIPT_BYTES_MAX,
    DerivedEntry,
    ReceiptError,
    ReceiptFault,
    RecordEntry,
    VerifiedReceipt,
    officers_of,
    parse_entry,
    parse_proof,
    receipt_text,
    split_receipt,
    verify_receipt,
)
from server.limits import ENTRY_BYTES_MAX
from server.record.envelope import estate_name
from tests.vector_files import read_vectors, vector_cases
from vector_cases.barrings import sample_convict

VECTORS = read_vectors("receipts.json")
POLICIES = {name: parse_policy(text) for name, text in VECTORS["policies"].items()}
POLICY = parse_policy(POLICY_TEXT)
LEDGER = sample_ledger()
PROOF = LEDGER.proof(ACCEPTED_RECORD, LI.public)
RECEIPT = receipt_text(PROOF, LEDGER.proof(BIND_LI, LI.public))
RANK = {"committed": 1, "sealed": 2}


def reason_of(error: ReceiptError) -> str:
    is_checkpoint = error.fault is ReceiptFault.CHECKPOINT
    return f"{error.fault.value}.{error.detail}" if is_checkpoint else error.fault.value


def verify(case: dict[str, Any]) -> VerifiedReceipt:
    """Evidence is verified by whoever has the members' keys; `unchecked` cases are for those who have none."""
    convict = None if "unchecked" in case else sample_convict
    return verify_receipt(case["receipt"], POLICIES[case["policy"]], VECTORS["estate"], convict=convict)


@pytest.mark.parametrize("case", vector_cases("receipts.json", valid=True))
def test_good_receipts_prove_what_they_say(case: dict[str, Any]) -> None:
    verified = verify(case)
    proven = verified.proven
    assert (verified.grade.value, verified.owner_checked) == (case["grade"], case["owner_checked"])
    assert (verified.barred, verified.unchecked) == (tuple(case.get("barred", ())), tuple(case.get("unchecked", ())))
    assert (proven.entry.index, proven.entry.outcome) == (case["index"], case["outcome"])
    if proven.envelope is None:
        assert "id" not in case
    else:
        said = (proven.envelope.id, proven.envelope.kid, proven.envelope.payload.author)
        assert said == (case["id"], case["kid"], case["author"])


@pytest.mark.parametrize("case", vector_cases("receipts.json", valid=False))
def test_bad_receipts_are_refused_for_their_reason(case: dict[str, Any]) -> None:
    if "require" in case:
        grade = verify(case).grade
        assert RANK[grade.value] < RANK[case["require"]]
        return
    with pytest.raises(ReceiptError) as refused:
        verify(case)
    assert reason_of(refused.value) == case["reason"]


def test_every_fault_has_a_vector() -> None:
    reasons = {case["reason"].partition(".")[0] for case in VECTORS["cases"] if not case["valid"]}
    assert {fault.value for fault in ReceiptFault} - reasons == {"record"}


def test_a_receipt_of_another_estate_is_refused() -> None:
    with pytest.raises(ReceiptError) as refused:
        verify_receipt(RECEIPT, POLICY, estate_name("xiangshanyuan", bytes(32)))
    assert refused.value.fault is ReceiptFault.RECORD
    assert verify_receipt(RECEIPT, POLICY, estate_name("xiangshanyuan", CLUSTER_ID)).owner_checked


def test_an_officer_is_known_from_genesis() -> None:
    proof = LEDGER.proof(OFFICERS_RECORD, OFFICER.public)
    officers = officers_of(GENESIS)
    assert not verify_receipt(proof, POLICY, ESTATE).owner_checked
    assert verify_receipt(proof, POLICY, ESTATE, officers).owner_checked
    assert not verify_receipt(proof, POLICY, ESTATE, officers | {OFFICER.kid: "officer-owners"}).owner_checked


def test_genesis_speaks_for_its_officers_only() -> None:
    assert not verify_receipt(PROOF, POLICY, ESTATE, officers_of(GENESIS)).owner_checked


def test_a_proof_is_read_as_it_was_built() -> None:
    proof = parse_proof(PROOF)
    assert proof.index == ACCEPTED_RECORD
    assert list(proof.hashes) == LEDGER.path(ACCEPTED_RECORD)
    assert proof.note == LEDGER.note()
    assert split_receipt(RECEIPT) == [PROOF, LEDGER.proof(BIND_LI, LI.public)]
    assert split_receipt(PROOF) == [PROOF]


def test_entries_keep_their_bytes() -> None:
    entry = parse_entry(LEDGER.entries[ACCEPTED_RECORD])
    assert isinstance(entry, RecordEntry)
    assert isinstance(parse_entry(LEDGER.entries[SEAL]), DerivedEntry)
    proven = verify_receipt(RECEIPT, POLICY, ESTATE).proven
    assert (proven.entry, proven.leaf) == (entry, leaf_hash(LEDGER.entries[ACCEPTED_RECORD]))


def test_an_entry_is_at_most_what_a_bundle_can_hold() -> None:
    """C2SP entry bundles count an entry's bytes with 16 bits."""
    room = ENTRY_BYTES_MAX - len(record_entry(1, 1, 1, "", "accepted"))
    entry = parse_entry(record_entry(1, 1, 1, "a" * room, "accepted"))
    assert isinstance(entry, RecordEntry)
    assert len(entry.record) == room
    with pytest.raises(ReceiptError):
        parse_entry(record_entry(1, 1, 1, "a" * (room + 1), "accepted"))


def test_a_log_of_one_entry_needs_no_steps() -> None:
    ledger = SampleLedger()
    ledger.add_block([])
    proven = verify_receipt(ledger.proof(0, None), POLICY, ESTATE).proven
    assert (proven.grade, proven.checkpoint.checkpoint.size) == (Grade.SEALED, 1)


def test_a_receipt_beyond_every_bound_is_refused() -> None:
    with pytest.raises(ReceiptError):
        verify_receipt("A" * (RECEIPT_BYTES_MAX + 1), POLICY, ESTATE)


@given(st.integers(0, len(RECEIPT)), st.integers(0, 200), st.text(max_size=5))
def test_a_changed_receipt_is_refused_or_proves_the_same(begin: int, length: int, text: str) -> None:
    changed = RECEIPT[:begin] + text + RECEIPT[begin + length :]
    try:
        verified = verify_receipt(changed, POLICY, ESTATE)
    except ReceiptError:
        return
    assert verified.proven.entry == verify_receipt(RECEIPT, POLICY, ESTATE).proven.entry


@given(st.text() | st.binary(max_size=60).map(lambda data: data.decode("latin-1")))
def test_texts_that_are_no_receipt_raise_receipt_error_and_nothing_else(text: str) -> None:
    head = "\n".join(PROOF.split("\n")[:3])
    for candidate in (text, f"{head}\n{text}", f"{RECEIPT}---\n{text}"):
        with pytest.raises(ReceiptError):
            verify_receipt(candidate, POLICY, ESTATE)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5), st.lists, max_leaves=4))
def test_values_that_are_no_entry_raise_receipt_error_and_nothing_else(value: Any) -> None:
    for candidate in (value, {"system": value}, {"record": value}, {"height": value}):
        with pytest.raises(ReceiptError):
            parse_entry(json.dumps(candidate).encode())
