"""Rules of server.gateway.paper.printing and slips, read back from the PDF files that they make."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pypdfium2
import pytest

from server.gateway.paper.contents import PaperBallot, PaperFault, PaperRefused, format_area, format_time
from server.gateway.paper.printing import print_ballots
from server.gateway.paper.slips import ReceiptSlip, print_receipt, print_voting_codes
from tests.gateway.paper.motions import CLOSE_MS, ESTATE, KEY, RARE, approvals, ballots_of, election, motion_of

BYTES_A_BALLOT_MAX = 12_000
SLIP = ReceiptSlip("7KQ2MXWRF9ABCD34", "https://estate.example/r/0123", "关于更换电梯的表决", CLOSE_MS)


def texts_of(pdf: bytes) -> list[str]:
    """What each page says, as a viewer would copy it."""
    document = pypdfium2.PdfDocument(pdf)
    try:
        return [page.get_textpage().get_text_bounded() for page in document]
    finally:
        document.close()


def fault_of(*ballots: PaperBallot, fonts: Path | None = None) -> PaperRefused:
    with pytest.raises(PaperRefused) as caught:
        print_ballots(motion_of(*approvals(1)), ESTATE, ballots, KEY, fonts)
    return caught.value


def test_every_page_says_whose_it_is_and_what_is_asked() -> None:
    ballots = ballots_of(2)
    pages = texts_of(print_ballots(motion_of(*approvals(2), election()), ESTATE, ballots, KEY))
    assert len(pages) % len(ballots) == 0 and len(pages) > len(ballots)
    of_each = len(pages) // len(ballots)
    for at, text in enumerate(pages):
        ballot = ballots[at // of_each]
        assert ballot.unit in text and "、".join(ballot.names) in text and f"票号 {ballot.serial[:4]}" in text
        assert f"第 {at % of_each + 1} 页，共 {of_each} 页" in text
        assert "业主签名" in text and "2026年12月8日 17:00" in text and "Qx7_ pLm2 -KdR 9sTa" in text
    assert pages[0].count("同意\r\n") == 2 or pages[0].count("弃权") == 2


def test_rare_letters_of_names_are_in_the_font() -> None:
    ballot = replace(ballots_of(1)[0], names=(RARE,))
    assert RARE in texts_of(print_ballots(motion_of(*approvals(1)), ESTATE, (ballot,), KEY))[0]


def test_a_letter_that_the_font_lacks_is_named_before_anything_is_printed() -> None:
    refused = fault_of(replace(ballots_of(1)[0], names=("王\U0001f600",)))
    assert refused.fault is PaperFault.CHARACTER_MISSING and "U+1F600" in refused.message


def test_a_machine_without_the_font_says_how_to_get_it(tmp_path: Path) -> None:
    refused = fault_of(*ballots_of(1), fonts=tmp_path)
    assert refused.fault is PaperFault.FONT_MISSING and "fonts-noto-cjk" in refused.message


def test_a_serial_is_printed_once_in_a_batch() -> None:
    ballots = ballots_of(2)
    assert "serials" in fault_of(ballots[0], replace(ballots[1], serial=ballots[0].serial)).message


@pytest.mark.parametrize(
    "wrong",
    [
        {"serial": "low7q2"},
        {"serial": "ABC"},
        {"unit": ""},
        {"names": ()},
        {"area_cm2": -1},
        {"voting_code": "0OIL111111"},
    ],
)
def test_a_ballot_that_cannot_be_printed_is_refused(wrong: dict[str, object]) -> None:
    assert fault_of(replace(ballots_of(1)[0], **wrong)).fault is PaperFault.CONTENT_MALFORMED  # type: ignore[arg-type]


def test_of_many_owners_the_first_are_named_and_all_are_counted() -> None:
    ballot = replace(ballots_of(1)[0], names=tuple(f"欧阳正华{n:02d}" for n in range(30)))
    text = texts_of(print_ballots(motion_of(*approvals(1)), ESTATE, (ballot,), KEY))[0]
    assert "等 30 人" in text and "欧阳正华00" in text


def test_the_same_batch_is_the_same_file_and_small() -> None:
    motion, ballots = motion_of(*approvals(3)), ballots_of(20)
    first = print_ballots(motion, ESTATE, ballots, KEY)
    assert first == print_ballots(motion, ESTATE, ballots, KEY)
    assert len(first) < 60_000 + BYTES_A_BALLOT_MAX * len(ballots)


def test_a_voting_code_is_on_its_own_sheet_and_never_on_the_ballot() -> None:
    motion = motion_of(*approvals(1))
    first, second = ballots_of(2)
    sealed = replace(first, voting_code="K7MQ2XWRF9")
    sheets = texts_of(print_voting_codes(motion, ESTATE, (sealed, second)))
    assert len(sheets) == 1
    assert sealed.unit in sheets[0] and "K7MQ2" in sheets[0] and "XWRF9" in sheets[0]
    assert "XWRF9" not in texts_of(print_ballots(motion, ESTATE, (sealed,), KEY))[0]


def test_a_receipt_shows_four_groups_of_four() -> None:
    text = texts_of(print_receipt(SLIP, ESTATE))[0]
    assert all(group in text for group in ("7KQ2", "MXWR", "F9AB", "CD34"))
    assert "2026年12月8日 17:00" in text


@pytest.mark.parametrize("wrong", [{"code": "7KQ2"}, {"link": "x" * 200}, {"link": ""}, {"link": "链接"}])
def test_a_receipt_that_cannot_be_printed_is_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(PaperRefused) as caught:
        print_receipt(replace(SLIP, **wrong), ESTATE)
    assert caught.value.fault is PaperFault.CONTENT_MALFORMED


@pytest.mark.parametrize(
    ("area_cm2", "text"),
    [(983_500, "98.35 平方米"), (10_000, "1.00 平方米"), (1, "0.0001 平方米"), (1_234_560, "123.456 平方米")],
)
def test_an_area_is_printed_exactly(area_cm2: int, text: str) -> None:
    assert format_area(area_cm2) == text


def test_the_closing_time_is_that_of_china() -> None:
    assert format_time(CLOSE_MS) == "2026年12月8日 17:00"
