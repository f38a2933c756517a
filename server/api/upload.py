"""Reading the one file of a multipart form, never more of it than allowed. It must not know what the file is for."""

from __future__ import annotations

import asyncio

from aiohttp import BodyPartReader, web
from aiohttp.http_exceptions import HttpProcessingError

from server.api.errors import Declined

PATIENCE_S = 300.0
"""12 MB on a line of 320 kbit/s; who sends more slowly holds a connection and memory for nothing."""
_FAULTS = (
    ValueError,
    AssertionError,
    EOFError,
    LookupError,
    RuntimeError,
    HttpProcessingError,
    web.RequestPayloadError,
)
"""aiohttp's reader names each fault of a form differently (found by fuzzing); all of them are the sender's."""


async def read_upload(request: web.Request, field: str, bytes_max: int, too_large: str) -> bytes:
    """The bytes of the form's one file, which must stand in `field`. Raises Declined.

    Args: `too_large`: the code when there are more than `bytes_max` bytes.
    """
    if request.content_type != "multipart/form-data":
        raise Declined("media_type_unsupported")
    try:
        async with asyncio.timeout(PATIENCE_S):
            return await _read_form(request, field, bytes_max, too_large)
    except TimeoutError:
        raise Declined("too_slow") from None
    except _FAULTS:
        raise Declined("malformed", "not a multipart form", field=field) from None


async def _read_form(request: web.Request, field: str, bytes_max: int, too_large: str) -> bytes:
    reader = await request.multipart()
    part = await reader.next()
    if not isinstance(part, BodyPartReader) or part.name != field:
        raise Declined("malformed", "the form must hold exactly one file", field=field)
    data = await _read_part(part, bytes_max, too_large)
    if await reader.next() is not None:
        raise Declined("malformed", "the form must hold exactly one file", field=field)
    return data


async def _read_part(part: BodyPartReader, bytes_max: int, too_large: str) -> bytes:
    data = bytearray()
    while chunk := await part.read_chunk():
        data += chunk
        if len(data) > bytes_max:
            raise Declined(too_large)
    return bytes(data)
