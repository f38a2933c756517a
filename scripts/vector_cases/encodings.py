"""Canonical JSON, base64 in both forms, device keys and their thumbprints, ES256, commitments."""

from typing import Any

from samples import LI, ORDER, WANG, FixedDevice, seed
from server.ledger.checkpoint import b64_encode
from server.record.canonical import b64u_encode, decode, encode
from server.record.shape import seal
from server.record.signature import DeviceKey, commitment_of, device_key_of
from vector_cases import curve_edges
from vector_cases.case import Case, bad, good, respelled, vector_file

_SPKI_P256 = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200")
"""What stands before the point in a SubjectPublicKeyInfo of P-256 (RFC 5480)."""

GOOD_VALUES: tuple[tuple[str, Any], ...] = (
    ("an empty object", {}),
    ("an empty array", []),
    ("sorted members", {"a": 1, "a.b": 2, "a_b": 3, "ab": 4, "b": 5}),
    ("the largest integer", 2**53 - 1),
    ("the smallest integer", -(2**53 - 1)),
    ("booleans", [True, False]),
    ("Chinese text is not escaped", {"title": "电梯大修"}),
    ("a character beyond the first plane", "😀"),
    ("escapes: the short ones, and lower-case hexadecimal", '\b\t\n\f\r"\\\u0000\u001f'),
    ("not escaped: slash, delete and line separators", "/\x7f\u0080\u2028\u2029\ufeff"),
    ("eight levels", [[[[[[[[1]]]]]]]]),
    ("digits are lower than letters", {"1": 1, "a": 2}),
)
BAD_TEXTS = (
    ("a space after the colon", "spelling", '{"a": 1}'),
    ("a leading space", "spelling", " 1"),
    ("a trailing newline", "spelling", "1\n"),
    ("members out of order", "spelling", '{"b":1,"a":2}'),
    ("a member twice", "spelling", '{"a":1,"a":1}'),
    ("an escaped letter", "spelling", '"\\u0041"'),
    ("an escaped Chinese character", "spelling", '"\\u7535"'),
    ("an escaped slash", "spelling", '"\\/"'),
    ("an upper-case escape", "spelling", '"\\u001F"'),
    ("a long escape where a short one exists", "spelling", '"\\u000a"'),
    ("a pair of escaped surrogates", "spelling", '"\\ud83d\\ude00"'),
    ("half a character, escaped", "json", '"\\ud83d"'),
    ("minus zero", "spelling", "-0"),
    ("a leading zero", "json", "01"),
    ("a plus sign", "json", "+1"),
    ("a fraction", "model", "1.5"),
    ("a fraction that is whole", "model", "1.0"),
    ("an exponent", "model", "1e3"),
    ("an integer of 2^53", "model", "9007199254740992"),
    ("an integer of -2^53", "model", "-9007199254740992"),
    ("an integer of 70 digits", "model", "1" * 70),
    ("null", "model", "null"),
    ("null in an object", "model", '{"a":null}'),
    ("not a number", "json", "NaN"),
    ("an upper-case name", "model", '{"A":1}'),
    ("an empty name", "model", '{"":1}'),
    ("a Chinese name", "model", '{"电":1}'),
    ("a name of 65 characters", "model", '{"' + "a" * 65 + '":1}'),
    ("nine levels", "model", "[[[[[[[[[1]]]]]]]]]"),
    ("nothing", "json", ""),
    ("two values", "json", "1 2"),
    ("a comma too many", "json", "[1,]"),
    ("a comment", "json", "1/**/"),
    ("single quotes", "json", "'a'"),
    ("a raw line feed in a string", "json", '"\n"'),
    ("a byte order mark", "json", "\ufeff1"),
)
BAD_BYTES = (
    ("a byte that UTF-8 never has", "json", b'"\xff"'),
    ("an overlong slash", "json", b'"\xc0\xaf"'),
    ("a surrogate in UTF-8", "json", b'"\xed\xa0\x80"'),
    ("UTF-16", "json", '"a"'.encode("utf-16")),
)


