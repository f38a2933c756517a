"""What may be lost: once-only marks, counters, short-lived values, news between processes. One interface, two makes.

`MemoryCache` serves a node that is one process and is exact; `RedisCache` serves several processes of one node. Nothing
here is truth: what must outlive a restart stands in the database or on the ledger. Keys may name people and telephones;
Redis sees keyed digests of them only.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from typing import Protocol

from redis import asyncio as aioredis
from redis.asyncio.client import PubSub
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisGone
from redis.exceptions import RedisError

from server.gateway.clock import Clock

KEY_LENGTH_MAX = 256
"""A purpose and an id or address; longer is a mistake of the caller."""
VALUE_BYTES_MAX = 64 * 1024
"""A page's rows, a challenge; never a photo."""
LIFE_MS_MAX = 7 * 24 * 3_600_000
"""A week: what must last longer does not belong here."""
ENTRIES_MAX = 200_000
"""Marks and counters in memory, some 40 MB; a busy node writes 600 a minute for each of its devices at most."""
VALUES_BYTES_MAX = 32 * 1024 * 1024
"""Values in memory; the ones unread longest make room."""
NEWS_WAITING_MAX = 256
"""News that a slow listener may leave unread; then the oldest are dropped, for a page that reloads loses nothing."""
CONNECTIONS_MAX = 20
"""More callers wait for a free connection instead of failing, as the client's default pool would make them."""
REDIS_PATIENCE_S = 2.0
"""A cache that does not answer in two seconds is down."""

_COUNT = """
local count = redis.call('INCR', KEYS[1])
if count == 1 or redis.call('PTTL', KEYS[1]) < 0 then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return count
"""
"""Counts and starts the window in one step: a client that dies between two commands would leave a counter for ever."""


class CacheUnavailable(Exception):
    """The cache does not answer or is full of live entries. Whoever guards something with it must refuse (503)."""


