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
from server.gateway.wechat import WechatClient, WechatFailed

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
    """What sign-in asks of WeChat; None when WeChat does not vouch."""

    def __init__(self, client: WechatClient) -> None:
        self._client = client

    async def login(self, code: str) -> str | None:
        """The openid behind a login code."""
        try:
            return (await self._client.identify(code)).openid
        except WechatFailed as error:
            log.info("wechat_login_failed", fault=error.fault.value, errcode=error.errcode)
            return None

    async def phone_number(self, code: str) -> str | None:
        """The number behind a phone code; another country's is not one of the roll's, however its digits look."""
        try:
            phone = await self._client.phone_number(code)
            return phone.number if phone.country_code == COUNTRY_CODE else None
        except WechatFailed as error:
            log.info("wechat_phone_failed", fault=error.fault.value, errcode=error.errcode)
            return None


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
