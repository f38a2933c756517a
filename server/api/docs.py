"""The documentation that people read: one page made from the OpenAPI description, no script, no network."""

from __future__ import annotations

import json
from collections.abc import Iterator
from html import escape
from typing import Annotated, Any, NamedTuple

from aiohttp import web

from server.api.call import Call
from server.api.route import PUBLIC, Answer, Media, Routes

routes = Routes()
TITLE = "Linli"
_STYLE = (
    "body{font:16px/1.5 system-ui,'PingFang SC','Noto Sans CJK SC',sans-serif;max-width:60rem;margin:auto;padding:1rem}"
    "code,pre{font:14px/1.45 ui-monospace,monospace}pre{background:#f4f4f2;padding:.8rem;overflow:auto}"
    "h2{margin-top:3rem}h3{margin-top:2rem;border-top:1px solid #ccc;padding-top:1rem}"
    "table{border-collapse:collapse}td,th{border:1px solid #ccc;padding:.3rem .6rem;text-align:left;vertical-align:top}"
)
_HOURLY = {"Cache-Control": "public, max-age=3600"}


class Documents(NamedTuple):
    """The description, as JSON and as a page."""

    openapi: bytes
    page: bytes


DOCUMENTS = web.AppKey("documents", Documents)


def make_documents(described: dict[str, Any]) -> Documents:
    """Both documents of an OpenAPI description."""
    return Documents(render_json(described), make_page(described))


@routes.route("GET", "/api/openapi.json", access=PUBLIC)
async def show_openapi(call: Call) -> Annotated[Answer[bytes], Media("application/json")]:
    """This description."""
    return Answer(call.request.app[DOCUMENTS].openapi, headers=_HOURLY)


@routes.route("GET", "/api/docs", access=PUBLIC)
async def show_docs(call: Call) -> Annotated[Answer[bytes], Media("text/html; charset=utf-8")]:
    """This description as a page."""
    return Answer(call.request.app[DOCUMENTS].page, headers=_HOURLY)


def render_json(value: Any) -> bytes:
    """JSON as it is committed: indented, sorted where order means nothing, one line end at its end."""
    return (json.dumps(value, ensure_ascii=False, indent=1) + "\n").encode()


def make_page(described: dict[str, Any]) -> bytes:
    """The page of an OpenAPI description."""
    parts = [
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{TITLE} API</title><style>{_STYLE}</style>',
        f"<h1>{TITLE} API</h1><p>{escape(described['info']['description'])}</p>",
        "<h2>Endpoints</h2>",
        *_endpoints(described),
        "<h2>Kinds of record</h2>",
        *_kinds(described),
        "<h2>Codes</h2><table><tr><th>code<th>status<th>zh-CN<th>en</tr>",
        *_codes(described["x-codes"]),
        "</table><h2>Shapes</h2>",
        *(_shape(name, schema) for name, schema in described["components"]["schemas"].items()),
        "</html>",
    ]
    return "\n".join(parts).encode()


def _endpoints(described: dict[str, Any]) -> Iterator[str]:
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            yield f'<h3 id="{escape(operation["operationId"])}"><code>{method.upper()} {escape(path)}</code></h3>'
            yield f"<p>{escape(operation['summary'])}</p><p>{escape(operation.get('description', ''))}</p>"
            yield f"<p>{_who(operation)}</p>"
            details = {
                name: operation[name] for name in ("parameters", "requestBody", "responses") if name in operation
            }
            yield f"<details><summary>Details</summary>{_json(details)}</details>"


def _who(operation: dict[str, Any]) -> str:
    if not operation["security"]:
        return "Public."
    if {} in operation["security"]:
        return "Public; with a session it shows more."
    wanted = operation.get("x-roles")
    return f"Session of: {escape(', '.join(wanted))}." if wanted else "Session of any member."


def _kinds(described: dict[str, Any]) -> Iterator[str]:
    for kind, reference in described["x-kinds"].items():
        schema = described["components"]["schemas"][reference["$ref"].rpartition("/")[2]]
        yield f'<h3 id="{kind}"><code>{kind}</code></h3><p>{escape(schema.get("description", ""))}</p>'
        yield f"<p>Signed by: {escape(', '.join(schema['x-signed-by']) or 'any member')}. Refusals, first one first: "
        yield ", ".join(f'<a href="#{code}">{code}</a>' for code in schema["x-refusals"]) + "</p>"
        yield f"<details><summary>Body</summary>{_json(schema)}</details>"


def _codes(codes: dict[str, Any]) -> Iterator[str]:
    for code, sentence in codes.items():
        zh, en = escape(sentence["zh"]), escape(sentence["en"])
        yield f'<tr id="{code}"><td><code>{code}</code><td>{sentence["status"]}<td lang="zh-CN">{zh}<td>{en}</tr>'


def _shape(name: str, schema: dict[str, Any]) -> str:
    return f'<h3 id="shape-{escape(name)}">{escape(name)}</h3>{_json(schema)}'


def _json(value: Any) -> str:
    return f"<pre>{escape(json.dumps(value, ensure_ascii=False, indent=1))}</pre>"
