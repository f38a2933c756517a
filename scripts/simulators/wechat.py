"""The part of WeChat's server API that signing in needs, with users and codes that are made on demand.

    python3 scripts/simulators/wechat.py [--port 0] [--appid demo] [--secret demo]

    GET  /sns/jscode2session           as WeChat's auth.code2Session
    POST /cgi-bin/stable_token         as WeChat's getStableAccessToken
    POST /wxa/business/getuserphonenumber   as WeChat's phonenumber.getPhoneNumber
    POST /simulator/codes              {"openid", "unionid"?} -> {"code"}: what wx.login would give that user
    POST /simulator/phone-codes        {"phone", "country_code"?, "appid"?} -> {"code"}: what getPhoneNumber would give
    POST /simulator/clock              {"advance_ms"}: let time pass; codes live five minutes, tokens two hours
    POST /simulator/tokens/revoke      {}: the token in use ends now, as when another server asked for a new one
    POST /simulator/faults             {"path", "errcode" or "status", "times"}
    GET  /simulator/calls              how often each path was called

Faults are told as WeChat tells them: status 200, JSON labelled text/plain, `errcode` and `errmsg`.
"""

from __future__ import annotations

import json
import secrets
import sys
import time
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import environment

if __name__ == "__main__":
    environment.reexec_in_environment()

from aiohttp import web

from simulators.loopback import BODY_BYTES_MAX, Faults, make_parser, read_count, read_object, read_text, serve

CODE_LIFE_MS = 300_000
TOKEN_LIFE_S = 7_200
CODES_MAX = 10_000
CODE_INVALID, CODE_USED, TOKEN_INVALID = 40029, 40163, 40001
APPID_INVALID, SECRET_INVALID, GRANT_INVALID = 40013, 40125, 40002
FAULTS_AT_ONCE_MAX = 100


class Issued(NamedTuple):
    """A code that was given to a phone: what it stands for, and until when."""

    answer: dict[str, object]
    end_ms: int


class Codes:
    """Mutable. Codes of one kind; each works once."""

    def __init__(self) -> None:
        self._issued: dict[str, Issued | None] = {}

    def issue(self, answer: dict[str, object], now_ms: int) -> str:
        """Return a new code for this answer."""
        code = secrets.token_hex(16)
        self._issued[code] = Issued(answer, now_ms + CODE_LIFE_MS)
        if len(self._issued) > CODES_MAX:
            del self._issued[next(iter(self._issued))]
        return code

    def take(self, code: str, now_ms: int) -> dict[str, object] | int:
        """Return the answer, and spend the code; or WeChat's number of the fault."""
        if code not in self._issued:
            return CODE_INVALID
        issued = self._issued[code]
        if issued is None:
            return CODE_USED
        if issued.end_ms <= now_ms:
            return CODE_INVALID
        self._issued[code] = None
        return issued.answer


