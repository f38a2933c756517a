"""Slips: the voting code of a home under a seal, and the receipt that a tablet's printer gives out.

A voting code lets staff who assist at the door show that somebody of that home was there (decisions 20), so nobody may
read it before: it is printed on the inside of a folded sheet, behind a hatch that hides it against the light.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from server.gateway.paper.contents import (
    PaperBallot,
    PaperEstate,
    PaperFault,
    PaperMotion,
    PaperRefused,
    check_ballots,
    check_estate,
    check_motion,
    format_time,
    group_by_four,
)
from server.gateway.paper.document import Document, find_fonts
from server.gateway.paper.layout import HEIGHT_UM, MARGIN_UM, WIDTH_UM, TextLine
from server.gateway.paper.typography import shorten, wrap

RECEIPT_SIZE_UM = (80_000, 150_000)
"""The width of common receipt printers' rolls."""
RECEIPT_CODE_LENGTH = 16
QR_BYTES_MAX = 152
"""Letters and digits of QR version 8 with a quarter of repair (ISO/IEC 18004 table 7, byte mode: 108; level M: 152)."""
_MIDDLE_UM = WIDTH_UM // 2
_FOLDS_UM = (HEIGHT_UM // 3, 2 * HEIGHT_UM // 3)
_OUTSIDE = ("请本户业主亲自拆封。封条破损时请勿使用，", "并向居委会或业委会换领。")
_FOLDING = "折法：先沿上面的虚线向后折，再把最下面一折向里折，最后在开口处贴封条。"
_PURPOSE = (
    "工作人员上门协助您投票时，请您当面拆封，把投票码告诉工作人员。",
    "没有这个投票码，谁也不能替您投票。",
    "请不要提前告诉别人。您自己用手机投票，不需要投票码。",
    "协助投票之后，您仍可以自己用手机改票，以您自己投的为准。",
)


@dataclass(frozen=True, slots=True)
class ReceiptSlip:
    """What a receipt shows: 16 characters to compare, and what its QR code leads to. Never the choice."""

    code: str
    link: str
    motion_title: str
    time_ms: int


def print_voting_codes(
    motion: PaperMotion, estate: PaperEstate, ballots: tuple[PaperBallot, ...], fonts: Path | None = None
) -> bytes:
    """One PDF with a sheet to be folded for each ballot that has a voting code. `fonts`: see `find_fonts`.

    Raises: PaperRefused, also where no ballot has a voting code.
    """
    check_motion(motion)
    check_estate(estate)
    check_ballots(ballots)
    chosen = [ballot for ballot in ballots if ballot.voting_code]
    if not chosen:
        raise PaperRefused(PaperFault.CONTENT_MALFORMED, "ballots: none has a voting code")
    with Document("投票码", find_fonts(fonts)) as document:
        document.demand_letters([motion.title, estate.name, *(ballot.unit for ballot in chosen)])
        for ballot in chosen:
            document.turn()
            _draw_outside(document, motion, estate, ballot)
            _draw_code_panel(document, ballot)
            _draw_purpose(document, estate)
        return document.finish()


def print_receipt(slip: ReceiptSlip, estate: PaperEstate, fonts: Path | None = None) -> bytes:
    """One small page: four groups of four characters and a QR code, for a receipt printer. Raises: PaperRefused."""
    check_estate(estate)
    _check_receipt(slip)
    with Document("投票回执", find_fonts(fonts), RECEIPT_SIZE_UM) as document:
        document.demand_letters([estate.name, slip.motion_title])
        document.turn()
        _draw_receipt(document, slip, estate)
        return document.finish()


def _draw_receipt(document: Document, slip: ReceiptSlip, estate: PaperEstate) -> None:
    middle_um, room_um = RECEIPT_SIZE_UM[0] // 2, RECEIPT_SIZE_UM[0] - 8_000
    document.write_centred(TextLine(shorten(estate.name, 12, room_um), middle_um, 4_000, 12))
    document.write_centred(TextLine("投票回执", middle_um, 10_000, 24, bold=True))
    y_um = 23_000
    for text in wrap(slip.motion_title, 12, room_um)[:3]:
        document.write(TextLine(text, 4_000, y_um, 12))
        y_um += 6_000
    document.write(TextLine(format_time(slip.time_ms), 4_000, y_um, 12))
    document.draw_code(slip.link, (19_000, 49_000), 42_000, version=8, error="m")
    groups = group_by_four(slip.code).split(" ")
    document.write_centred(TextLine("　".join(groups[:2]), middle_um, 98_000, 24, bold=True))
    document.write_centred(TextLine("　".join(groups[2:]), middle_um, 108_000, 24, bold=True))
    for line, text in enumerate(("凭此可查到您的票已记入账本。", "回执上看不出您选了什么。")):
        document.write(TextLine(text, 4_000, 121_000 + 6_500 * line, 14))
    fingerprint = f"账本指纹 {group_by_four(estate.fingerprint)}"
    document.write_centred(TextLine(fingerprint, middle_um, 138_000, 10))


def _check_receipt(slip: ReceiptSlip) -> None:
    code_fits = len(slip.code) == RECEIPT_CODE_LENGTH and slip.code.isascii() and slip.code.isalnum()
    if not code_fits:
        raise PaperRefused(PaperFault.CONTENT_MALFORMED, "receipt code: 16 letters and digits")
    if not slip.link.isascii() or not slip.link.isprintable() or not 0 < len(slip.link) <= QR_BYTES_MAX:
        raise PaperRefused(PaperFault.CONTENT_MALFORMED, f"receipt link: 1 to {QR_BYTES_MAX} ASCII characters")


def _draw_outside(document: Document, motion: PaperMotion, estate: PaperEstate, ballot: PaperBallot) -> None:
    """The upper third, which is all that is seen of the folded sheet."""
    room_um = WIDTH_UM - 2 * MARGIN_UM
    document.write_centred(TextLine(shorten(estate.name, 16, room_um), _MIDDLE_UM, 12_000, 16))
    document.write_centred(TextLine("投票码（密封）", _MIDDLE_UM, 22_000, 24, bold=True))
    document.write_centred(TextLine(shorten(ballot.unit, 28, room_um), _MIDDLE_UM, 40_000, 28, bold=True))
    document.write_centred(TextLine(shorten(motion.title, 14, room_um), _MIDDLE_UM, 57_000, 14))
    for line, text in enumerate(_OUTSIDE):
        document.write_centred(TextLine(text, _MIDDLE_UM, 70_000 + 7_500 * line, 14))
    for fold_um in _FOLDS_UM:
        document.draw_line((0, fold_um), (WIDTH_UM, fold_um), dashed=True)


def _draw_code_panel(document: Document, ballot: PaperBallot) -> None:
    top_um = _FOLDS_UM[0]
    document.write_centred(TextLine(f"{ballot.unit} 的投票码", _MIDDLE_UM, top_um + 14_000, 16))
    code = f"{ballot.voting_code[:5]}　{ballot.voting_code[5:]}"
    document.write_centred(TextLine(code, _MIDDLE_UM, top_um + 40_000, 40, bold=True))
    document.write_centred(TextLine(f"票号 {group_by_four(ballot.serial)}", _MIDDLE_UM, top_um + 66_000, 14))
    document.write_centred(TextLine(_FOLDING, _MIDDLE_UM, top_um + 86_000, 12))


def _draw_purpose(document: Document, estate: PaperEstate) -> None:
    """The lower third: it lies upon the code when folded, so its hatch mirrors the code at the second fold."""
    top_um = _FOLDS_UM[1]
    for line, text in enumerate(_PURPOSE):
        document.write(TextLine(text, MARGIN_UM + 8_000, top_um + 6_000 + 8_000 * line, 14))
    hatch_um = 2 * _FOLDS_UM[1] - (_FOLDS_UM[0] + 60_000)
    for step in range(25):
        y_um = hatch_um + step * 900
        document.draw_line((35_000, y_um), (175_000, y_um), 600)
    fingerprint = f"账本指纹 {group_by_four(estate.fingerprint)}"
    document.write_centred(TextLine(fingerprint, _MIDDLE_UM, HEIGHT_UM - 20_000, 12))
