"""Records: the exact envelope, and every way of missing it that we know."""

from typing import Any

from samples import CREATED_MS, ESTATE, LI, bind_record, payload, seed
from server.record.canonical import b64u_encode, decode, encode
from server.record.envelope import Payload, header_bytes, parse_record, sign_jws, sign_record
from vector_cases.case import Case, bad, good, respelled, vector_file

BODY = {"revoked": LI.kid}
PLAIN = payload("device.revoke", "m-li", BODY, "plain")
MEMBERS: dict[str, Any] = decode(encode(PLAIN))


def files() -> dict[str, dict[str, Any]]:
    """This family's files by name."""
    cases = [*_good(), *_bad_texts(), *_bad_headers(), *_bad_payloads()]
    description = "Records (DESIGN.md 2.1): the form of the envelope alone; the signatures of good ones hold as well."
    return {"records.json": vector_file(description, cases, estate=ESTATE)}


def _good() -> list[Case]:
    long_lived = Payload(**{**MEMBERS, "expires_ms": CREATED_MS + 86_400_000})
    chinese = payload("ticket.report", "m-li", {"place": "三单元", "text": '"漏水"\n'}, "chinese")
    cases = []
    for name, jws in (
        ("a record", sign_record(LI, PLAIN)),
        ("a life of 24 hours", sign_record(LI, long_lived)),
        ("Chinese text", sign_record(LI, chinese)),
        ("a bind", bind_record(LI, "m-li")),
        ("a body with every type", _signed(body={"flag": True, "list": [1, "a", []], "n": -1, "object": {}})),
    ):
        parsed = parse_record(jws, ESTATE)
        jwk = {"crv": "P-256", "kty": "EC", "x": LI.public.x, "y": LI.public.y}
        cases.append(good(name, record=jws, id=parsed.id, kid=parsed.kid, device_key=jwk, payload=_payload_text(jws)))
    return cases


def _payload_text(jws: str) -> str:
    return encode(parse_record(jws, ESTATE).payload).decode()


def _signed(**changes: Any) -> str:
    """A record whose payload has these members changed."""
    return _signed_text(encode({**MEMBERS, **changes}))


def _signed_text(content: bytes) -> str:
    return sign_jws(LI, content)


def _with_header(header: bytes) -> str:
    head = f"{b64u_encode(header)}.{b64u_encode(encode(PLAIN))}"
    return f"{head}.{b64u_encode(LI.sign(head.encode()))}"


def _bad_texts() -> list[Case]:
    jws = sign_record(LI, PLAIN)
    header, content, signature = jws.split(".")
    texts = {
        "nothing": "",
        "two parts": f"{header}.{content}",
        "four parts": f"{jws}.",
        "an empty signature": f"{header}.{content}.",
        "a signature of 63 bytes": f"{header}.{content}.{b64u_encode(bytes(63))}",
        "a signature of 65 bytes": f"{header}.{content}.{b64u_encode(bytes(65))}",
        "a padded signature": f"{jws}==",
        "trailing bits of the signature": respelled(jws),
        "a padded header": f"{header}=.{content}.{signature}",
        "a padded payload": f"{header}.{content}=.{signature}",
        "the other alphabet": f"{header}.{content}.{'+' + signature[1:]}",
        "a trailing newline": f"{jws}\n",
        "a leading space": f" {jws}",
        "JSON serialisation": encode({"payload": content, "protected": header, "signature": signature}).decode(),
    }
    return [bad(name, "jws", record=text) for name, text in texts.items()]


