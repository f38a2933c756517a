"""Days, committees, proxies, payments: the remaining vectors of the law."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from server.domain.law.committee import is_barred_in_change_over, is_quorate, is_signed, is_valid_size
from server.domain.law.convening import is_one_fifth, petition_min
from server.domain.law.days import (
    begin_of,
    day_of,
    is_noticed,
    is_noticed_amply,
    is_weekend,
    last_day,
    postponed,
)
from server.domain.law.payment import PaymentFault, fault_of_payment
from server.domain.law.proxy import Mandate, MandateFault, fault_of

CHINA = timezone(timedelta(hours=8))


def day(text: str) -> int:
    return (date.fromisoformat(text) - date(1970, 1, 1)).days


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=CHINA).timestamp() * 1_000)


def test_days_are_china_s() -> None:
    assert day_of(ms("2025-03-01T00:00:00")) == day_of(ms("2025-03-01T23:59:59")) == day("2025-03-01")
    assert begin_of(day("2025-03-01")) == ms("2025-03-01T00:00:00")
    assert datetime.fromtimestamp(begin_of(day("2025-03-01")) / 1_000, UTC).hour == 16


def test_v16_fifteen_days_of_notice_end_on_the_sixteenth() -> None:
    """Published on 2025-03-01, day 1 is 03-02 (Civil Code 201), day 15 is 03-16."""
    announced = ms("2025-03-01T09:00:00")
    assert last_day(day_of(announced), 15) == day("2025-03-16")
    assert not is_noticed(announced, ms("2025-03-15T23:59:59"), 15)
    assert is_noticed(announced, ms("2025-03-16T00:00:00"), 15)
    assert not is_noticed_amply(announced, ms("2025-03-16T23:59:59"), 15), "a careful committee is warned"
    assert is_noticed_amply(announced, ms("2025-03-17T00:00:00"), 15)
    assert is_noticed(announced, announced - 1, 0), "a rehearsal needs none"


def test_v16_a_last_day_on_a_holiday_is_the_next_working_day() -> None:
    """Civil Code 203: 2025-10-01 to 10-08 were holidays, 10-11 (a Saturday) was worked in exchange."""
    holidays = {day(f"2025-10-{number:02}") for number in range(1, 9)}
    assert postponed(day("2025-10-01"), holidays) == day("2025-10-09")
    assert postponed(day("2025-09-30"), holidays) == day("2025-09-30")
    assert postponed(day("2025-10-11"), holidays) == day("2025-10-13")
    assert postponed(day("2025-10-11"), holidays, {day("2025-10-11")}) == day("2025-10-11")
    assert is_weekend(day("2025-10-11")) and is_weekend(day("2025-10-12")) and not is_weekend(day("2025-10-13"))


@pytest.mark.parametrize(("whole", "least"), [(1_152, 231), (500, 100), (49, 10), (44, 9)])
def test_v15_a_fifth_of_the_owners(whole: int, least: int) -> None:
    assert petition_min(whole) == least
    assert is_one_fifth(least, whole) and not is_one_fifth(least - 1, whole)


def test_v17_committees() -> None:
    assert is_signed(3, 5) and not is_signed(2, 5)
    assert is_signed(4, 7) and not is_signed(3, 7)
    assert is_quorate(4, 7) and not is_quorate(3, 7)
    assert [size for size in range(1, 10) if is_valid_size(size, 20_000 * 10_000)] == [5, 7, 9]
    assert is_valid_size(3, 10_000 * 10_000) and not is_valid_size(3, 10_000 * 10_000 + 1)
    assert not is_valid_size(6, 1)


def test_v18_while_the_committee_changes_over_no_manager_is_hired() -> None:
    assert is_barred_in_change_over("manager") and is_barred_in_change_over("part-fund-use")
    assert not is_barred_in_change_over("committee") and not is_barred_in_change_over("procedure-rules")
    assert not is_barred_in_change_over("fund-use", is_emergency=True)


def test_v13_mandates() -> None:
    """Weifang: three at most; a mandate is for one motion; who votes himself is not voted for."""

    def fault(
        mandate: Mandate, motion: str = "a", held: int = 1, *, banned: bool = False, voted: bool = False
    ) -> object:
        return fault_of(mandate, motion, held=held, held_max=3, is_banned=banned, has_principal_voted=voted)

    mandate = Mandate("a")
    assert fault(mandate, held=3) is None
    assert fault(mandate, held=4) is MandateFault.OVER_LIMIT
    assert fault(mandate, motion="b") is MandateFault.OTHER_MOTION
    assert fault(Mandate("a", is_revoked=True)) is MandateFault.REVOKED
    assert fault(mandate, banned=True) is MandateFault.HOLDER_BANNED
    assert fault(mandate, voted=True) is MandateFault.PRINCIPAL_VOTED


def test_v19_a_payment_is_what_was_voted_once_and_not_after_it_was_revoked() -> None:
    def fault(
        amount: int, before: int = 0, *, passed: bool = True, revoked: bool = False, closed: bool = False
    ) -> object:
        return fault_of_payment(
            has_passed=passed,
            is_revoked=revoked,
            voted_fen=100_000,
            paid_before_fen=before,
            amount_fen=amount,
            is_closed=closed,
        )

    assert fault(100_000) is None
    assert fault(100_001) is PaymentFault.OVER_AMOUNT
    assert fault(1, before=100_000) is PaymentFault.OVER_AMOUNT
    assert fault(1, revoked=True) is PaymentFault.REVOKED
    assert fault(1, closed=True) is PaymentFault.USED
    assert fault(1, passed=False) is PaymentFault.NOT_PASSED