class Wechat:
    """Mutable. The app's users, codes and token."""

    def __init__(self, appid: str, secret: str, faults: Faults) -> None:
        self._appid = appid
        self._secret = secret
        self._faults = faults
        self._logins, self._phones = Codes(), Codes()
        self._token, self._token_end_ms = "", 0
        self._advanced_ms = 0

    def _now_ms(self) -> int:
        return time.monotonic_ns() // 1_000_000 + self._advanced_ms

    async def exchange_login(self, request: web.Request) -> web.Response:
        """GET /sns/jscode2session."""
        query = request.query
        if query.get("grant_type") != "authorization_code":
            return _fault(GRANT_INVALID)
        refused = self._refuse_app(query.get("appid"), query.get("secret"))
        return refused or _answer(self._logins.take(query.get("js_code", ""), self._now_ms()))

    async def give_token(self, request: web.Request) -> web.Response:
        """POST /cgi-bin/stable_token."""
        members = await read_object(request)
        if members.get("grant_type") != "client_credential":
            return _fault(GRANT_INVALID)
        refused = self._refuse_app(members.get("appid"), members.get("secret"))
        if refused:
            return refused
        if self._now_ms() >= self._token_end_ms:
            self._token, self._token_end_ms = secrets.token_hex(32), self._now_ms() + TOKEN_LIFE_S * 1_000
        return _answer({"access_token": self._token, "expires_in": (self._token_end_ms - self._now_ms()) // 1_000})

    async def exchange_phone(self, request: web.Request) -> web.Response:
        """POST /wxa/business/getuserphonenumber."""
        members = await read_object(request)
        if request.query.get("access_token") != self._token or self._now_ms() >= self._token_end_ms:
            return _fault(TOKEN_INVALID)
        return _answer(self._phones.take(read_text(members, "code"), self._now_ms()))

    async def issue_login(self, request: web.Request) -> web.Response:
        """POST /simulator/codes."""
        members = await read_object(request)
        answer: dict[str, object] = {"openid": read_text(members, "openid"), "session_key": secrets.token_urlsafe(16)}
        if "unionid" in members:
            answer["unionid"] = read_text(members, "unionid")
        return web.json_response({"code": self._logins.issue(answer, self._now_ms())})

    async def issue_phone(self, request: web.Request) -> web.Response:
        """POST /simulator/phone-codes."""
        members = await read_object(request)
        phone, country = read_text(members, "phone"), read_text(members, "country_code", "86")
        info = {
            "phoneNumber": phone if country == "86" else f"+{country}{phone}",
            "purePhoneNumber": phone,
            "countryCode": country,
            "watermark": {"timestamp": int(time.time()), "appid": read_text(members, "appid", self._appid)},
        }
        answer: dict[str, object] = {"errcode": 0, "errmsg": "ok", "phone_info": info}
        return web.json_response({"code": self._phones.issue(answer, self._now_ms())})

    async def advance(self, request: web.Request) -> web.Response:
        """POST /simulator/clock."""
        self._advanced_ms += max(read_count(await read_object(request), "advance_ms", 0), 0)
        return web.json_response({})

    async def revoke(self, request: web.Request) -> web.Response:
        """POST /simulator/tokens/revoke."""
        self._token_end_ms = 0
        return web.json_response({})

    async def plan_faults(self, request: web.Request) -> web.Response:
        """POST /simulator/faults."""
        members = await read_object(request)
        for _ in range(min(read_count(members, "times", 1), FAULTS_AT_ONCE_MAX)):
            if "status" in members:
                response = web.Response(status=read_count(members, "status", 502))
            else:
                response = _fault(read_count(members, "errcode", -1))
            self._faults.add(read_text(members, "path"), response)
        return web.json_response({})

    def _refuse_app(self, appid: object, secret: object) -> web.Response | None:
        if appid != self._appid:
            return _fault(APPID_INVALID)
        return _fault(SECRET_INVALID) if secret != self._secret else None


def _fault(errcode: int) -> web.Response:
    return _answer({"errcode": errcode, "errmsg": f"simulated fault {errcode}"})


def _answer(members: dict[str, object] | int) -> web.Response:
    if isinstance(members, int):
        return _fault(members)
    return web.Response(text=json.dumps(members), content_type="text/plain")


def make_app(appid: str, secret: str) -> web.Application:
    """Return the service as an aiohttp application."""
    faults = Faults()
    wechat = Wechat(appid, secret, faults)
    app = web.Application(client_max_size=BODY_BYTES_MAX, middlewares=[faults.middleware])
    app.router.add_get("/sns/jscode2session", wechat.exchange_login)
    app.router.add_post("/cgi-bin/stable_token", wechat.give_token)
    app.router.add_post("/wxa/business/getuserphonenumber", wechat.exchange_phone)
    app.router.add_post("/simulator/codes", wechat.issue_login)
    app.router.add_post("/simulator/phone-codes", wechat.issue_phone)
    app.router.add_post("/simulator/clock", wechat.advance)
    app.router.add_post("/simulator/tokens/revoke", wechat.revoke)
    app.router.add_post("/simulator/faults", wechat.plan_faults)
    app.router.add_get("/simulator/calls", faults.show_calls)
    return app


def main() -> None:
    """Read the command line and serve."""
    parser = make_parser("The part of WeChat's server API that signing in needs, with users made on demand.")
    parser.add_argument("--appid", default="demo")
    parser.add_argument("--secret", default="demo")
    options = parser.parse_args()
    serve(make_app(options.appid, options.secret), options.port)


if __name__ == "__main__":
    main()
