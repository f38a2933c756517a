"""What a node has of the outside world: clock, cache, photos, text messages, WeChat. Opened and closed together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import aiohttp
import structlog

from server.config import Config
from server.gateway.cache import Cache, MemoryCache, RedisCache
from server.gateway.clock import Clock, SystemClock
from server.gateway.photo_workshop import PhotoWorkshop
from server.gateway.sms import HttpSms, SmsFailed, SmsMessage
from server.gateway.wechat import WechatClient, WechatFailed, WechatFault

log = structlog.get_logger()
CODE_TEMPLATE = "sign-in-code"
COUNTRY_CODE = "86"


class CodeMessages:
    """Sign-in codes as text messages. A failure is told, not raised: the person may ask again."""

    def __init__(self, gateway: HttpSms) -> None:
        self._gateway = gateway

    async def send_code(self, phone: str, code: str) -> bool:
        """Send a code; False when the gateway did not take it."""
        try:
            await self._gateway.send(SmsMessage(phone, CODE_TEMPLATE, {"code": code}))
        except (SmsFailed, ValueError) as error:
            log.warning("code_not_sent", fault=str(error))
            return False
        return True


class WechatQuestions:
    """What sign-in asks of WeChat. Raises WechatFailed, whose fault says what the person can do; it is logged here."""

    def __init__(self, client: WechatClient) -> None:
        self._client = client

    async def login(self, code: str) -> str:
        """The openid behind a login code."""
        try:
            return (await self._client.identify(code)).openid
        except WechatFailed as error:
            _log_fault("wechat_login_failed", error)
            raise

    async def phone_number(self, code: str) -> str:
        """The number behind a phone code; empty for another country's, which is not on the roll, however it looks."""
        try:
            phone = await self._client.phone_number(code)
        except WechatFailed as error:
            _log_fault("wechat_phone_failed", error)
            raise
        return phone.number if phone.country_code == COUNTRY_CODE else ""


def _log_fault(event: str, error: WechatFailed) -> None:
    """A wrong app id or secret is the operator's to mend, so it must stand out; the rest happens every day."""
    level = log.error if error.fault is WechatFault.MISCONFIGURED else log.info
    level(event, fault=error.fault.value, errcode=error.errcode)


@dataclass(frozen=True, slots=True)
class Outside:
    """The gateways of one node."""

    clock: Clock
    cache: Cache
    workshop: PhotoWorkshop
    sms: CodeMessages
    wechat: WechatQuestions


@asynccontextmanager
async def open_outside(config: Config, secret: bytes) -> AsyncIterator[Outside]:
    """Open the gateways. `secret` keys the names under which a shared cache keeps things."""
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        cache: Cache = RedisCache(config.cache.url, secret) if config.cache.url else MemoryCache(clock)
        stack.push_async_callback(cache.close)
        workshop = await stack.enter_async_context(PhotoWorkshop())
        session = await stack.enter_async_context(aiohttp.ClientSession())
        wechat = WechatClient(session, config.wechat.url, config.wechat.appid, config.wechat.secret, clock)
        sms = HttpSms(session, config.sms.url, config.sms.token)
        yield Outside(clock, cache, workshop, CodeMessages(sms), WechatQuestions(wechat))
