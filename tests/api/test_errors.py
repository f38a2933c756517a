"""Whatever is sent, the answer is a problem of one shape: never HTML, never a trace, never a 500 for bad input."""

from __future__ import annotations

import asyncio
import gzip
import json

import pytest

from server.api.sentences import API_SENTENCES
from tests.api.running import Site

pytestmark = pytest.mark.asyncio(loop_scope="module")
JSON = {"Content-Type": "application/json"}


async def test_unknown_address_is_a_problem_even_where_html_is_wanted(site: Site) -> None:
    status, headers, body = await site.ask("GET", "/api/v1/nothing", headers={"Accept": "text/html"})
    assert (status, body["code"], headers["Content-Type"]) == (404, "not_found", "application/problem+json")
    assert headers["X-Content-Type-Options"] == "nosniff"


async def test_detail_comes_in_the_language_that_was_asked_for(site: Site) -> None:
    _, headers, english = await site.ask("GET", "/api/v1/session", headers={"Accept-Language": "en"})
    _, _, chinese = await site.ask("GET", "/api/v1/session", headers={"Accept-Language": "zh-CN"})
    assert english["detail"] == API_SENTENCES["session_missing"].en
    assert chinese["detail"] == API_SENTENCES["session_missing"].zh
    assert headers["Content-Language"] == "en"
    assert headers["WWW-Authenticate"].startswith("Bearer")


async def test_wrong_method_names_the_right_ones(site: Site) -> None:
    status, headers, body = await site.ask("PUT", "/api/v1/records")
    assert (status, body["code"], headers["Allow"]) == (405, "method_not_allowed", "POST")


@pytest.mark.parametrize(
    ("data", "headers", "status", "code"),
    [
        (b"{", JSON, 400, "malformed"),
        (b"", JSON, 400, "malformed"),
        (b"null", JSON, 400, "malformed"),
        (b'{"record": 5}', JSON, 400, "malformed"),
        (b'{"record": "a.b.c", "extra": 1}', JSON, 400, "malformed"),
        (b'{"record": "a\\u0000b"}', JSON, 400, "malformed"),
        (b'{"record": "\xff"}', JSON, 400, "malformed"),
        (b'{"record": "a.b.c\\n"}', JSON, 400, "malformed"),
        (b'{"record": "a.b.c", "openings": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", JSON, 400, "malformed"),
        (b'{"record": "' + b"a" * 300_000 + b'"}', JSON, 413, "body_too_large"),
        (gzip.compress(b" " * 50_000_000, mtime=0), JSON | {"Content-Encoding": "gzip"}, 413, "body_too_large"),
        (b"\x00\x01", JSON | {"Content-Encoding": "gzip"}, 400, "malformed"),
        (b"record=1", {"Content-Type": "application/x-www-form-urlencoded"}, 415, "media_type_unsupported"),
        (b"{}", {"Content-Type": "text/html; charset=banana"}, 415, "media_type_unsupported"),
    ],
)
async def test_bad_bodies_are_answered_with_the_right_problem(
    site: Site, data: bytes, headers: dict[str, str], status: int, code: str
) -> None:
    answered, kinds, body = await site.ask("POST", "/api/v1/records", data=data, headers=headers)
    assert (answered, body["code"]) == (status, code)
    assert kinds["Content-Type"] == "application/problem+json"


async def test_malformed_body_names_the_member_at_fault(site: Site) -> None:
    device_key = {"crv": "P-256", "kty": "EC", "x": "A" * 43, "y": 7}
    body = {"phone": "13800000000", "code": "123456", "device_key": device_key}
    _, _, problem = await site.ask("POST", "/api/v1/identity/phone-attestation", json=body)
    assert problem["field"] == "device_key.y"


@pytest.mark.parametrize(
    "query",
    ["?limit=0", "?limit=201", "?limit=x", "?limit=1&limit=2", "?nothing=1", "?cursor=%00", "?cursor=7", "?limit=%FF"],
)
async def test_bad_queries_are_malformed(site: Site, query: str) -> None:
    status, _, body = await site.ask("GET", f"/api/v1/motions{query}")
    assert (status, body["code"]) == (400, "malformed")


RAW = [
    b"GET / HTTP/1.1\r\nHost: x\r\nAccept: text/html\r\nX: " + b"a" * 20_000 + b"\r\n\r\n",
    b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: x\r\nAccept: text/html\r\n\r\n",
    b"GET /\x00 HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nA\x00B: c\r\n\r\n",
    b"\x16\x03\x01\x00\x05hello\r\n\r\n",
    b"POST /api/v1/records HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: -5\r\n\r\n{}",
    b"POST /api/v1/records HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
]


@pytest.mark.parametrize("request_bytes", RAW)
async def test_what_is_not_http_is_answered_without_html_and_traces(site: Site, request_bytes: bytes) -> None:
    host, port = site.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(request_bytes)
    answer = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.split()[1].startswith(b"4")
    assert b"application/problem+json" in head
    assert json.loads(body)["code"]
    for trace in (b"Traceback", b"aiohttp", b"<html"):
        assert trace not in answer


async def test_a_bug_shows_nothing_but_a_mark(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> dict[str, object]:
        raise RuntimeError("secret of the inside")

    monkeypatch.setattr(site.node, "cluster_status", fail)
    status, _, body = await site.ask("GET", "/api/v1/cluster")
    assert (status, body["code"]) == (500, "internal_error")
    assert "secret" not in json.dumps(body)
