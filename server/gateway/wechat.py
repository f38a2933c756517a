"""WeChat's server API as far as signing in needs it: who holds this phone, and its telephone number.

`wx.login` and `getPhoneNumber` give the mini-program codes that live five minutes and work once; a node exchanges them
here. The `session_key` that WeChat sends along is never even decoded. Nothing here logs; errors hold WeChat's number of
the fault and nothing else. Sources: WeChat's documentation of auth.code2Session, getStableAccessToken and
phonenumber.getPhoneNumber.
"""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeVar

import aiohttp
import msgspec

from server.gateway.clock import Clock
from server.gateway.http_answer import CallFailed, call_service

TOKEN_MARGIN_MS = 300_000
"""WeChat gives a new stable token from five minutes before the old one ends; both work in these minutes."""
TOKEN_LIFE_S_MAX = 7_200
"""WeChat's tokens live two hours; a longer promise is not believed."""
BUSY_PAUSES_S = (0.2, 0.8)
"""WeChat asks to try again later when it is busy (-1): twice, while a person waits."""
_CODE = re.compile(r"[A-Za-z0-9_\-]{1,256}")


class WechatFault(StrEnum):
    """Why WeChat did not answer the question: a stable code for the API."""

    CODE_INVALID = "wechat_code_invalid"
    """Not a code of this app, or older than five minutes: the phone should ask for a new one."""
    CODE_USED = "wechat_code_used"
    """The code was exchanged before: the phone should ask for a new one."""
    LIMITED = "wechat_limited"
    """Too many questions for this user or this app."""
    BLOCKED = "wechat_blocked"
    """WeChat holds the user to be a risk; another way of proof is needed."""
    UNAVAILABLE = "wechat_unavailable"
    """WeChat is busy, silent, or answers what nobody can read."""
    MISCONFIGURED = "wechat_misconfigured"
    """App id, secret or allowed addresses are wrong: a matter for the operator."""


class WechatFailed(Exception):
    """WeChat gave no answer. `fault` says why; `errcode` is WeChat's own number, 0 where it gave none."""

    def __init__(self, fault: WechatFault, errcode: int = 0) -> None:
        super().__init__(f"{fault.value} ({errcode})")
        self.fault = fault
        self.errcode = errcode


@dataclass(frozen=True, slots=True)
class WechatIdentity:
    """A user of this mini-program; `unionid` is empty where the app is bound to no open platform account."""

    openid: str = field(repr=False)
    unionid: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class WechatPhone:
    """The telephone number that a user chose to give, without its country code."""

    country_code: str
    number: str = field(repr=False)


class _Answer(msgspec.Struct, frozen=True):
    errcode: int = 0


class _SessionAnswer(_Answer, frozen=True):
    openid: str = ""
    unionid: str = ""


class _TokenAnswer(_Answer, frozen=True):
    access_token: str = ""
    expires_in: int = 0


class _Watermark(msgspec.Struct, frozen=True):
    appid: str


class _PhoneInfo(msgspec.Struct, frozen=True, rename="camel"):
    pure_phone_number: str
    country_code: str
    watermark: _Watermark


class _PhoneAnswer(_Answer, frozen=True):
    phone_info: _PhoneInfo | None = None


AnyAnswer = TypeVar("AnyAnswer", bound=_Answer)

_BUSY = -1
_TOKEN_ENDED = frozenset({40001, 40014, 42001})
_FAULTS = {
    40029: WechatFault.CODE_INVALID,
    40163: WechatFault.CODE_USED,
    45009: WechatFault.LIMITED,
    45011: WechatFault.LIMITED,
    40226: WechatFault.BLOCKED,
    40002: WechatFault.MISCONFIGURED,
    40013: WechatFault.MISCONFIGURED,
    40125: WechatFault.MISCONFIGURED,
    40164: WechatFault.MISCONFIGURED,
    41002: WechatFault.MISCONFIGURED,
    41004: WechatFault.MISCONFIGURED,
    50002: WechatFault.MISCONFIGURED,
}


