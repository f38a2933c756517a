"""What a node has of the outside world: clock, cache, photos, text messages, WeChat. Opened together, closed together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from server.config import Config
from server.gateway.cache import Cache, MemoryCache, RedisCache
from server.gateway.clock import Clock, SystemClock
from server.gateway.photo_workshop import PhotoWorkshop


@dataclass(frozen=True, slots=True)
class Outside:
    """The gateways of one node. `sms` and `wechat` are None where none is configured."""

    clock: Clock
    cache: Cache
    workshop: PhotoWorkshop


@asynccontextmanager
async def open_outside(config: Config, secret: bytes) -> AsyncIterator[Outside]:
    """Open the gateways that the configuration names. `secret` keys the names under which a shared cache keeps things."""
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        cache: Cache = RedisCache(config.cache.url, secret) if config.cache.url else MemoryCache(clock)
        stack.push_async_callback(cache.close)
        workshop = await stack.enter_async_context(PhotoWorkshop())
        yield Outside(clock, cache, workshop)