def files() -> dict[str, dict[str, Any]]:
    """This family's files by name."""
    return {
        "base64.json": _base64(),
        "base64url.json": _base64url(),
        "canonical.json": _canonical(),
        "openings.json": _openings(),
        "signatures.json": _signatures(),
        "thumbprints.json": _thumbprints(),
    }


def _canonical() -> dict[str, Any]:
    cases = [good(name, text=encode(value).decode(), value=value) for name, value in GOOD_VALUES]
    cases += [bad(name, reason, text=text) for name, reason, text in BAD_TEXTS]
    cases += [bad(name, reason, hex=data.hex()) for name, reason, data in BAD_BYTES]
    return vector_file("Canonical JSON (DESIGN.md 2): `text`, or `hex` where the bytes are no text.", cases)


def _base64url() -> dict[str, Any]:
    cases = [good(f"{length} bytes", text=b64u_encode(data), hex=data.hex()) for length, data in _lengths()]
    cases.append(good("both signs of the alphabet", text="-_-_", hex="fbffbf"))
    cases += [
        bad("padded", "spelling", text="AA=="),
        bad("padded once", "spelling", text="AAA="),
        bad("a trailing bit that is not zero, of four", "spelling", text="AB"),
        bad("a trailing bit that is not zero, of two", "spelling", text="AAB"),
        bad("one character over", "length", text="AAAAA"),
        bad("the other alphabet", "alphabet", text="+/+/"),
        bad("a trailing newline", "alphabet", text="AAAA\n"),
        bad("a space", "alphabet", text="AA AA"),
        bad("a digit that is not ASCII", "alphabet", text="AAA\u0661"),
        bad("a full stop", "alphabet", text="AA.A"),
    ]
    return vector_file("Base64url as in records: no padding, zero trailing bits.", cases)


def _base64() -> dict[str, Any]:
    cases = [good(f"{length} bytes", text=b64_encode(data), hex=data.hex()) for length, data in _lengths()]
    cases.append(good("both signs of the alphabet", text="+/+/", hex="fbffbf"))
    cases += [
        bad("not padded", "spelling", text="AA"),
        bad("padded once where two are due", "spelling", text="AA="),
        bad("padding only", "spelling", text="===="),
        bad("padding in the middle", "spelling", text="AA==AAAA"),
        bad("a trailing bit that is not zero, of four", "spelling", text="AB=="),
        bad("a trailing bit that is not zero, of two", "spelling", text="AAB="),
        bad("the other alphabet", "alphabet", text="-_-_"),
        bad("a trailing newline", "alphabet", text="AAAA\n"),
        bad("a space", "alphabet", text="AA AA==="),
    ]
    return vector_file("Standard base64 with padding, as in C2SP texts.", cases)


def _lengths() -> list[tuple[int, bytes]]:
    return [(length, seed("bytes")[:length]) for length in (0, 1, 2, 3, 4, 16, 31, 32)]


