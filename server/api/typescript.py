"""The typed client of the mini-app, made from the OpenAPI description: types of bodies and answers, codes, endpoints.

It knows JSON Schema as msgspec writes it, and no more of it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

_HEAD = (
    "/** Made by scripts/generate.py from schemas/openapi.json. Do not edit: change the declaration on the server. */\n"
    "\n"
    "/* eslint-disable */\n"
)
_PLAIN = {"string": "string", "integer": "number", "number": "number", "boolean": "boolean", "null": "null"}
_WORD = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*")


def render_client(described: Mapping[str, Any]) -> str:
    """The TypeScript module."""
    schemas = described["components"]["schemas"]
    parts = [_HEAD, *(_declaration(name, schema) for name, schema in sorted(schemas.items()))]
    parts.append(_bodies(described["x-kinds"]))
    parts.append(_refusals(described["x-kinds"], schemas))
    parts.append(_private_patterns(described["x-kinds"], schemas))
    parts.append(_union("Code", sorted(described["x-codes"]), "Every code of a problem."))
    parts.append(_endpoints(described["paths"]))
    return "\n".join(parts)


def _declaration(name: str, schema: Mapping[str, Any]) -> str:
    comment = _comment(schema.get("description", ""))
    if schema.get("type") == "object" and "properties" in schema:
        return f"{comment}export interface {type_name(name)} {{\n{_members(schema)}}}\n"
    return f"{comment}export type {type_name(name)} = {type_of(schema)}\n"


def type_name(name: str) -> str:
    """A component's name as TypeScript takes it: `Page[Device]` becomes `PageDevice`."""
    return re.sub(r"[^A-Za-z0-9_]", "", name)


def _comment(text: str) -> str:
    first = " ".join(text.partition("\n\n")[0].split())
    return f"/** {first.replace('*/', '* /')} */\n" if first else ""


def _members(schema: Mapping[str, Any]) -> str:
    required = set(schema.get("required", ()))
    return "".join(
        f"  readonly {_key(name)}{'' if name in required else '?'}: {type_of(part)}\n"
        for name, part in schema["properties"].items()
    )


def _key(name: str) -> str:
    return name if _WORD.fullmatch(name) else json.dumps(name)


def type_of(schema: Mapping[str, Any]) -> str:
    """The TypeScript type of a schema."""
    if "$ref" in schema:
        return type_name(schema["$ref"].rpartition("/")[2])
    if "const" in schema:
        return json.dumps(schema["const"])
    if "enum" in schema:
        return " | ".join(json.dumps(value) for value in schema["enum"])
    if "anyOf" in schema:
        return " | ".join(type_of(part) for part in schema["anyOf"])
    return _structured(schema)


def _structured(schema: Mapping[str, Any]) -> str:
    kind = schema.get("type")
    if kind == "array":
        items = schema.get("items") or {}
        inner = type_of(items) if items else "unknown"
        return f"readonly ({inner})[]" if " | " in inner else f"readonly {inner}[]"
    if kind == "object":
        if "properties" in schema:
            return "{ " + "; ".join(_members(schema).strip().split("\n")) + " }"
        values = schema.get("additionalProperties")
        return f"Readonly<Record<string, {type_of(values) if isinstance(values, dict) and values else 'unknown'}>>"
    return _PLAIN.get(str(kind), "unknown")


def _bodies(kinds: Mapping[str, Any]) -> str:
    lines = "".join(f"  readonly {json.dumps(kind)}: {type_of(reference)}\n" for kind, reference in kinds.items())
    return (
        f"/** The body of each kind of record. */\nexport interface RecordBodies {{\n{lines}}}\n\n"
        "export type RecordKind = keyof RecordBodies\n"
    )


def _refusals(kinds: Mapping[str, Any], schemas: Mapping[str, Any]) -> str:
    lines = "".join(
        f"  readonly {json.dumps(kind)}: {' | '.join(map(json.dumps, _schema_of(reference, schemas)['x-refusals']))}\n"
        for kind, reference in kinds.items()
    )
    return (
        "/** What each kind can be refused with, first one first. */\n"
        f"export interface RecordRefusals {{\n{lines}}}\n\n"
        "export type Refusal = RecordRefusals[RecordKind]\n"
    )


def _private_patterns(kinds: Mapping[str, Any], schemas: Mapping[str, Any]) -> str:
    """Private texts are sealed on the phone: only a form that knows their patterns can say in time what is too long."""
    private = {kind: _schema_of(reference, schemas).get("x-private", {}) for kind, reference in kinds.items()}
    texts = {
        kind: {name: part["pattern"] for name, part in fields.items() if "pattern" in part}
        for kind, fields in private.items()
    }
    found = {kind: patterns for kind, patterns in texts.items() if patterns}
    return (
        "/** What the private texts of a record may hold, by kind and field. */\n"
        f"export const PRIVATE_TEXTS = {json.dumps(found, indent=2)} as const\n"
    )


def _schema_of(reference: Mapping[str, str], schemas: Mapping[str, Any]) -> Mapping[str, Any]:
    schema: Mapping[str, Any] = schemas[reference["$ref"].rpartition("/")[2]]
    return schema


def _union(name: str, values: list[str], comment: str) -> str:
    lines = "".join(f"\n  | {json.dumps(value)}" for value in values)
    return f"/** {comment} */\nexport type {name} ={lines}\n"


def _endpoints(paths: Mapping[str, Any]) -> str:
    lines = "".join(_endpoint_lines(paths))
    return (
        "/** Every endpoint: what it takes and what it answers when all is well. */\n"
        f"export interface Endpoints {{\n{lines}}}\n"
    )


def _endpoint_lines(paths: Mapping[str, Any]) -> Iterator[str]:
    for path, methods in paths.items():
        for method, operation in methods.items():
            name = json.dumps(f"{method.upper()} {path}")
            members = [f"{part}: {text}" for part, text in _endpoint_parts(operation) if text]
            yield f"  readonly {name}: {{ {'; '.join(members)} }}\n"


def _endpoint_parts(operation: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for source in ("path", "query"):
        mine = [one for one in operation.get("parameters", ()) if one["in"] == source]
        marks = ("" if one["required"] else "?" for one in mine)
        fields = [f"{_key(one['name'])}{mark}: {type_of(one['schema'])}" for one, mark in zip(mine, marks, strict=True)]
        yield source, f"{{ {'; '.join(fields)} }}" if fields else ""
    content = operation.get("requestBody", {}).get("content", {})
    yield "body", type_of(content["application/json"]["schema"]) if "application/json" in content else ""
    yield "answer", _answer(operation["responses"])


def _answer(responses: Mapping[str, Any]) -> str:
    good: Mapping[str, Any] = next((response for status, response in responses.items() if status.startswith("2")), {})
    content = good.get("content", {})
    if "application/json" in content:
        return type_of(content["application/json"]["schema"])
    return "string" if content else "undefined"
