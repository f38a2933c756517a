"""Checkpoints: C2SP texts, strict, decided as the vectors say; other texts raise CheckpointError and nothing else."""

from base64 import b64decode, b64encode
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samples import GENESIS, MEMBERS, ORIGIN, POLICY_TEXT, node_signer, sample_ledger
from server.ledger.checkpoint import (
    TYPE_COSIGNATURE,
    TYPE_LOG,
    Checkpoint,
    CheckpointError,
    CheckpointFault,
    VerifierKey,
    b64_decode,
    b64_encode,
    cosign_line,
    key_id,
    log_line,
    note_of,
    parse_line,
    parse_note,
    verify_cosign_line,
    verify_lines,
)
from server.ledger.policy import parse_policy, verify_checkpoint
from server.record.canonical import Malformed
from server.record.signature import verify_node
from tests.vector_files import read_vectors, vector_cases

POLICIES = {name: parse_policy(text) for name, text in read_vectors("checkpoints.json")["policies"].items()}
POLICY = parse_policy(POLICY_TEXT)
ROOT = bytes(range(32))
COSIGNER, LOG = node_signer("street", "cosign"), node_signer("street", "log")
NOTE = sample_ledger().note()


@pytest.mark.parametrize("case", vector_cases("checkpoints.json", valid=True))
def test_good_checkpoints_are_read_with_their_signers(case: dict[str, Any]) -> None:
    verified = verify_checkpoint(case["note"], POLICIES[case["policy"]])
    assert (verified.checkpoint.size, verified.checkpoint.root.hex()) == (case["size"], case["root"])
    assert sorted(verified.cosigned) == case["signers"]
    assert (verified.grade.value if verified.grade else "") == case["grade"]


@pytest.mark.parametrize("case", vector_cases("checkpoints.json", valid=False))
def test_bad_checkpoints_are_refused_for_their_reason(case: dict[str, Any]) -> None:
    with pytest.raises(CheckpointError) as refused:
        verify_checkpoint(case["note"], POLICIES[case["policy"]])
    assert refused.value.fault.value == case["reason"]


def test_the_note_text_is_three_lines() -> None:
    assert Checkpoint(ORIGIN, 7, ROOT).text() == f"{ORIGIN}\n7\n{b64encode(ROOT).decode()}\n"


def test_a_cosignature_signs_time_and_text_and_carries_the_time() -> None:
    """tlog-cosignature, byte for byte."""
    line = cosign_line(COSIGNER, ORIGIN, "street", 7, ROOT, 1_679_315_147)
    dash, name, blob = line.split(" ")
    data = b64decode(blob)
    text = f"cosignature/v1\ntime 1679315147\n{ORIGIN}\n7\n{b64encode(ROOT).decode()}\n"
    assert (dash, name) == ("\u2014", f"{ORIGIN}/street")
    assert data[:4] == key_id(f"{ORIGIN}/street", TYPE_COSIGNATURE, COSIGNER.public)
    assert int.from_bytes(data[4:12]) == 1_679_315_147
    assert verify_node(COSIGNER.public, text.encode(), data[12:])


def test_a_log_line_signs_the_text_under_the_origin() -> None:
    dash, name, blob = log_line(LOG, ORIGIN, 7, ROOT).split(" ")
    data = b64decode(blob)
    assert (dash, name) == ("\u2014", ORIGIN)
    assert data[:4] == key_id(ORIGIN, TYPE_LOG, LOG.public)
    assert verify_node(LOG.public, Checkpoint(ORIGIN, 7, ROOT).text().encode(), data[4:])


def test_key_ids_are_those_of_the_specification_s_example() -> None:
    """The key PeterNeumann of golang.org/x/mod/sumdb/note, whose documentation gives id c74f20a3."""
    typed = b64decode("ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")
    assert key_id("PeterNeumann", typed[0], typed[1:]).hex() == "c74f20a3"
    assert VerifierKey("PeterNeumann", TYPE_LOG, typed[1:]).text().startswith("PeterNeumann+c74f20a3+ARpc")