def _thumbprints() -> dict[str, Any]:
    jwk = {"crv": "P-256", "kty": "EC", "x": LI.public.x, "y": LI.public.y}
    rfc7517 = {  # RFC 7517 appendix A.1, without the members that are no part of a thumbprint
        "crv": "P-256",
        "kty": "EC",
        "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
        "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
    }
    edge_keys = list(curve_edges.edge_keys())
    flipped = LI.public.x[:-1] + ("E" if LI.public.x[-1] != "E" else "I")
    cases = [
        good("a device", jwk=jwk, kid=LI.kid),
        good("another device", jwk={**jwk, "x": WANG.public.x, "y": WANG.public.y}, kid=WANG.kid),
        good("the key of RFC 7517 A.1", jwk=rfc7517, kid="cn-I_WNMClehiVp51i_0VpOENW1upEerA8sEam5hn-s"),
        *(good(f"a key: {name}", jwk=_jwk(*point), kid=_key(*point).thumbprint()) for name, point in edge_keys),
        bad("another member", "members", jwk={**jwk, "use": "sig"}),
        bad("a private key", "members", jwk={**jwk, "d": b64u_encode(seed("d"))}),
        bad("without y", "members", jwk={name: jwk[name] for name in ("crv", "kty", "x")}),
        bad("another curve", "curve", jwk={**jwk, "crv": "P-384"}),
        bad("another type", "curve", jwk={**jwk, "kty": "OKP"}),
        bad("a padded coordinate", "coordinate", jwk={**jwk, "x": jwk["x"] + "="}),
        bad("trailing bits of x", "coordinate", jwk={**jwk, "x": respelled(jwk["x"])}),
        bad("trailing bits of y", "coordinate", jwk={**jwk, "y": respelled(jwk["y"])}),
        bad("a coordinate of 31 bytes", "coordinate", jwk={**jwk, "x": b64u_encode(bytes(31))}),
        bad("a coordinate of 33 bytes", "coordinate", jwk={**jwk, "y": b64u_encode(bytes(33))}),
        bad("a coordinate that is a number", "coordinate", jwk={**jwk, "y": 1}),
        bad("not on the curve", "point", jwk={**jwk, "x": flipped}),
        bad("the origin", "point", jwk={**jwk, "x": b64u_encode(bytes(32)), "y": b64u_encode(bytes(32))}),
        bad(
            "x plus the field",
            "point",
            jwk={**_jwk(*edge_keys[0][1]), "x": b64u_encode(curve_edges.FIELD.to_bytes(32))},
        ),
        bad("a small x with another y", "point", jwk={**_jwk(*edge_keys[2][1]), "y": _jwk(*edge_keys[0][1])["y"]}),
        bad("a coordinate above the field", "point", jwk={**jwk, "x": b64u_encode(b"\xff" * 32)}),
    ]
    return vector_file("Device keys as JWK and their RFC 7638 thumbprints (kid).", cases)


def _key(x: int, y: int) -> DeviceKey:
    return device_key_of(_sec1(x, y))


def _jwk(x: int, y: int) -> dict[str, str]:
    return {"crv": "P-256", "kty": "EC", "x": _key(x, y).x, "y": _key(x, y).y}


def _signatures() -> dict[str, Any]:
    message = b"linli vectors"
    signature = LI.sign(message)
    r, s = signature[:32], int.from_bytes(signature[32:])
    other = r + (ORDER - s).to_bytes(32)
    low, high = sorted((signature, other), key=lambda value: value[32:])
    zero, order = bytes(32), ORDER.to_bytes(32)

    def case(name: str, value: bytes, reason: str = "", device: FixedDevice = LI, said: bytes = message) -> Case:
        point = b"\x04" + _coordinates(device)
        members = {"point": point.hex(), "message": said.hex(), "signature": value.hex()}
        return bad(name, reason, **members) if reason else good(name, **members)

    cases = [
        case("low s", low),
        case("high s", high),
        case("an empty message", LI.sign(b""), said=b""),
        case("another message", signature, "signature", said=b"linli vector"),
        case("another key", signature, "signature", device=WANG),
        case("r is zero", zero + signature[32:], "range"),
        case("s is zero", r + zero, "range"),
        case("r is the order", order + signature[32:], "range"),
        case("s is the order", r + order, "range"),
        case("all zero", zero + zero, "range"),
        case("r and s exchanged", signature[32:] + r, "signature"),
        case("63 bytes", signature[:-1], "length"),
        case("65 bytes", signature + b"\x00", "length"),
        case("nothing", b"", "length"),
        case("one bit off", bytes([signature[0] ^ 1]) + signature[1:], "signature"),
    ]
    for edge in curve_edges.edges():
        members = {"point": _sec1(*edge.key).hex(), "message": edge.message.hex()}
        members["signature"] = (edge.r.to_bytes(32) + edge.s.to_bytes(32)).hex()
        cases.append(bad(edge.name, edge.reason, **members) if edge.reason else good(edge.name, **members))
    cases += _bad_forms(LI.public.point(), message, signature)
    return vector_file("ES256: SEC 1 point, message and r || s in hexadecimal.", cases)


