"""One declaration per endpoint: a typed handler becomes a route, its decoding, its access check and its OpenAPI entry.

    @route("GET", "/api/v1/motions/{id}", access=MEMBER, declines=("motion_not_found",))
    async def show_motion(call: Call, id: Annotated[RecordId, Path]) -> MotionPage: ...

Parameters are marked Path, Query, Header, Body or Upload; what is not declared is refused. An endpoint without `access`
needs a session: what is public says so. It must not know any single endpoint.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from types import UnionType
from typing import Annotated, Any, Generic, Literal, Protocol, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec
from aiohttp import web

from server.api.call import NODE, Call, Caller
from server.api.errors import Declined
from server.api.upload import read_upload
from server.limits import KIB
from server.record.kind import Role

JSON_BYTES_MAX = 256 * KIB
"""The largest JSON body: a record of 60,400 characters with 16 openings of 4 KiB in base64url."""
BODY_PATIENCE_S = 30.0
JSON_TYPE = "application/json"
T = TypeVar("T")
Source = Literal["path", "query", "header", "body", "upload"]


@dataclass(frozen=True, slots=True)
class Place:
    """Marks where a parameter comes from."""

    source: Source


Path, Query, Header, Body = Place("path"), Place("query"), Place("header"), Place("body")


@dataclass(frozen=True, slots=True)
class Upload:
    """Marks a parameter of bytes: the one file of a multipart form."""

    field: str
    bytes_max: int
    too_large: str
    """The code when the file is larger."""


@dataclass(frozen=True, slots=True)
class Media:
    """Marks a return type of bytes, text or a stream with its media type."""

    type: str


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """A body with another status than the declared one, or with headers."""

    body: T
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Access:
    """Who may call. `roles` empty: any member with a session; `verified`: two organisations know the device.

    With `optional` a visitor without a session may come too, and sees less. With `own` a role counts only when it is
    held for the organisation whose node is asked: what it keeps for itself is not its fellows' to read.
    """

    session: bool
    optional: bool = False
    roles: frozenset[Role] = frozenset()
    own: bool = False
    verified: bool = False

    def check(self, visitor: Caller | None, organisation: str) -> None:
        """Raise Declined unless the visitor may pass at this organisation's node."""
        if not self.session:
            return
        if visitor is None:
            if self.optional:
                return
            raise Declined("session_missing")
        if self.roles and not any(self._suffices(visitor, role, organisation) for role in self.roles):
            raise Declined("role_needed")
        if self.verified and not visitor.verified:
            raise Declined("device_unverified")

    def _suffices(self, visitor: Caller, role: Role, organisation: str) -> bool:
        return organisation in visitor.organisations(role) if self.own else visitor.has(role)


PUBLIC = Access(session=False)
VISITOR = Access(session=True, optional=True)
MEMBER = Access(session=True)


def roles(*wanted: Role, own: bool = False) -> Access:
    """Only members who hold one of the roles; with `own` for the organisation of the node that is asked."""
    return Access(session=True, roles=frozenset(wanted), own=own)


OWN_OFFICER = roles(Role.OFFICER, own=True)
OWN_STAFF = roles(Role.STAFF, Role.OFFICER, own=True)


class Authenticate(Protocol):
    """Finds out who calls. Raises Declined for a token that does not hold."""

    async def __call__(self, request: web.Request) -> Caller | None:
        """The caller, or None when the request names none."""


AUTHENTICATE = web.AppKey("authenticate", Authenticate)


@dataclass(frozen=True, slots=True)
class Parameter:
    """A declared parameter of a handler. `wire` is its name in the request, `type` what it is decoded to."""

    name: str
    wire: str
    source: Source
    type: Any
    default: Any = msgspec.NODEFAULT
    upload: Upload | None = None

    @property
    def required(self) -> bool:
        """Must the request hold it?"""
        return self.default is msgspec.NODEFAULT


