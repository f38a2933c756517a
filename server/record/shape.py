"""Declared shapes: field types of records and rows, private fields, and the JSON Schema that follows from them.

A shape is a frozen msgspec Struct; its annotations are the parser, the JSON Schema and the sample generator at once.
Patterns are anchored for Python and ECMAScript alike: `$(?!\\n)` refuses the trailing newline that Python's `$` allows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta

from server.limits import HEAD_AREA_CM2_MAX, INTEGER_MAX, PHOTOS_MAX
from server.record.canonical import Malformed, b64u_pattern, decode, encode
from server.record.signature import commitment_of

T = TypeVar("T")
SALT_BYTES = 16


class Shape(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A frozen value with exactly the declared members."""


@dataclass(frozen=True, slots=True)
class Opens:
    """Marks a commitment with the type of the private value behind it."""

    value: Any


_DIGEST = b64u_pattern(32)
Digest = Annotated[str, Meta(pattern=rf"^{_DIGEST}$(?!\n)")]
"""SHA-256 in base64url: record ids, kids, commitments. Strict: a rule decodes them, and each has one spelling."""
RecordId = Annotated[str, Meta(pattern=rf"^{_DIGEST}$(?!\n)", description="Id of an ordered record")]
OptionalRecordId = Annotated[str, Meta(pattern=rf"^({_DIGEST})?$(?!\n)", description="Id of a record, or empty")]
Hex256 = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$(?!\n)")]
MemberId = Annotated[str, Meta(pattern=r"^[a-z0-9-]{1,40}$(?!\n)", description="Pseudonym of a person on the ledger")]
NodeId = Annotated[str, Meta(pattern=r"^[a-z0-9-]{1,16}$(?!\n)", description="Member organisation that runs a node")]
Name = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$(?!\n)", description="A short code word")]
LINE = r"^[^\u0000-\u001f\u007f\u2028\u2029]"
Line = Annotated[str, Meta(pattern=LINE + r"{1,100}$(?!\n)", description="One line of text")]
OptionalLine = Annotated[str, Meta(pattern=LINE + r"{0,100}$(?!\n)", description="One line of text, or empty")]
Text = Annotated[
    str, Meta(pattern=r"^[^\u0000-\u0009\u000b-\u001f\u007f]{0,4000}$(?!\n)", description="Text of several lines")
]
TimeMs = Annotated[int, Meta(ge=1, le=INTEGER_MAX, description="Milliseconds since 1970-01-01 UTC")]
AreaCm2 = Annotated[int, Meta(ge=0, le=HEAD_AREA_CM2_MAX, description="Square centimetres")]
Points = Annotated[int, Meta(ge=1, le=10**9, description="Points")]
Position = Annotated[int, Meta(ge=0, le=10**6, description="Place on a frozen roll, from 0")]


class PhotoRef(Shape, frozen=True):
    """A photo named by a record: the cleaned picture's hash and size, and the original file's hash."""

    original_sha256: Hex256
    sha256: Hex256
    size: Annotated[int, Meta(ge=1, le=12 * 1024 * 1024, description="Bytes of the cleaned picture")]


Photos = Annotated[tuple[PhotoRef, ...], Meta(max_length=PHOTOS_MAX)]


def parse(shape: type[T], value: Any) -> T:
    """Build `shape` from a decoded value. Raises Malformed naming the first bad field."""
    try:
        return msgspec.convert(value, shape)
    except msgspec.ValidationError as error:
        detail, _, path = str(error).partition(" - at `$")
        raise Malformed(detail, path.lstrip(".").rstrip("`")) from None


def private_fields(shape: type) -> dict[str, Any]:
    """Names of the private fields of a shape, with the types of their values."""
    found: dict[str, Any] = {}
    for name, hint in get_type_hints(shape, include_extras=True).items():
        if get_origin(hint) is Annotated:
            for mark in get_args(hint)[1:]:
                if isinstance(mark, Opens):
                    found[name] = mark.value
    return found


def seal(value: Any, salt: bytes) -> tuple[str, bytes]:
    """Commit to a private value: (commitment, opening). `salt` is 16 random bytes of the caller's."""
    assert len(salt) == SALT_BYTES
    opening = salt + encode(value)
    return commitment_of(opening), opening


def open_private(value_type: Any, commitment: str, opening: bytes) -> Any:
    """The private value behind a commitment. Raises Malformed when the opening does not fit it or its type."""
    if commitment_of(opening) != commitment:
        raise Malformed("the opening does not fit the commitment")
    if len(opening) <= SALT_BYTES:
        raise Malformed("the opening holds no value")
    return parse(value_type, decode(opening[SALT_BYTES:]))
