"""One set of rules for both makes of server.gateway.cache; then what each promises alone."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import redis

from server.gateway.cache import (
    KEY_LENGTH_MAX,
    LIFE_MS_MAX,
    NEWS_WAITING_MAX,
    VALUE_BYTES_MAX,
    Cache,
    CacheUnavailable,
    MemoryCache,
    RedisCache,
)
from server.gateway.clock import SystemClock

HOUR_MS = 3_600_000
SECRET = b"s" * 32


class HandClock:
    """Mutable. A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1_000_000

    def now_ms(self) -> int:
        return self.now

    def monotonic_ms(self) -> int:
        return self.now


@pytest.fixture(params=["memory", "redis"])
async def cache(request: pytest.FixtureRequest) -> AsyncIterator[Cache]:
    make: Cache
    if request.param == "memory":
        make = MemoryCache(SystemClock())
    else:
        make = RedisCache(request.getfixturevalue("redis_url"), SECRET)
    yield make
    await make.close()


async def until(question: Callable[[], Awaitable[bool]]) -> None:
    """Ask again until the answer is yes: Redis keeps its own time. A wrong cache runs into the test's time limit."""
    for _ in range(20_000):
        if await question():
            return
        await asyncio.sleep(0.005)
    pytest.fail("never came true")


# ---------------------------------------------------------------- both


async def test_exactly_one_of_many_marks_a_key(cache: Cache) -> None:
    answers = await asyncio.gather(*(cache.put_once("nonce", ttl_ms=HOUR_MS) for _ in range(200)))
    assert sorted(answers) == [False] * 199 + [True]
    assert await cache.put_once("another", ttl_ms=HOUR_MS)


async def test_a_mark_can_be_set_again_when_its_life_is_over(cache: Cache) -> None:
    assert await cache.put_once("nonce", ttl_ms=20)
    await until(lambda: cache.put_once("nonce", ttl_ms=HOUR_MS))
    assert not await cache.put_once("nonce", ttl_ms=HOUR_MS)


async def test_hits_are_counted_once_each(cache: Cache) -> None:
    counts = await asyncio.gather(*(cache.hit("posts", window_ms=HOUR_MS) for _ in range(200)))
    assert sorted(counts) == list(range(1, 201))
    assert await cache.hits("posts") == 200
    assert await cache.hits("other") == 0


async def test_a_window_ends_with_its_own_length_and_is_not_prolonged_by_hits(cache: Cache) -> None:
    async def begins_again() -> bool:
        return await cache.hit("posts", window_ms=40) == 1

    await until(begins_again)
    await until(begins_again)


async def test_a_value_is_read_replaced_and_dropped(cache: Cache) -> None:
    assert await cache.get("page") is None
    await cache.put("page", b"\x00one", ttl_ms=HOUR_MS)
    await cache.put("page", b"\xfftwo", ttl_ms=HOUR_MS)
    assert await cache.get("page") == b"\xfftwo"
    await cache.drop("page")
    assert await cache.get("page") is None
    await cache.put("short", b"x", ttl_ms=10)

    async def is_gone() -> bool:
        return await cache.get("short") is None

    await until(is_gone)


async def test_marks_counters_and_values_of_one_key_do_not_meet_and_are_dropped_together(cache: Cache) -> None:
    await cache.put("key", b"value", ttl_ms=HOUR_MS)
    assert await cache.put_once("key", ttl_ms=HOUR_MS)
    assert await cache.hit("key", window_ms=HOUR_MS) == 1
    assert await cache.get("key") == b"value"
    await cache.drop("key")
    assert (await cache.get("key"), await cache.hits("key")) == (None, 0)
    assert await cache.put_once("key", ttl_ms=HOUR_MS)


async def test_keys_may_hold_any_characters(cache: Cache) -> None:
    for key in ("手机 13800138000", "a b\n*?[]", "k" * KEY_LENGTH_MAX):
        assert await cache.put_once(key, ttl_ms=HOUR_MS)
        assert not await cache.put_once(key, ttl_ms=HOUR_MS)


async def test_what_is_beyond_the_limits_is_a_mistake_of_the_caller(cache: Cache) -> None:
    for call in (
        cache.put_once("", ttl_ms=1),
        cache.put_once("k" * (KEY_LENGTH_MAX + 1), ttl_ms=1),
        cache.put_once("k", ttl_ms=0),
        cache.hit("k", window_ms=LIFE_MS_MAX + 1),
        cache.put("k", bytes(VALUE_BYTES_MAX + 1), ttl_ms=1),
        cache.publish("k", bytes(VALUE_BYTES_MAX + 1)),
    ):
        with pytest.raises(ValueError, match=r"a (key|value|life)"):
            await call


async def test_every_listener_of_a_channel_hears_what_is_published_after_it_came(cache: Cache) -> None:
    await cache.publish("motions", b"too early")
    async with cache.subscribe("motions") as one, cache.subscribe("motions") as two, cache.subscribe("other") as other:
        await cache.publish("motions", b"first")
        await cache.publish("motions", b"second")
        await cache.publish("other", b"third")
        assert [await anext(one), await anext(one)] == [b"first", b"second"]
        assert [await anext(two), await anext(two)] == [b"first", b"second"]
        assert await anext(other) == b"third"
    await cache.publish("motions", b"nobody listens")


# ---------------------------------------------------------------- memory alone