class Cache(Protocol):
    """Every method raises CacheUnavailable when the cache is down, ValueError for a key or value beyond the limits."""

    async def put_once(self, key: str, *, ttl_ms: int) -> bool:
        """Mark the key; False when it was marked already within the life of that mark. Exactly one caller gets True."""
        ...

    async def hit(self, key: str, *, window_ms: int) -> int:
        """Count one more and return the count since the key's window began; a window begins with its first hit."""
        ...

    async def hits(self, key: str) -> int:
        """Return the count of the key's window without counting, 0 when none is open."""
        ...

    async def get(self, key: str) -> bytes | None:
        """Return the value, or None when there is none (any more)."""
        ...

    async def put(self, key: str, value: bytes, *, ttl_ms: int) -> None:
        """Set the value for at most that long; it may vanish earlier."""
        ...

    async def drop(self, key: str) -> None:
        """Forget the key's mark, count and value."""
        ...

    async def publish(self, channel: str, news: bytes) -> None:
        """Send the news to all who listen now; it is not kept for others."""
        ...

    def subscribe(self, channel: str) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Listen from the moment the context is entered. A listener that lags loses the oldest news."""
        ...

    async def close(self) -> None:
        """Give back what the cache holds."""
        ...


@dataclass(slots=True)
class _Guard:
    """Mutable. A mark or a counter, alive until `end_ms` of monotonic time."""

    end_ms: int
    count: int


@dataclass(frozen=True, slots=True)
class _Kept:
    end_ms: int
    value: bytes


class MemoryCache:
    """Mutable. A cache within this process; for one event loop."""

    def __init__(self, clock: Clock, entries_max: int = ENTRIES_MAX, values_bytes_max: int = VALUES_BYTES_MAX) -> None:
        self._clock = clock
        self._entries_max = entries_max
        self._values_bytes_max = values_bytes_max
        self._marks: dict[str, _Guard] = {}
        self._counters: dict[str, _Guard] = {}
        self._values: OrderedDict[str, _Kept] = OrderedDict()
        self._values_bytes = 0
        self._listeners: dict[str, set[asyncio.Queue[bytes]]] = {}

    async def put_once(self, key: str, *, ttl_ms: int) -> bool:
        """See Cache. A live mark is never given up for another: when all are alive, CacheUnavailable."""
        _check(key, life_ms=ttl_ms)
        return self._open(self._marks, key, ttl_ms).count == 1

    async def hit(self, key: str, *, window_ms: int) -> int:
        """See Cache. A live counter is never given up for another."""
        _check(key, life_ms=window_ms)
        return self._open(self._counters, key, window_ms).count

    async def hits(self, key: str) -> int:
        """See Cache."""
        _check(key)
        guard = self._counters.get(key)
        return guard.count if guard and guard.end_ms > self._clock.monotonic_ms() else 0

    async def get(self, key: str) -> bytes | None:
        """See Cache."""
        _check(key)
        kept = self._values.get(key)
        if kept is None or kept.end_ms <= self._clock.monotonic_ms():
            return None
        self._values.move_to_end(key)
        return kept.value

    async def put(self, key: str, value: bytes, *, ttl_ms: int) -> None:
        """See Cache."""
        _check(key, value, ttl_ms)
        self._forget_value(key)
        self._values[key] = _Kept(self._clock.monotonic_ms() + ttl_ms, value)
        self._values_bytes += len(key) + len(value)
        while self._values_bytes > self._values_bytes_max:
            self._forget_value(next(iter(self._values)))

    async def drop(self, key: str) -> None:
        """See Cache."""
        _check(key)
        self._marks.pop(key, None)
        self._counters.pop(key, None)
        self._forget_value(key)

    async def publish(self, channel: str, news: bytes) -> None:
        """See Cache."""
        _check(channel, news)
        for queue in self._listeners.get(channel, ()):
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(news)

    @asynccontextmanager
    async def subscribe(self, channel: str) -> AsyncIterator[AsyncIterator[bytes]]:
        """See Cache."""
        _check(channel)
        queue: asyncio.Queue[bytes] = asyncio.Queue(NEWS_WAITING_MAX)
        listeners = self._listeners.setdefault(channel, set())
        listeners.add(queue)
        try:
            yield _drain(queue)
        finally:
            listeners.discard(queue)
            if not listeners:
                self._listeners.pop(channel, None)

    async def close(self) -> None:
        """See Cache."""
        for entries in (self._marks, self._counters, self._values):
            entries.clear()
        self._values_bytes = 0

    def _open(self, guards: dict[str, _Guard], key: str, life_ms: int) -> _Guard:
        """Return the key's guard with one more counted, a new one when none is alive."""
        now_ms = self._clock.monotonic_ms()
        guard = guards.get(key)
        if guard is None or guard.end_ms <= now_ms:
            if guard is None:
                self._make_room(now_ms)
            guard = guards[key] = _Guard(now_ms + life_ms, 0)
        guard.count += 1
        return guard

    def _make_room(self, now_ms: int) -> None:
        if len(self._marks) + len(self._counters) < self._entries_max:
            return
        for guards in (self._marks, self._counters):
            for key in [key for key, guard in guards.items() if guard.end_ms <= now_ms]:
                del guards[key]
        if len(self._marks) + len(self._counters) >= self._entries_max:
            raise CacheUnavailable("full")

    def _forget_value(self, key: str) -> None:
        kept = self._values.pop(key, None)
        if kept is not None:
            self._values_bytes -= len(key) + len(kept.value)


