"""Pending records: bounded, forgotten in time, sent again with measure (consensus.md 2.10; decisions 22)."""

from hypothesis import given
from hypothesis import strategies as st

from server.consensus import effects, events
from server.consensus.config import ADMITTING_MAX, POOL_BYTES_MAX, POOL_RECORDS_MAX, RECORDS_RESENT_MAX
from server.consensus.pool import Pool
from tests.consensus.cluster import Bench


def test_no_more_records_than_the_limit() -> None:
    pool = Pool()
    added = [pool.add(f"r{index}", b"x", 0, 10_000) for index in range(POOL_RECORDS_MAX + 5)]
    assert added.count(True) == len(pool) == POOL_RECORDS_MAX


def test_no_more_bytes_than_the_limit() -> None:
    pool = Pool()
    large = bytes(POOL_BYTES_MAX // 2)
    assert [pool.add(name, large, 0, 1) for name in ("a", "b", "c")] == [True, True, False]
    pool.remove(["a"])
    assert pool.add("c", large, 0, 1)


def test_over_the_limit_the_driver_is_told() -> None:
    bench = Bench()
    pool = bench["a"].state.pool
    for index in range(POOL_RECORDS_MAX):
        pool.add(f"r{index}", b"x", bench.now, bench.now + 10_000)
    found = bench.step("a", events.Submitted("one more", b"x", (), bench.now + 10_000))
    assert found[0] == effects.Refused("one more")
    assert "one more" not in pool


def test_a_record_is_forgotten_at_its_expiry_and_not_before() -> None:
    pool = Pool()
    pool.add("r", b"x", 0, 100)
    pool.expire(99)
    assert "r" in pool
    pool.expire(100)
    assert "r" not in pool
    assert pool.frame_bytes == 0


def test_the_oldest_record_is_the_first_that_came() -> None:
    pool = Pool()
    pool.add("r1", b"x", 5, 100)
    pool.add("r2", b"x", 7, 50)
    assert pool.oldest_ms == 5
    pool.remove(["r1"])
    assert pool.oldest_ms == 7
    pool.remove(["r2"])
    assert pool.oldest_ms is None


def test_only_the_oldest_records_are_sent_again_and_each_once_in_a_while() -> None:
    pool = Pool()
    for index in range(20):
        pool.add(f"r{index}", b"%d" % index, 0, 10_000)
    assert pool.to_resend("b", 400, 400) == []
    assert pool.to_resend("b", 401, 400) == [b"%d" % index for index in range(RECORDS_RESENT_MAX)]
    assert pool.to_resend("c", 401, 400) == [b"%d" % index for index in range(RECORDS_RESENT_MAX)]
    assert pool.to_resend("b", 402, 400)[0] == b"%d" % RECORDS_RESENT_MAX


def test_no_more_questions_to_the_driver_than_the_limit() -> None:
    pool = Pool()
    asked = [pool.ask(f"r{index}") for index in range(ADMITTING_MAX + 3)]
    assert asked.count(True) == ADMITTING_MAX
    pool.answered("r0")
    assert pool.ask("another")


@given(
    st.lists(
        st.tuples(st.sampled_from(["add", "remove", "expire"]), st.integers(0, 9), st.integers(0, 50)), max_size=60
    )
)
def test_bytes_and_expiry_always_fit_the_records(acts: list[tuple[str, int, int]]) -> None:
    pool, model, now = Pool(), dict[str, tuple[int, int]](), 0
    for act, key, amount in acts:
        name = f"r{key}"
        if act == "add" and pool.add(name, bytes(amount), now, now + amount + 1):
            model.setdefault(name, (amount, now + amount + 1))
        elif act == "remove":
            pool.remove([name])
            model.pop(name, None)
        elif act == "expire":
            now += amount
            pool.expire(now)
            model = {name: value for name, value in model.items() if value[1] > now}
        assert len(pool) == len(model)
        assert pool.frame_bytes == sum(size for size, _ in model.values())
