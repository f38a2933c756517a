"""The OpenAPI 3.1 description of everything, made from the declarations: endpoints, record kinds, problems.

Nothing is written twice: shapes come from the Structs, refusals from the kinds, sentences from the one table. It must
not know any single endpoint.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence
from typing import Any

import msgspec

from server.api.errors import PROBLEM_TYPE, Problem
from server.api.route import JSON_TYPE, Endpoint, Parameter
from server.api.sentences import API_SENTENCES, sentence_of
from server.domain import KINDS
from server.domain.execute import COMMON_REFUSALS, PERMANENT_COMMON
from server.record.kind import RecordKind, private_fields_of

VERSION = "1"
_REF = "#/components/schemas/{name}"
_PROBLEM = {"$ref": "#/components/schemas/Problem"}
_GENERAL = ("malformed", "too_many")
_SESSION = ("session_missing", "session_invalid", "session_expired", "device_ended")


def describe_api(title: str, endpoints: Sequence[Endpoint]) -> dict[str, Any]:
    """The OpenAPI document of endpoints and record kinds, as plain JSON values."""
    kinds = [KINDS[name] for name in sorted(KINDS)]
    types: list[Any] = [Problem, *kinds]
    for endpoint in endpoints:
        types.extend(_types_of(endpoint))
    schemas, components = msgspec.json.schema_components(types, ref_template=_REF)
    found = dict(zip(map(id, types), schemas, strict=True))
    paths: dict[str, Any] = {}
    for endpoint in endpoints:
        path = re.sub(r"\{(\w+):[^}]*\}", r"{\1}", endpoint.path)
        paths.setdefault(path, {})[endpoint.method.lower()] = _operation(endpoint, found)
    for kind in kinds:
        components[kind.__name__] = {**components[kind.__name__], **_kind_members(kind)}
    document = {
        "openapi": "3.1.0",
        "info": {"title": title, "version": VERSION, "description": _DESCRIPTION},
        "paths": paths,
        "components": {
            "schemas": dict(sorted(components.items())),
            "securitySchemes": {"session": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        },
        "x-kinds": {kind.kind: {"$ref": _REF.format(name=kind.__name__)} for kind in kinds},
        "x-codes": describe_codes(),
    }
    described: dict[str, Any] = translate_patterns(document)
    return described


_DESCRIPTION = (
    "Every write is one signed record: POST /api/v1/records. The bodies of all kinds of record stand under `x-kinds`, "
    "every code of a problem under `x-codes`. Times are milliseconds since 1970, money fen, areas cm2."
)


def describe_codes() -> dict[str, Any]:
    """Every code: its status and its sentences."""
    codes = sorted({*API_SENTENCES, *COMMON_REFUSALS, *(code for kind in KINDS.values() for code in refusals_of(kind))})
    return {code: sentence_of(code)._asdict() for code in codes}


def refusals_of(kind: type[RecordKind]) -> list[str]:
    """The codes that a kind can be refused with, in order of precedence."""
    common = [code for code in COMMON_REFUSALS if not (kind.binds_device and code in _NOT_FOR_BINDS)]
    return [*common, *(str(refusal.value) for refusal in kind.Refusal if refusal.value not in common)]


_NOT_FOR_BINDS = ("device_unknown", "device_revoked", "role_missing")


def describe_kind(kind: type[RecordKind]) -> dict[str, Any]:
    """The stand-alone JSON Schema (2020-12) of a kind's body, for phones and other programs."""
    schema = msgspec.json.schema(kind, ref_template="#/$defs/{name}")
    body = {**schema["$defs"].pop(kind.__name__), **_kind_members(kind)}
    definitions = {"$defs": dict(sorted(schema["$defs"].items()))} if schema["$defs"] else {}
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": kind.kind}
    described: dict[str, Any] = translate_patterns({**head, **body, **definitions})
    return described


def _kind_members(kind: type[RecordKind]) -> dict[str, Any]:
    codes = refusals_of(kind)
    members: dict[str, Any] = {
        "x-kind": kind.kind,
        "x-signed-by": sorted(role.value for role in kind.signed_by),
        "x-refusals": codes,
        "x-permanent": sorted(kind.permanent | (PERMANENT_COMMON & set(codes))),
    }
    private = private_fields_of(kind)
    if private:
        members["x-private"] = {name: _inline_schema(value) for name, value in sorted(private.items())}
    return members


def _inline_schema(value: Any) -> dict[str, Any]:
    schema = msgspec.json.schema(value, ref_template="#/$defs/{name}")
    return {key: part for key, part in schema.items() if key != "$schema"}