class RedisCache:
    """A cache in a Redis server (7 or newer, Valkey too), shared by the processes of one node.

    `secret` keys the digests that stand for keys: whoever reads the server's memory or its command log cannot try all
    telephone numbers. All processes of a node have the same; other nodes have others and so cannot collide.
    """

    def __init__(self, url: str, secret: bytes, connections_max: int = CONNECTIONS_MAX) -> None:
        # The address may hold a password: it is kept nowhere but in the pools, and no error repeats it.
        self._pool = _make_pool(url, connections_max, REDIS_PATIENCE_S)
        # A listener waits for news as long as there is none (the client's default is to give up after 5 s).
        self._listening_pool = _make_pool(url, connections_max, None)
        self._redis = aioredis.Redis(connection_pool=self._pool)
        self._count = self._redis.register_script(_COUNT)
        self._secret = blake2b(secret, digest_size=32, person=b"linli/cache").digest()

    async def put_once(self, key: str, *, ttl_ms: int) -> bool:
        """See Cache."""
        _check(key, life_ms=ttl_ms)
        with _translated():
            return bool(await self._redis.set(self._name("once", key), b"1", nx=True, px=ttl_ms))

    async def hit(self, key: str, *, window_ms: int) -> int:
        """See Cache."""
        _check(key, life_ms=window_ms)
        with _translated():
            return int(await self._count(keys=[self._name("count", key)], args=[window_ms]))

    async def hits(self, key: str) -> int:
        """See Cache."""
        _check(key)
        with _translated():
            return int(await self._redis.get(self._name("count", key)) or 0)

    async def get(self, key: str) -> bytes | None:
        """See Cache."""
        _check(key)
        with _translated():
            value = await self._redis.get(self._name("value", key))
        return value if isinstance(value, bytes) else None

    async def put(self, key: str, value: bytes, *, ttl_ms: int) -> None:
        """See Cache."""
        _check(key, value, ttl_ms)
        with _translated():
            await self._redis.set(self._name("value", key), value, px=ttl_ms)

    async def drop(self, key: str) -> None:
        """See Cache."""
        _check(key)
        with _translated():
            await self._redis.delete(*(self._name(use, key) for use in ("once", "count", "value")))

    async def publish(self, channel: str, news: bytes) -> None:
        """See Cache."""
        _check(channel, news)
        with _translated():
            await self._redis.publish(self._name("news", channel), news)

    @asynccontextmanager
    async def subscribe(self, channel: str) -> AsyncIterator[AsyncIterator[bytes]]:
        """See Cache. When the server goes away the iteration raises CacheUnavailable; the caller subscribes again."""
        _check(channel)
        client = aioredis.Redis(connection_pool=self._listening_pool)
        listening = client.pubsub()
        try:
            with _translated():
                await listening.subscribe(self._name("news", channel))
                await listening.get_message(timeout=REDIS_PATIENCE_S)  # the server's answer: from here on it counts
            yield _listen(listening)
        finally:
            await listening.aclose()  # type: ignore[no-untyped-call]

    async def close(self) -> None:
        """See Cache."""
        await self._pool.disconnect()
        await self._listening_pool.disconnect()

    def _name(self, use: str, key: str) -> str:
        digest = blake2b(f"{use}/{key}".encode(), digest_size=16, key=self._secret).hexdigest()
        return f"linli:{use}:{digest}"


def _make_pool(url: str, connections_max: int, patience_s: float | None) -> aioredis.BlockingConnectionPool:
    """Return a pool in which callers wait for a connection. A connection that the server closed is replaced once.

    Nothing is sent again after a silence: the first may have counted.
    """
    return aioredis.BlockingConnectionPool.from_url(
        url,
        max_connections=connections_max,
        timeout=REDIS_PATIENCE_S,
        socket_timeout=patience_s,
        socket_connect_timeout=REDIS_PATIENCE_S,
        retry=Retry(NoBackoff(), 1, supported_errors=(RedisGone,)),
    )


def _check(key: str, value: bytes = b"", life_ms: int = 1) -> None:
    """Hold both makes to the same limits, so that what works in one process works in several."""
    if not 0 < len(key) <= KEY_LENGTH_MAX:
        raise ValueError("a key has 1 to 256 characters")
    if len(value) > VALUE_BYTES_MAX:
        raise ValueError("a value has at most 64 KiB")
    if not 0 < life_ms <= LIFE_MS_MAX:
        raise ValueError("a life lasts from 1 ms to a week")


@contextmanager
def _translated() -> Iterator[None]:
    """Turn whatever the client raises into CacheUnavailable, which repeats neither addresses nor keys."""
    try:
        yield
    except (RedisError, OSError) as error:
        raise CacheUnavailable(type(error).__name__) from None


async def _drain(queue: asyncio.Queue[bytes]) -> AsyncIterator[bytes]:
    while True:
        yield await queue.get()


async def _listen(listening: PubSub) -> AsyncIterator[bytes]:
    with _translated():
        async for message in listening.listen():
            if message["type"] == "message":
                yield message["data"]