async def test_live_marks_are_never_given_up_and_dead_ones_make_room() -> None:
    clock = HandClock()
    cache = MemoryCache(clock, entries_max=3)
    for key in "ab":
        assert await cache.put_once(key, ttl_ms=1_000)
    assert await cache.hit("c", window_ms=1_000) == 1
    for call in (cache.put_once("d", ttl_ms=1_000), cache.hit("d", window_ms=1_000)):
        with pytest.raises(CacheUnavailable):
            await call
    assert not await cache.put_once("a", ttl_ms=1_000)
    assert await cache.hit("c", window_ms=1_000) == 2
    clock.now += 1_000
    assert await cache.put_once("d", ttl_ms=1_000)


async def test_the_value_unread_longest_makes_room() -> None:
    cache = MemoryCache(HandClock(), values_bytes_max=33)
    for key in "abc":
        await cache.put(key, bytes(10), ttl_ms=HOUR_MS)
    assert await cache.get("a") == bytes(10)
    await cache.put("d", bytes(10), ttl_ms=HOUR_MS)
    assert [await cache.get(key) is not None for key in "abcd"] == [True, False, True, True]


async def test_time_in_memory_ends_at_the_millisecond() -> None:
    clock = HandClock()
    cache = MemoryCache(clock)
    await cache.put("value", b"x", ttl_ms=50)
    await cache.hit("count", window_ms=50)
    clock.now += 49
    assert (await cache.get("value"), await cache.hits("count")) == (b"x", 1)
    clock.now += 1
    assert (await cache.get("value"), await cache.hits("count")) == (None, 0)
    assert await cache.hit("count", window_ms=50) == 1


async def test_a_listener_that_lags_loses_the_oldest_news_only() -> None:
    cache = MemoryCache(HandClock())
    async with cache.subscribe("news") as listener:
        for number in range(NEWS_WAITING_MAX + 5):
            await cache.publish("news", str(number).encode())
        assert await anext(listener) == b"5"


# ---------------------------------------------------------------- Redis alone


async def test_redis_never_sees_a_key_or_a_channel(redis_url: str) -> None:
    cache = RedisCache(redis_url, SECRET)
    await cache.put_once("13800138000", ttl_ms=HOUR_MS)
    await cache.hit("13800138000", window_ms=HOUR_MS)
    await cache.put("13800138000", b"value", ttl_ms=HOUR_MS)
    with redis.Redis(unix_socket_path=redis_url.removeprefix("unix://")) as server:
        names = server.keys("*")
        assert len(names) == 3
        assert not any(b"13800138000" in name for name in names)
        assert all(0 < server.pttl(name) <= HOUR_MS for name in names)
    await cache.close()


async def test_nodes_with_different_secrets_share_a_server_without_meeting(redis_url: str) -> None:
    one, two = RedisCache(redis_url, b"one"), RedisCache(redis_url, b"two")
    assert await one.put_once("nonce", ttl_ms=HOUR_MS)
    assert await two.put_once("nonce", ttl_ms=HOUR_MS)
    await one.close()
    await two.close()


async def test_two_processes_of_one_node_count_together(redis_url: str) -> None:
    one, two = RedisCache(redis_url, SECRET), RedisCache(redis_url, SECRET)
    counts = await asyncio.gather(*(cache.hit("posts", window_ms=HOUR_MS) for cache in [one, two] * 50))
    assert sorted(counts) == list(range(1, 101))
    async with one.subscribe("news") as listener:
        await two.publish("news", b"hello")
        assert await anext(listener) == b"hello"
    await one.close()
    await two.close()


async def test_more_callers_than_connections_wait_instead_of_failing(redis_url: str) -> None:
    cache = RedisCache(redis_url, SECRET, connections_max=2)
    assert len(await asyncio.gather(*(cache.hit("posts", window_ms=HOUR_MS) for _ in range(500)))) == 500
    await cache.close()


async def test_a_server_that_is_away_is_one_clear_error_without_its_address() -> None:
    cache = RedisCache("redis://:password@127.0.0.1:1/0", SECRET)
    for call in (cache.put_once("k", ttl_ms=1), cache.hit("k", window_ms=1), cache.get("k"), cache.publish("k", b"")):
        with pytest.raises(CacheUnavailable) as caught:
            await call
        assert "password" not in repr(caught.value)
        assert caught.value.__cause__ is None
    with pytest.raises(CacheUnavailable):
        async with cache.subscribe("k"):
            pass
    await cache.close()


async def test_connections_that_the_server_closed_are_replaced(redis_url: str) -> None:
    cache = RedisCache(redis_url, SECRET)
    await cache.hit("posts", window_ms=HOUR_MS)
    with redis.Redis(unix_socket_path=redis_url.removeprefix("unix://")) as server:
        server.client_kill_filter(_type="normal", skipme=True)
    assert await cache.hit("posts", window_ms=HOUR_MS) == 2
    await cache.close()


async def test_a_listener_waits_longer_than_the_clients_default_patience(redis_url: str) -> None:
    cache = RedisCache(redis_url, SECRET)
    async with cache.subscribe("news") as listener:
        waiting = asyncio.ensure_future(anext(listener))
        begun = time.monotonic()
        while time.monotonic() - begun < 2.5:  # longer than REDIS_PATIENCE_S
            await asyncio.sleep(0.1)
            assert not waiting.done()
        await cache.publish("news", b"at last")
        assert await waiting == b"at last"
    await cache.close()