class WechatClient:
    """Mutable: it keeps the app's access token. For one event loop."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        base_url: str,
        appid: str,
        secret: str,
        clock: Clock,
        *,
        pauses_s: Sequence[float] = BUSY_PAUSES_S,
    ) -> None:
        self._session = session
        self._pauses_s = pauses_s
        self._base_url = base_url.rstrip("/")
        self._appid = appid
        self._secret = secret
        self._clock = clock
        self._token = ""
        self._token_end_ms = 0
        self._token_lock = asyncio.Lock()

    async def identify(self, code: str) -> WechatIdentity:
        """Exchange the code of `wx.login` for the user's identity (auth.code2Session). Raises WechatFailed.

        A silent WeChat is not asked again: the code may be spent by then, and the phone gets a new one for nothing.
        """
        _check_code(code)
        query = {"appid": self._appid, "secret": self._secret, "js_code": code, "grant_type": "authorization_code"}
        answer = _accept(await self._ask("GET", "/sns/jscode2session", _SessionAnswer, query=query))
        if not answer.openid:
            raise WechatFailed(WechatFault.UNAVAILABLE)
        return WechatIdentity(answer.openid, answer.unionid)

    async def phone_number(self, code: str) -> WechatPhone:
        """Exchange the code of `getPhoneNumber` for the number (phonenumber.getPhoneNumber). Raises WechatFailed."""
        _check_code(code)
        token = await self._access_token()
        answer = await self._ask_phone(code, token)
        if answer.errcode in _TOKEN_ENDED:
            # Somebody asked for a new token elsewhere. The code is spent only by a call with a good token.
            self._forget_token(token)
            answer = await self._ask_phone(code, await self._access_token())
        info = _accept(answer).phone_info
        # The watermark tells for which app the number was given.
        if info is None or info.watermark.appid != self._appid:
            raise WechatFailed(WechatFault.UNAVAILABLE)
        return WechatPhone(info.country_code, info.pure_phone_number)

    async def _ask_phone(self, code: str, token: str) -> _PhoneAnswer:
        path = "/wxa/business/getuserphonenumber"
        return await self._ask("POST", path, _PhoneAnswer, query={"access_token": token}, body={"code": code})

    async def _access_token(self) -> str:
        """Return the app's token, a fresh one when it is about to end; many callers at once ask WeChat once."""
        async with self._token_lock:
            if self._clock.monotonic_ms() >= self._token_end_ms:
                await self._renew_token()
            return self._token

    async def _renew_token(self) -> None:
        body = {"grant_type": "client_credential", "appid": self._appid, "secret": self._secret}
        answer = _accept(await self._ask("POST", "/cgi-bin/stable_token", _TokenAnswer, body=body))
        if not answer.access_token or answer.expires_in <= 0:
            raise WechatFailed(WechatFault.UNAVAILABLE)
        self._token = answer.access_token
        life_ms = min(answer.expires_in, TOKEN_LIFE_S_MAX) * 1_000 - TOKEN_MARGIN_MS
        self._token_end_ms = self._clock.monotonic_ms() + life_ms

    def _forget_token(self, token: str) -> None:
        if token == self._token:
            self._token_end_ms = 0

    async def _ask(
        self,
        method: str,
        path: str,
        kind: type[AnyAnswer],
        *,
        query: dict[str, str] | None = None,
        body: dict[str, str] | None = None,
    ) -> AnyAnswer:
        """Ask, and ask again while WeChat says that it is busy; its other faults are in the answer."""
        data = msgspec.json.encode(body) if body is not None else None
        for pause_s in (*self._pauses_s, None):
            answer = await self._ask_once(method, self._base_url + path, kind, query, data)
            if answer.errcode != _BUSY or pause_s is None:
                return answer
            await asyncio.sleep(pause_s)
        raise AssertionError("the last attempt returns")

    async def _ask_once(
        self, method: str, url: str, kind: type[AnyAnswer], query: dict[str, str] | None, body: bytes | None
    ) -> AnyAnswer:
        try:
            answer = await call_service(self._session, method, url, query=query, body=body)
            # WeChat labels its JSON text/plain and answers 200 for its faults too.
            if not answer.is_good:
                raise WechatFailed(WechatFault.UNAVAILABLE)
            return msgspec.json.decode(answer.body, type=kind)
        except (CallFailed, msgspec.DecodeError, UnicodeDecodeError):
            raise WechatFailed(WechatFault.UNAVAILABLE) from None


def _check_code(code: str) -> None:
    if not _CODE.fullmatch(code):
        raise WechatFailed(WechatFault.CODE_INVALID)


def _accept(answer: AnyAnswer) -> AnyAnswer:
    if answer.errcode:
        raise WechatFailed(_FAULTS.get(answer.errcode, WechatFault.UNAVAILABLE), answer.errcode)
    return answer
