"""Signatures of devices and nodes, held against vectors made by others and against a second library."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from ecdsa import BadSignatureError, Ed25519, NIST256p, SigningKey, VerifyingKey
from ecdsa.errors import MalformedPointError
from ecdsa.util import sigencode_string
from hypothesis import given, settings
from hypothesis import strategies as st

from samples import LI, ORDER, FixedDevice, node_signer, seed
from server.record.canonical import Malformed
from server.record.shape import parse
from server.record.signature import (
    DeviceKey,
    DeviceSigner,
    NodeSigner,
    check_node_key,
    device_key_of,
    verify,
    verify_node,
)
from tests.vector_files import vector_cases

MESSAGE = b"message"
POINT = LI.public.point()
SIGNATURE = LI.sign(MESSAGE)


def test_the_vectors_of_wycheproof_are_decided_as_they_say(shared_data: Path) -> None:
    groups = json.loads((shared_data / "vectors" / "ecdsa_p256_sha256.json").read_text())["testGroups"]
    wrong = []
    for group in groups:
        point = bytes.fromhex(group["publicKey"]["uncompressed"])
        compressed = bytes([2 + point[-1] % 2]) + point[1:33]
        for test in group["tests"]:
            message, signature = bytes.fromhex(test["msg"]), bytes.fromhex(test["sig"])
            answers = {verify(key, message, signature) for key in (point, compressed)}
            if answers != {test["result"] == "valid"}:
                wrong.append((test["tcId"], test["comment"]))
    assert sum(len(group["tests"]) for group in groups) > 100
    assert not wrong


@pytest.mark.parametrize("case", vector_cases("signatures.json"))
def test_our_own_vectors_of_es256_are_decided_as_they_say(case: dict[str, Any]) -> None:
    point, message, signature = (bytes.fromhex(case[name]) for name in ("point", "message", "signature"))
    assert verify(point, message, signature) is case["valid"]


@given(st.binary(min_size=1, max_size=80), st.integers(1, ORDER - 1), st.integers(0, 511), st.booleans())
@settings(max_examples=40)
def test_a_second_library_decides_alike(message: bytes, secret: int, bit: int, bend: bool) -> None:
    key = SigningKey.from_secret_exponent(secret, NIST256p, hashlib.sha256)
    signature = key.sign_deterministic(message, hashfunc=hashlib.sha256, sigencode=sigencode_string)
    if bend:
        signature = (int.from_bytes(signature) ^ (1 << bit)).to_bytes(64)
    point = key.verifying_key.to_string("uncompressed")
    assert verify(point, message, signature) is is_valid_elsewhere(point, message, signature)


def is_valid_elsewhere(point: bytes, message: bytes, signature: bytes) -> bool:
    try:
        key = VerifyingKey.from_string(point, NIST256p, hashlib.sha256)
        return bool(key.verify(signature, message, hashfunc=hashlib.sha256))
    except (BadSignatureError, MalformedPointError):
        return False


@given(st.binary(min_size=60, max_size=70), st.binary(max_size=10))
@settings(max_examples=40)
def test_random_bytes_are_no_key_and_no_signature(noise: bytes, message: bytes) -> None:
    assert verify(noise, message, SIGNATURE) is False
    assert verify(POINT, message, noise) is False
    assert verify_node(noise, message, noise) is False


GARBAGE = [None, 0, 1.5, True, "text", "", b"", [], [1] * 64, (), {}, object(), bytearray(64), memoryview(bytes(64))]


@pytest.mark.parametrize("key", [*GARBAGE, POINT, b"\x00", b"\x04" + bytes(64), POINT[1:], b"\x06" + POINT[1:]])
@pytest.mark.parametrize("message", [*GARBAGE, MESSAGE])
def test_bad_input_is_false_and_never_an_exception(key: Any, message: Any) -> None:
    for signature in (*GARBAGE, SIGNATURE, bytes(64), bytes(63), b"\xff" * 64):
        is_good = key is POINT and message is MESSAGE and signature is SIGNATURE
        assert verify(key, message, signature) is is_good


def test_a_point_is_taken_compressed_and_uncompressed_but_in_no_hybrid_form() -> None:
    parity = POINT[-1] % 2
    assert verify(bytes([2 + parity]) + POINT[1:33], MESSAGE, SIGNATURE)
    assert not verify(bytes([3 - parity]) + POINT[1:33], MESSAGE, SIGNATURE)
    assert not verify(bytes([6 + parity]) + POINT[1:], MESSAGE, SIGNATURE)


def test_low_and_high_s_are_both_accepted() -> None:
    s = int.from_bytes(SIGNATURE[32:])
    assert verify(POINT, MESSAGE, SIGNATURE[:32] + (ORDER - s).to_bytes(32))


@pytest.mark.parametrize("case", vector_cases("thumbprints.json"))
def test_a_device_key_is_strict_and_has_one_name(case: dict[str, Any]) -> None:
    if case["valid"]:
        key = parse(DeviceKey, case["jwk"])
        assert key.thumbprint() == case["kid"]
        assert device_key_of(key.point()) == key
    else:
        with pytest.raises(Malformed):
            parse(DeviceKey, case["jwk"]).point()


def test_a_device_key_survives_its_pem() -> None:
    assert DeviceSigner.from_pem(LI.pem()).kid == LI.kid


@pytest.mark.parametrize("pem", [b"", b"no key", NodeSigner(seed("x")).public])
def test_what_is_no_key_is_not_loaded(pem: bytes) -> None:
    with pytest.raises(ValueError, match="PEM"):
        DeviceSigner.from_pem(pem)


@pytest.mark.parametrize("key", [ec.generate_private_key(ec.SECP384R1()), Ed25519PrivateKey.generate()])
def test_a_key_of_another_curve_is_not_loaded(key: ec.EllipticCurvePrivateKey | Ed25519PrivateKey) -> None:
    form = serialization.PrivateFormat.PKCS8
    pem = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    with pytest.raises(ValueError, match="not a P-256"):
        DeviceSigner.from_pem(pem)


# RFC 8032 7.1, tests 1 to 3: secret, public, message, signature
RFC_8032 = [
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
        "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
]


@pytest.mark.parametrize(("secret", "public", "message", "signature"), RFC_8032)
def test_nodes_sign_as_rfc_8032_says(secret: str, public: str, message: str, signature: str) -> None:
    signer = NodeSigner(bytes.fromhex(secret))
    assert signer.public.hex() == public
    assert signer.sign(bytes.fromhex(message)).hex() == signature
    assert verify_node(signer.public, bytes.fromhex(message), bytes.fromhex(signature))


@given(st.binary(max_size=60), st.integers(0, 511), st.booleans())
@settings(max_examples=20)
def test_a_second_library_decides_alike_about_nodes(message: bytes, bit: int, bend: bool) -> None:
    signer = node_signer("street", "log")
    signature = signer.sign(message)
    if bend:
        signature = (int.from_bytes(signature) ^ (1 << bit)).to_bytes(64)
    assert verify_node(signer.public, message, signature) is not bend
    try:
        held = bool(VerifyingKey.from_string(signer.public, Ed25519).verify(signature, message))
    except (BadSignatureError, ValueError):
        held = False
    assert held is not bend


@pytest.mark.parametrize("signature", [b"", bytes(63), bytes(64), bytes(65)])
@pytest.mark.parametrize("key", [b"", bytes(31), bytes(33), b"\xff" * 32, node_signer("street", "log").public])
def test_bad_keys_and_signatures_of_nodes_are_false(key: bytes, signature: bytes) -> None:
    assert verify_node(key, MESSAGE, signature) is False


def test_bad_input_about_a_node_is_false_and_never_an_exception() -> None:
    signer = node_signer("street", "log")
    good = signer.public, MESSAGE, signer.sign(MESSAGE)
    assert verify_node(*good)
    for place in range(3):
        for garbage in GARBAGE:
            bent: list[Any] = [*good]
            bent[place] = garbage
            assert verify_node(*bent) is False, (place, garbage)


def test_fixed_devices_are_fixed() -> None:
    assert FixedDevice("li").sign(MESSAGE) == SIGNATURE
    assert verify(POINT, MESSAGE, SIGNATURE)


FIELD, SUBGROUP = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493  # RFC 8032 5.1
CURVE_D = -121665 * pow(121666, -1, FIELD) % FIELD
EdwardsPoint = tuple[int, int]


def add_points(one: EdwardsPoint, other: EdwardsPoint) -> EdwardsPoint:
    """The complete addition law of edwards25519, straight from RFC 8032 5.1.4."""
    (x1, y1), (x2, y2) = one, other
    bent = CURVE_D * x1 * x2 * y1 * y2
    x, y = (x1 * y2 + x2 * y1) * pow(1 + bent, -1, FIELD), (y1 * y2 + x1 * x2) * pow(1 - bent, -1, FIELD)
    return x % FIELD, y % FIELD


def times(factor: int, point: EdwardsPoint) -> EdwardsPoint:
    product = (0, 1)
    for bit in f"{factor:b}":
        product = add_points(product, product)
        product = add_points(product, point) if bit == "1" else product
    return product


def every_encoding_of_small_order() -> set[bytes]:
    """Points of the whole curve, which a second library reads, times the prime order: what is left has order 1 to 8."""
    found = set()
    for y in range(2, 60):
        try:
            point = VerifyingKey.from_string(y.to_bytes(32, "little"), Ed25519).pubkey.point
        except MalformedPointError:
            continue
        small = times(SUBGROUP, (int(point.x()), int(point.y())))
        assert times(8, small) == (0, 1)
        spellings = [value for value in (small[1], small[1] + FIELD) if value < 2**255]
        found |= {(value | sign << 255).to_bytes(32, "little") for value in spellings for sign in (0, 1)}
    return found


def test_every_key_of_small_order_is_refused_by_name_in_all_its_spellings() -> None:
    keys = every_encoding_of_small_order()
    assert len(keys) == 14
    for key in keys:
        with pytest.raises(Malformed, match="small order") as caught:
            check_node_key(key, "log_key")
        assert caught.value.field == "log_key"


def test_an_honest_key_has_no_small_order() -> None:
    for name in ("owners", "property", "street"):
        check_node_key(node_signer(name, "log").public, "log_key")


def test_a_key_of_small_order_would_verify_what_nobody_signed() -> None:
    assert verify_node(b"\x01" + bytes(31), MESSAGE, b"\x01" + bytes(63))
