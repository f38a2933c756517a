"""Calls to outside services over HTTP: bounded in time and size, and silent about addresses, which may hold secrets."""

import asyncio
from http import HTTPStatus
from typing import NamedTuple

import aiohttp

ANSWER_BYTES_MAX = 64 * 1024
"""The services that we call answer with some hundred bytes of JSON."""
CALL_TIMEOUT_S = 5.0
"""A person waits in front of a screen; after five seconds they are better told to try again."""


class CallFailed(Exception):
    """The service gave no usable answer: no connection, silence, too much data. Says nothing about the address."""


class HttpAnswer(NamedTuple):
    """What a service answered."""

    status: int
    body: bytes

    @property
    def is_good(self) -> bool:
        """Tell whether the status is 2xx."""
        return HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES


async def call_service(
    session: aiohttp.ClientSession,
    method: str,
    url: str,
    *,
    query: dict[str, str] | None = None,
    body: bytes | None = None,
    headers: dict[str, str] | None = None,
) -> HttpAnswer:
    """Make one call, without redirects: they would carry tokens and telephone numbers to other hosts.

    Raises: CallFailed, without a cause, because the client's own errors repeat the whole address.
    """
    try:
        async with (
            asyncio.timeout(CALL_TIMEOUT_S),
            session.request(method, url, params=query, data=body, headers=headers, allow_redirects=False) as response,
        ):
            return HttpAnswer(response.status, await _read_bounded(response.content))
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise CallFailed(type(error).__name__) from None


async def _read_bounded(content: aiohttp.StreamReader) -> bytes:
    data = bytearray()
    async for chunk in content.iter_any():
        data += chunk
        if len(data) > ANSWER_BYTES_MAX:
            raise ValueError("too long")
    return bytes(data)