CHANGES: list[Callable[[dict[str, Any]], dict[str, Any]]] = [
    lambda said: said | {"size": 8},
    lambda said: said | {"root": bytes(32)},
    lambda said: said | {"origin": "linli.example/other"},
    lambda said: said | {"member": "owners"},
    lambda said: said | {"public": node_signer("owners", "cosign").public},
    lambda said: said | {"line": ""},
    lambda said: said | {"line": said["line"] + "\n"},
    lambda said: said | {"line": log_line(LOG, ORIGIN, 7, ROOT)},
    lambda said: said | {"line": said["line"][:-8] + "AAAAAAA="},
]


@pytest.mark.parametrize("change", CHANGES)
def test_one_line_is_verified_for_exactly_what_it_says(change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    said = {"public": COSIGNER.public, "origin": ORIGIN, "member": "street", "size": 7, "root": ROOT}
    said["line"] = cosign_line(COSIGNER, ORIGIN, "street", 7, ROOT, 1)
    assert verify_cosign_line(**said)
    assert not verify_cosign_line(**change(said))


@given(st.text(max_size=80))
def test_a_line_that_is_none_is_false(line: str) -> None:
    assert not verify_cosign_line(COSIGNER.public, ORIGIN, "street", 7, ROOT, line)


def test_a_note_is_what_its_parts_say() -> None:
    checkpoint = Checkpoint(ORIGIN, 7, ROOT)
    lines = [log_line(LOG, ORIGIN, 7, ROOT), cosign_line(COSIGNER, ORIGIN, "street", 7, ROOT, 5)]
    parsed = parse_note(note_of(checkpoint, lines), ORIGIN)
    assert parsed.checkpoint == checkpoint
    assert parsed.lines == tuple(parse_line(line) for line in lines)
    keys = [POLICY.witnesses["street"], *POLICY.logs]
    assert sorted(verify_lines(parsed, keys).values()) == [0, 5]


def test_a_time_after_the_latest_is_refused() -> None:
    line = cosign_line(COSIGNER, ORIGIN, "street", 7, ROOT, 2**63)
    with pytest.raises(CheckpointError) as refused:
        verify_lines(parse_note(note_of(Checkpoint(ORIGIN, 7, ROOT), [line]), ORIGIN), [POLICY.witnesses["street"]])
    assert refused.value.fault is CheckpointFault.SIGNATURE


def test_more_signature_lines_than_anybody_needs_are_refused() -> None:
    stranger = f"\u2014 witness.example/w1 {b64_encode(bytes(76))}"
    note = note_of(Checkpoint(ORIGIN, 7, ROOT), [stranger] * 65)
    with pytest.raises(CheckpointError):
        parse_note(note, ORIGIN)
    assert len(parse_note(note_of(Checkpoint(ORIGIN, 7, ROOT), [stranger] * 64), ORIGIN).lines) == 64


@given(st.integers(0, len(NOTE)), st.integers(0, len(NOTE)), st.text(max_size=5))
def test_a_changed_note_is_refused_or_says_the_same(begin: int, end: int, text: str) -> None:
    changed = NOTE[:begin] + text + NOTE[max(begin, end) :]
    try:
        verified = verify_checkpoint(changed, POLICY)
    except CheckpointError:
        return
    assert verified.checkpoint == verify_checkpoint(NOTE, POLICY).checkpoint
    assert verified.cosigned.keys() <= set(MEMBERS)


@given(st.text() | st.lists(st.text("\u2014 abc/+=0123456789\n", max_size=20), max_size=8).map("\n".join))
def test_texts_that_are_no_note_raise_checkpoint_error_and_nothing_else(text: str) -> None:
    for note in (text, f"{ORIGIN}\n{text}", NOTE + text):
        try:
            verify_checkpoint(note, POLICY)
        except CheckpointError:
            continue


@pytest.mark.parametrize("case", vector_cases("base64.json"))
def test_base64_is_strict(case: dict[str, Any]) -> None:
    if case["valid"]:
        assert b64_decode(case["text"]) == bytes.fromhex(case["hex"])
        assert b64_encode(bytes.fromhex(case["hex"])) == case["text"]
    else:
        with pytest.raises(Malformed):
            b64_decode(case["text"])


def test_the_sample_s_keys_are_those_of_its_genesis() -> None:
    assert all(GENESIS.key(member, "cosign") == POLICY.witnesses[member].public for member in MEMBERS)