def _bad_headers() -> list[Case]:
    kid = LI.kid
    headers = {
        "another order": f'{{"kid":"{kid}","alg":"ES256","typ":"linli-record+jws"}}',
        "another header member": f'{{"alg":"ES256","crit":[],"kid":"{kid}","typ":"linli-record+jws"}}',
        "a space in the header": f'{{"alg":"ES256", "kid":"{kid}","typ":"linli-record+jws"}}',
        "no algorithm": f'{{"alg":"none","kid":"{kid}","typ":"linli-record+jws"}}',
        "another algorithm": f'{{"alg":"ES384","kid":"{kid}","typ":"linli-record+jws"}}',
        "the type of a session": header_bytes(kid, "linli-session+jws").decode(),
        "no type": f'{{"alg":"ES256","kid":"{kid}"}}',
        "a kid of 42 characters": header_bytes(kid[:-1]).decode(),
        "a kid of 44 characters": header_bytes(kid + "A").decode(),
        "trailing bits of the kid": header_bytes(respelled(kid)).decode(),
        "a quote in the kid": header_bytes('"' + kid[1:]).decode(),
        "an empty header": "{}",
    }
    return [bad(name, "header", record=_with_header(text.encode())) for name, text in headers.items()]


def _bad_payloads() -> list[Case]:
    without = {name: {member: value for member, value in MEMBERS.items() if member != name} for name in MEMBERS}
    text = encode(PLAIN).decode()
    shapes: dict[str, dict[str, Any]] = {
        "another payload member": {**MEMBERS, "note": "x"},
        **{f"without {name}": members for name, members in without.items()},
        "an author that is a number": {**MEMBERS, "author": 1},
        "an author in capitals": {**MEMBERS, "author": "M-LI"},
        "an author of nothing": {**MEMBERS, "author": ""},
        "an author of 41 characters": {**MEMBERS, "author": "m" * 41},
        "an author with a line end": {**MEMBERS, "author": "m-li\n"},
        "a kind of one word": {**MEMBERS, "kind": "vote"},
        "a kind in capitals": {**MEMBERS, "kind": "Device.revoke"},
        "a kind with a line end": {**MEMBERS, "kind": "device.revoke\n"},
        "an estate without a genesis": {**MEMBERS, "estate": ESTATE.partition(".")[0]},
        "an estate in capitals": {**MEMBERS, "estate": ESTATE[0].upper() + ESTATE[1:]},
        "a body that is a list": {**MEMBERS, "body": []},
        "a time that is a text": {**MEMBERS, "made_ms": str(CREATED_MS)},
        "a time before all times": {**MEMBERS, "made_ms": 0, "expires_ms": 1},
        "a nonce of 15 bytes": {**MEMBERS, "nonce": b64u_encode(seed("nonce")[:15])},
        "a nonce of 17 bytes": {**MEMBERS, "nonce": b64u_encode(seed("nonce")[:17])},
        "trailing bits of the nonce": {**MEMBERS, "nonce": respelled(MEMBERS["nonce"])},
    }
    lives = {
        "expired when made": CREATED_MS,
        "expired before it was made": CREATED_MS - 1,
        "a life of more than 24 hours": CREATED_MS + 86_400_001,
    }
    spellings = {
        "a space in the payload": text.replace(":", ": ", 1),
        "members out of order": '{"body":'
        + encode(BODY).decode()
        + ","
        + text[1:].replace(f',"body":{encode(BODY).decode()}', ""),
        "a time as a float": text.replace(str(CREATED_MS), f"{CREATED_MS}.0"),
        "a null in the body": text.replace(encode(BODY).decode(), '{"revoked":null}'),
        "an upper-case name in the body": text.replace('"revoked"', '"Revoked"'),
        "an escaped letter": text.replace("m-li", "m-l\\u0069"),
        "not an object": "[]",
        "an empty payload": "",
    }
    cases = [bad(name, "payload", record=_signed_text(encode(members))) for name, members in shapes.items()]
    cases += [bad(name, "life", record=_signed(expires_ms=expires_ms)) for name, expires_ms in lives.items()]
    cases += [bad(name, "canonical", record=_signed_text(spelled.encode())) for name, spelled in spellings.items()]
    cases.append(bad("the record of another estate", "estate", record=_signed(estate="other." + ESTATE[-22:])))
    cases.append(bad("the record of another genesis", "estate", record=_signed(estate=ESTATE[:-22] + "A" * 22)))
    return cases