Function = Callable[..., Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A declared endpoint; calling it answers a request."""

    method: str
    path: str
    function: Function
    access: Access
    status: int
    declines: tuple[str, ...]
    also: Mapping[int, Any]
    parameters: tuple[Parameter, ...]
    answer: Any
    media: str
    _decoders: Mapping[str, Any]

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        """Check access, decode, call, encode."""
        visitor = await request.app[AUTHENTICATE](request) if self.access.session else None
        self.access.check(visitor, request.app[NODE].config.node.id)
        values = self._read_parameters(request)
        for parameter in self.parameters:
            if parameter.upload is not None:
                upload = parameter.upload
                values[parameter.name] = await read_upload(request, upload.field, upload.bytes_max, upload.too_large)
            elif parameter.source == "body":
                values[parameter.name] = await self._read_body(request)
        result = await self.function(Call(request, request.app[NODE], visitor), **values)
        return self._respond(result)

    def _read_parameters(self, request: web.Request) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for source, decoder in self._decoders.items():
            if source != "body":
                values.update(_convert(self.parameters, source, decoder, request))
        if "query" not in self._decoders and request.query:
            raise Declined("malformed", "no such query parameter", field=next(iter(request.query))[:64])
        return values

    async def _read_body(self, request: web.Request) -> Any:
        if request.content_type != JSON_TYPE:
            raise Declined("media_type_unsupported")
        try:
            async with asyncio.timeout(BODY_PATIENCE_S):
                data = await read_limited(request, JSON_BYTES_MAX)
        except TimeoutError:
            raise Declined("too_slow") from None
        try:
            return self._decoders["body"].decode(data)
        except msgspec.ValidationError as error:
            raise _malformed(error) from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise Declined("malformed", "not JSON in UTF-8") from None

    def _respond(self, result: Any) -> web.StreamResponse:
        if isinstance(result, web.StreamResponse):
            return result
        answer = result if isinstance(result, Answer) else Answer(result, self.status)
        headers = {"Cache-Control": "no-store", **answer.headers}
        if answer.body is None:
            return web.Response(status=answer.status, headers=headers)
        if self.media != JSON_TYPE or isinstance(answer.body, bytes):
            data = answer.body.encode() if isinstance(answer.body, str) else answer.body
            return web.Response(body=data, status=answer.status, headers={"Content-Type": self.media, **headers})
        body = msgspec.json.encode(answer.body)
        return web.Response(body=body, status=answer.status, content_type=JSON_TYPE, headers=headers)


async def read_limited(request: web.Request, bytes_max: int) -> bytes:
    """The body, at most so many bytes after decompression. Raises Declined."""
    if request.content_length is not None and request.content_length > bytes_max:
        raise Declined("body_too_large")
    data = bytearray()
    try:
        async for chunk in request.content.iter_any():
            data += chunk
            if len(data) > bytes_max:
                raise Declined("body_too_large")
    except (web.RequestPayloadError, web.PayloadAccessError):
        raise Declined("malformed", "the body cannot be read") from None
    return bytes(data)


def _convert(parameters: tuple[Parameter, ...], source: str, shape: type, request: web.Request) -> Mapping[str, Any]:
    declared = {parameter.wire: parameter.name for parameter in parameters if parameter.source == source}
    found: dict[str, str] = {}
    if source == "path":
        found = dict(request.match_info)
    elif source == "header":
        found = {wire: request.headers[wire] for wire in declared if wire in request.headers}
    else:
        for wire, value in request.query.items():
            if wire not in declared or wire in found:
                raise Declined("malformed", "no such query parameter, or given twice", field=wire[:64])
            found[wire] = value
    try:
        value = msgspec.convert({declared[wire]: text for wire, text in found.items()}, shape, strict=False)
    except msgspec.ValidationError as error:
        raise _malformed(error) from None
    return {name: getattr(value, name) for name in declared.values()}


def _malformed(error: msgspec.ValidationError) -> Declined:
    detail, _, path = str(error).partition(" - at `$")
    return Declined("malformed", detail, field=path.lstrip(".").rstrip("`"))


class Routes:
    """Mutable. The endpoints of one module, in the order of their declaration."""

    def __init__(self) -> None:
        self.endpoints: list[Endpoint] = []

    def route(
        self,
        method: str,
        path: str,
        *,
        access: Access = MEMBER,
        status: int = 200,
        declines: tuple[str, ...] = (),
        also: Mapping[int, Any] | None = None,
    ) -> Callable[[Function], Function]:
        """Declare an endpoint. `declines`: its codes besides the general ones; `also`: bodies of other statuses."""

        def declare(function: Function) -> Function:
            parameters = tuple(_parameters_of(function))
            hints = get_type_hints(function, include_extras=True)
            answer, media = _answer_of(hints["return"])
            decoders = {source: _decoder_of(parameters, source) for source in ("path", "query", "header", "body")}
            self.endpoints.append(
                Endpoint(
                    method,
                    path,
                    function,
                    access,
                    status,
                    declines,
                    also or {},
                    parameters,
                    answer,
                    media,
                    {source: decoder for source, decoder in decoders.items() if decoder is not None},
                )
            )
            return function

        return declare


def _parameters_of(function: Function) -> list[Parameter]:
    found = []
    hints = get_type_hints(function, include_extras=True)
    for name, parameter in list(inspect.signature(function).parameters.items())[1:]:
        hint = hints[name]
        assert get_origin(hint) is Annotated, f"{function.__name__}: {name} does not say where it comes from"
        marks = get_args(hint)[1:]
        upload = next((mark for mark in marks if isinstance(mark, Upload)), None)
        source: Source = "upload" if upload else next(mark.source for mark in marks if isinstance(mark, Place))
        wire = name.replace("_", "-").title() if source == "header" else name.rstrip("_")
        default = msgspec.NODEFAULT if parameter.default is inspect.Parameter.empty else parameter.default
        kept = tuple(mark for mark in marks if not isinstance(mark, Place | Upload))
        type_ = Annotated[(get_args(hint)[0], *kept)] if kept else get_args(hint)[0]
        found.append(Parameter(name, wire, source, type_, default, upload))
    return found


def _decoder_of(parameters: tuple[Parameter, ...], source: str) -> Any:
    mine = [parameter for parameter in parameters if parameter.source == source]
    if not mine:
        return None
    if source == "body":
        return msgspec.json.Decoder(mine[0].type)
    return msgspec.defstruct(
        source, [(parameter.name, parameter.type, parameter.default) for parameter in mine], kw_only=True
    )


def _answer_of(hint: Any) -> tuple[Any, str]:
    """The declared body and its media type. `A | Answer[B]` declares A; B stands under `also`."""
    media = JSON_TYPE
    if get_origin(hint) is Annotated:
        media = next((mark.type for mark in get_args(hint)[1:] if isinstance(mark, Media)), JSON_TYPE)
        hint = get_args(hint)[0]
    if get_origin(hint) in (UnionType, Union):
        hint = next(part for part in get_args(hint) if get_origin(part) is not Answer)
    return (get_args(hint)[0] if get_origin(hint) is Answer else hint), media
