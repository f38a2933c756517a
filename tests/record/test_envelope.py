"""Records: exactly one form is read; everything else is Malformed before anything is ordered."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samples import CREATED_MS, ESTATE, LI, WANG, payload
from server.limits import PAYLOAD_BYTES_MAX, RECORD_BYTES_MAX
from server.record.canonical import Malformed, b64u_decode, b64u_encode, encode
from server.record.envelope import (
    SESSION_TYPE,
    Payload,
    estate_name,
    is_signed_by,
    parse_record,
    sign_jws,
    sign_record,
    split_jws,
)
from server.record.shape import parse
from server.record.signature import DeviceKey, DeviceSigner
from tests.vector_files import read_vectors, vector_cases

VECTOR_ESTATE: str = read_vectors("records.json")["estate"]
RECORD = sign_record(LI, payload("device.revoke", "m-li", {"revoked": LI.kid}, "record"))


def changed(**members: Any) -> str:
    """A well signed record with these members of the payload changed."""
    content = {**json.loads(b64u_decode(RECORD.split(".")[1])), **members}
    return sign_jws(LI, encode(content))


@pytest.mark.parametrize("case", vector_cases("records.json", valid=True))
def test_a_good_record_is_read_and_its_signature_holds(case: dict[str, Any]) -> None:
    envelope = parse_record(case["record"], VECTOR_ESTATE)
    assert (envelope.id, envelope.kid) == (case["id"], case["kid"])
    assert encode(envelope.payload).decode() == case["payload"]
    key = parse(DeviceKey, case["device_key"])
    assert key.thumbprint() == envelope.kid
    assert is_signed_by(envelope, key.point())


@pytest.mark.parametrize("case", vector_cases("records.json", valid=False))
def test_any_other_form_is_malformed(case: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        parse_record(case["record"], VECTOR_ESTATE)


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("author", ""),
        ("author", "M-Li"),
        ("author", "m-li\n"),
        ("author", "m" * 41),
        ("kind", "vote"),
        ("kind", "Ballot.cast"),
        ("kind", "ballot.cast.123"),
        ("kind", "ballot.cast\n"),
        ("made_ms", 0),
        ("made_ms", -1),
        ("made_ms", True),
        ("estate", "xiangshanyuan"),
        ("nonce", ""),
        ("nonce", "A" * 23),
        ("body", "text"),
    ],
)
def test_a_member_of_another_shape_is_malformed_and_named(member: str, value: object) -> None:
    with pytest.raises(Malformed) as refused:
        parse_record(changed(**{member: value}), ESTATE)
    assert refused.value.field == member


def test_the_id_does_not_depend_on_the_signature() -> None:
    head = RECORD.rpartition(".")[0]
    again = f"{head}.{b64u_encode(WANG.sign(head.encode()))}"
    assert parse_record(again, ESTATE).id == parse_record(RECORD, ESTATE).id


def test_another_payload_has_another_id() -> None:
    assert parse_record(changed(made_ms=CREATED_MS + 1), ESTATE).id != parse_record(RECORD, ESTATE).id


def test_a_signature_of_another_key_is_read_but_does_not_hold() -> None:
    envelope = parse_record(RECORD, ESTATE)
    assert is_signed_by(envelope, LI.public.point())
    assert not is_signed_by(envelope, WANG.public.point())


def test_a_payload_of_the_largest_size_is_read_and_one_byte_more_is_malformed() -> None:
    room = PAYLOAD_BYTES_MAX - len(b64u_decode(changed(body={"text": ""}).split(".")[1]))
    assert len(changed(body={"text": "a" * room})) <= RECORD_BYTES_MAX
    assert parse_record(changed(body={"text": "a" * room}), ESTATE).payload.body == {"text": "a" * room}
    with pytest.raises(Malformed):
        parse_record(changed(body={"text": "a" * (room + 1)}), ESTATE)


def test_a_text_beyond_every_bound_is_malformed_at_once() -> None:
    with pytest.raises(Malformed):
        parse_record("A" * 10_000_000, ESTATE)


def test_a_session_proof_is_no_record_and_a_record_no_session_proof() -> None:
    session = sign_jws(LI, encode(payload("device.revoke", "m-li", {}, "session")), SESSION_TYPE)
    assert split_jws(session, SESSION_TYPE)[1] == LI.kid
    with pytest.raises(Malformed):
        parse_record(session, ESTATE)
    with pytest.raises(Malformed):
        split_jws(RECORD, SESSION_TYPE)


def test_a_record_fits_one_genesis_only() -> None:
    assert estate_name("xiangshanyuan", bytes(32)) == "xiangshanyuan." + "A" * 22
    with pytest.raises(Malformed):
        parse_record(RECORD, estate_name("xiangshanyuan", bytes(32)))


def test_a_new_key_signs_records_that_are_read_again() -> None:
    signer = DeviceSigner.from_pem(DeviceSigner.generate().pem())
    said = payload("device.revoke", "m-li", {"revoked": signer.kid}, "new key")
    envelope = parse_record(sign_record(signer, said), ESTATE)
    assert envelope.payload == said
    assert is_signed_by(envelope, signer.public.point())


@given(st.text(max_size=100) | st.lists(st.text("ABCabc123-_=", max_size=40), max_size=4).map(".".join))
def test_bad_texts_raise_malformed_and_nothing_else(text: str) -> None:
    with pytest.raises(Malformed):
        parse_record(text, ESTATE)


@given(
    st.integers(0, len(RECORD) - 1),
    st.sampled_from("AZaz09-_.=+/ \n\x00é\ud800"),
    st.sampled_from([str.__add__, lambda kept, new: kept[:-1] + new, lambda kept, new: kept[:-1]]),
)
def test_one_changed_character_never_gives_the_same_record(
    place: int, new: str, change: Callable[[str, str], str]
) -> None:
    text = change(RECORD[: place + 1], new) + RECORD[place + 1 :]
    try:
        envelope = parse_record(text, ESTATE)
    except Malformed:
        return
    original = parse_record(RECORD, ESTATE)
    assert text == RECORD or (envelope.id, envelope.signature) != (original.id, original.signature)


@given(st.dictionaries(st.sampled_from(Payload.__struct_fields__), st.integers() | st.text(max_size=5) | st.booleans()))
def test_payloads_of_other_types_raise_malformed_and_nothing_else(members: dict[str, Any]) -> None:
    try:
        text = changed(**members)
    except OverflowError:
        return  # an integer that canonical JSON cannot even write
    try:
        parse_record(text, ESTATE)
    except Malformed:
        return
    assert all(name in ("author", "made_ms", "expires_ms", "nonce", "kind") for name in members)