def _bad_forms(point: bytes, message: bytes, signature: bytes) -> list[Case]:
    """A good signature, and a good key, written otherwise."""
    r, s = signature[:32], signature[32:]
    der = curve_edges.as_der(int.from_bytes(r), int.from_bytes(s))
    short = curve_edges.as_der(int.from_bytes(r[:28]), int.from_bytes(s[:28]))
    other_y = (curve_edges.FIELD - int.from_bytes(point[33:])).to_bytes(32)
    forms = {
        "DER": ("length", {"signature": der.hex()}),
        "DER of 64 bytes": ("signature", {"signature": short[:64].ljust(64, b"\0").hex()}),
        "a zero before r and s": ("length", {"signature": (b"\0" + r + b"\0" + s).hex()}),
        "s before r": ("signature", {"signature": (s + r).hex()}),
        "little-endian": ("signature", {"signature": (r[::-1] + s[::-1]).hex()}),
        "32 bytes": ("length", {"signature": r.hex()}),
        "twice": ("length", {"signature": (signature * 2).hex()}),
        "no key": ("point", {"point": ""}),
        "a key at infinity": ("point", {"point": "00"}),
        "a key at infinity, of full length": ("point", {"point": "04" + "00" * 64}),
        "a key with the other y": ("signature", {"point": (point[:33] + other_y).hex()}),
        "a key off the curve": ("point", {"point": (point[:-1] + bytes([point[-1] ^ 1])).hex()}),
        "a key of 64 bytes": ("point", {"point": point[1:].hex()}),
        "a key of 66 bytes": ("point", {"point": point.hex() + "00"}),
        "a key with coordinates exchanged": ("point", {"point": (b"\x04" + point[33:] + point[1:33]).hex()}),
        "a key of another type": ("point", {"point": "05" + point[1:].hex()}),
        "a key as SubjectPublicKeyInfo": ("point", {"point": (_SPKI_P256 + point).hex()}),
    }
    whole = {"point": point.hex(), "message": message.hex(), "signature": signature.hex()}
    return [bad(name, reason, **{**whole, **change}) for name, (reason, change) in forms.items()]


def _sec1(x: int, y: int) -> bytes:
    return b"\x04" + x.to_bytes(32) + y.to_bytes(32)


def _coordinates(device: FixedDevice) -> bytes:
    return device.public.point()[1:]


def _openings() -> dict[str, Any]:
    salt = seed("salt")[:16]
    cases = []
    for name, value in (
        ("a choice", "for"),
        ("a text", "三单元电梯异响"),
        ("an object", {"room": "3-1-502"}),
        ("a number", 7),
    ):
        commitment, opening = seal(value, salt)
        cases.append(good(name, commitment=commitment, opening=b64u_encode(opening), value=value))
    commitment, opening = seal("for", salt)
    other, _ = seal("against", salt)
    number, seven = seal(7, salt)
    raw = salt + b'"for" '
    cases += [
        bad("the opening of another value", "commitment", commitment=other, opening=b64u_encode(opening)),
        bad("another salt", "commitment", commitment=commitment, opening=b64u_encode(bytes(16) + opening[16:])),
        bad(
            "trailing bits of the commitment",
            "spelling",
            commitment=respelled(commitment),
            opening=b64u_encode(opening),
        ),
        bad("trailing bits of the opening", "spelling", commitment=number, opening=respelled(b64u_encode(seven))),
        bad("a salt only", "value", commitment=_commit(salt), opening=b64u_encode(salt)),
        bad("a value in another spelling", "value", commitment=_commit(raw), opening=b64u_encode(raw)),
        bad("a padded opening", "spelling", commitment=_commit(bytes(17)), opening=b64u_encode(bytes(17)) + "="),
    ]
    assert all(decode(encode(case["value"])) == case["value"] for case in cases if case["valid"])
    return vector_file("Commitments to private values and their openings, salt and value (DESIGN.md 2.2).", cases)


def _commit(opening: bytes) -> str:
    return commitment_of(opening)