def translate_patterns(value: Any) -> Any:
    """The same values with patterns as ECMAScript reads them: Python's `$(?!\\n)` is its `$`.

    A default that its own pattern refuses is how this program writes that a member is absent: nobody may send it.
    """
    if isinstance(value, dict):
        pattern, default = value.get("pattern"), value.get("default")
        absent = {"default"} if isinstance(pattern, str) and default == "" and not re.match(pattern, "") else set[str]()
        return {
            key: part.replace("$(?!\\n)", "$") if key == "pattern" else translate_patterns(part)
            for key, part in value.items()
            if key not in absent
        }
    return [translate_patterns(part) for part in value] if isinstance(value, list) else value


def _types_of(endpoint: Endpoint) -> list[Any]:
    types = [parameter.type for parameter in endpoint.parameters if parameter.upload is None]
    if endpoint.media == JSON_TYPE and endpoint.answer is not None:
        types.append(endpoint.answer)
    return types + [shape for shape in endpoint.also.values() if shape is not Problem]


def _operation(endpoint: Endpoint, schemas: dict[int, Any]) -> dict[str, Any]:
    summary, _, description = (inspect.getdoc(endpoint.function) or "").partition("\n")
    operation: dict[str, Any] = {
        "operationId": endpoint.function.__name__,
        "summary": summary.strip(),
        "tags": [endpoint.function.__module__.rpartition(".")[2]],
        "responses": _responses(endpoint, schemas),
    }
    if description.strip():
        operation["description"] = description.strip()
    parameters = [_parameter(one, schemas) for one in endpoint.parameters if one.source in ("path", "query", "header")]
    if parameters:
        operation["parameters"] = parameters
    body = _request_body(endpoint.parameters, schemas)
    if body:
        operation["requestBody"] = body
    access = endpoint.access
    operation["security"] = ([{"session": []}] if access.session else []) + ([{}] if access.optional else [])
    if access.roles:
        operation["x-roles"] = sorted(role.value for role in access.roles)
    return operation


def _parameter(parameter: Parameter, schemas: dict[int, Any]) -> dict[str, Any]:
    schema = schemas[id(parameter.type)]
    if not parameter.required:
        schema = {**schema, "default": parameter.default}
    return {"in": parameter.source, "name": parameter.wire, "required": parameter.required, "schema": schema}


def _request_body(parameters: Sequence[Parameter], schemas: dict[int, Any]) -> dict[str, Any] | None:
    for parameter in parameters:
        if parameter.upload is not None:
            file = {"type": "string", "contentMediaType": "application/octet-stream"}
            name = parameter.upload.field
            form = {"type": "object", "properties": {name: file}, "required": [name], "additionalProperties": False}
            return {"required": True, "content": {"multipart/form-data": {"schema": form}}}
        if parameter.source == "body":
            return {"required": True, "content": {JSON_TYPE: {"schema": schemas[id(parameter.type)]}}}
    return None


def _responses(endpoint: Endpoint, schemas: dict[int, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {str(endpoint.status): _success(endpoint, schemas)}
    for status, shape in endpoint.also.items():
        schema = schemas.get(id(shape)) if shape is not Problem else _PROBLEM
        media = JSON_TYPE if shape is not Problem else PROBLEM_TYPE
        found[str(status)] = {"description": "see the schema", "content": {media: {"schema": schema}}}
    by_status: dict[int, list[str]] = {}
    for code in declined_codes(endpoint):
        by_status.setdefault(sentence_of(code).status, []).append(code)
    for status, codes in by_status.items():
        if str(status) not in found:
            content = {PROBLEM_TYPE: {"schema": _PROBLEM}}
            found[str(status)] = {"description": ", ".join(codes), "content": content}
    return dict(sorted(found.items()))


def _success(endpoint: Endpoint, schemas: dict[int, Any]) -> dict[str, Any]:
    if endpoint.answer is None or endpoint.answer is type(None):
        return {"description": "done"}
    if endpoint.media != JSON_TYPE:
        return {"description": "done", "content": {endpoint.media: {"schema": {"type": "string"}}}}
    return {"description": "done", "content": {JSON_TYPE: {"schema": schemas[id(endpoint.answer)]}}}


def declined_codes(endpoint: Endpoint) -> list[str]:
    """Every code that an endpoint can decline with, general ones first."""
    codes = [*_GENERAL]
    sources = {parameter.source for parameter in endpoint.parameters}
    if sources & {"body", "upload"}:
        codes += ["body_too_large", "media_type_unsupported", "too_slow"]
    if endpoint.access.session:
        codes += _SESSION[1:] if endpoint.access.optional else _SESSION
    if endpoint.access.roles:
        codes.append("role_needed")
    if endpoint.access.verified:
        codes.append("device_unverified")
    return [*codes, *(code for code in endpoint.declines if code not in codes)]
