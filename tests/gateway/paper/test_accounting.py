"""Rules of server.gateway.paper.accounting: every ballot is somewhere, or there is no sheet to sign."""

from __future__ import annotations

from dataclasses import replace

import pypdfium2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.gateway.paper.accounting import ROWS_A_PAGE, BuildingAccount, print_accounting
from server.gateway.paper.contents import PaperFault, PaperRefused
from tests.gateway.paper.motions import CLOSE_MS, ESTATE, approvals, motion_of

MOTION = motion_of(*approvals(1))
ACCOUNT = BuildingAccount("3号楼", printed=100, unissued=10, issued=90, returned=70, void=5, outstanding=15)


def texts_of(pdf: bytes) -> list[str]:
    document = pypdfium2.PdfDocument(pdf)
    try:
        return [page.get_textpage().get_text_bounded() for page in document]
    finally:
        document.close()


def refusal(*accounts: BuildingAccount) -> PaperRefused:
    with pytest.raises(PaperRefused) as caught:
        print_accounting(MOTION, ESTATE, accounts, CLOSE_MS)
    return caught.value


def test_a_sheet_shows_each_building_and_the_sum_and_is_signed() -> None:
    buildings = [replace(ACCOUNT, building=f"{n}号楼") for n in range(1, ROWS_A_PAGE + 3)]
    pages = texts_of(print_accounting(MOTION, ESTATE, buildings, CLOSE_MS))
    assert len(pages) == 2
    assert all("监票人（签名）" in page and "截至 2026年12月8日 17:00" in page for page in pages)
    assert "合计" not in pages[0] and "合计" in pages[1]
    assert all(str(count * len(buildings)) in pages[1] for count in ACCOUNT.counts())


@settings(max_examples=50)
@given(
    st.sampled_from(["printed", "unissued", "issued", "returned", "void", "outstanding"]),
    st.integers(-200, 200).filter(bool),
)
def test_one_number_that_is_off_is_refused_with_the_building(name: str, off: int) -> None:
    wrong = replace(ACCOUNT, **{name: getattr(ACCOUNT, name) + off})
    refused = refusal(replace(ACCOUNT, building="1号楼"), wrong)
    assert refused.fault is PaperFault.CONTENT_MALFORMED and "3号楼" in refused.message


def test_numbers_below_zero_are_refused_even_where_they_add_up() -> None:
    assert "3号楼" in refusal(replace(ACCOUNT, void=-5, outstanding=25)).message


def test_a_building_stands_once_on_a_sheet_of_at_least_one() -> None:
    assert "once" in refusal(ACCOUNT, ACCOUNT).message
    assert "buildings" in refusal().message
