"""Text messages through a gateway that speaks HTTP: `POST <url>` with JSON. Never logs telephones or texts.

Operators in China send registered templates only, so a message is a template's name and its values. Each message has an
id of ours, by which the gateway must recognise a repeated delivery of the same one.
"""

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from http import HTTPStatus
from typing import Protocol

import aiohttp
import msgspec

from server.gateway.http_answer import CallFailed, HttpAnswer, call_service
from server.gateway.identity_number import check_phone

PAUSES_S = (0.2, 0.8)
"""Before the second and the third attempt: what a gateway needs to restart a worker; a person waits meanwhile."""
VALUES_MAX = 8
VALUE_LENGTH_MAX = 64
"""Operators cut longer values of a template."""


class SmsFault(StrEnum):
    """Why a message was not taken: a stable code for the API."""

    REFUSED = "sms_refused"
    """The gateway will never send this one: a blocked number, an unknown template."""
    LIMITED = "sms_limited"
    """The gateway sends no more to this number, or for us, for a while."""
    UNAVAILABLE = "sms_unavailable"
    """No answer, or only faults, after all attempts."""
    MISCONFIGURED = "sms_misconfigured"
    """The gateway does not accept our token: a matter for the operator."""


class SmsFailed(Exception):
    """A message was not taken by the gateway; `fault` says why. Holds nothing of the message."""

    def __init__(self, fault: SmsFault) -> None:
        super().__init__(fault.value)
        self.fault = fault


@dataclass(frozen=True, slots=True)
class SmsMessage:
    """One message. Its representation shows neither telephone nor values, so that no log can."""

    phone: str = field(repr=False)
    template: str
    values: Mapping[str, str] = field(repr=False)
    id: str = field(default_factory=lambda: secrets.token_urlsafe(16))

    def __post_init__(self) -> None:
        if check_phone(self.phone):
            raise ValueError("not a mobile number of 11 digits")
        if len(self.values) > VALUES_MAX or any(len(value) > VALUE_LENGTH_MAX for value in self.values.values()):
            raise ValueError("too many or too long values")


class SmsSender(Protocol):
    """What sends a message."""

    async def send(self, message: SmsMessage) -> None:
        """Hand the message to the gateway; it arrives later, or not. Raises SmsFailed."""
        ...


class HttpSms:
    """A gateway that takes `{"id", "phone", "template", "values"}` and answers 2xx when it will send it."""

    def __init__(
        self, session: aiohttp.ClientSession, url: str, token: str, *, pauses_s: Sequence[float] = PAUSES_S
    ) -> None:
        self._session = session
        self._pauses_s = pauses_s
        self._url = url
        self._headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}

    async def send(self, message: SmsMessage) -> None:
        """See SmsSender. At most three attempts, each with the same id; what is refused is not tried again."""
        fault = SmsFault.UNAVAILABLE
        for pause_s in (*self._pauses_s, None):
            outcome = await self._try(message)
            if outcome is None:
                return
            fault = outcome
            if fault is not SmsFault.UNAVAILABLE or pause_s is None:
                break
            await asyncio.sleep(pause_s)
        raise SmsFailed(fault)

    async def _try(self, message: SmsMessage) -> SmsFault | None:
        members = {"id": message.id, "phone": message.phone, "template": message.template, "values": message.values}
        body = msgspec.json.encode(members)
        try:
            answer = await call_service(self._session, "POST", self._url, body=body, headers=self._headers)
        except CallFailed:
            return SmsFault.UNAVAILABLE
        return _fault_of(answer)


def _fault_of(answer: HttpAnswer) -> SmsFault | None:
    if answer.is_good:
        return None
    match answer.status:
        case HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN:
            return SmsFault.MISCONFIGURED
        case HTTPStatus.TOO_MANY_REQUESTS:
            return SmsFault.LIMITED
        case status if HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR:
            return SmsFault.REFUSED
        case _:
            return SmsFault.UNAVAILABLE
