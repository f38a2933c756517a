"""Ballots as one PDF for a batch: an A4 page, or as many as the questions need, for each ballot.

Every page says by itself whose it is: pages of two ballots that were shuffled, or one that was lost, are noticed.
"""

from __future__ import annotations

from pathlib import Path

from server.gateway.paper.codes import CORNERS, corner_text, token_text
from server.gateway.paper.contents import (
    PaperBallot,
    PaperEstate,
    PaperMotion,
    check_ballots,
    check_estate,
    check_motion,
    format_area,
    format_time,
    group_by_four,
)
from server.gateway.paper.document import Document, find_fonts
from server.gateway.paper.layout import (
    BOX_UM,
    CORNER_PLACES,
    CORNER_UM,
    FRAME_UM,
    MAIN_PLACE,
    MAIN_UM,
    MARGIN_UM,
    WIDTH_UM,
    PageLayout,
    TextLine,
    lay_out,
)
from server.gateway.paper.typography import shorten, wrap

HEADING = "业主大会表决票"
_MIDDLE_UM = WIDTH_UM // 2
_BETWEEN_CORNERS_UM = 146_000
_BESIDE_MAIN_UM = 132_000
"""Room for a name or a home: from the label to the main code."""
_VALUE_UM = MARGIN_UM + 18_000
_NAME_LINES = 2


def print_ballots(
    motion: PaperMotion,
    estate: PaperEstate,
    ballots: tuple[PaperBallot, ...],
    check_key: bytes,
    fonts: Path | None = None,
) -> bytes:
    """One PDF with every page of every ballot, in the order given. `check_key`: see `codes`; `fonts`: see `find_fonts`.

    300 ballots of one page take some 8 s of one processor: call it in a thread or a process.
    Raises: PaperRefused, before anything is drawn, for contents that cannot be printed.
    """
    check_motion(motion)
    check_estate(estate)
    check_ballots(ballots)
    layout = lay_out(motion)
    with Document(f"{HEADING}：{motion.title}", find_fonts(fonts)) as document:
        document.demand_letters(_texts(motion, estate, ballots))
        for ballot in ballots:
            for page in layout.pages:
                document.turn()
                _draw_codes(document, motion, ballot, page, len(layout.pages), check_key)
                _draw_head(document, estate, ballot, page, len(layout.pages))
                _draw_body(document, page)
                _draw_foot(document, motion, estate)
        return document.finish()


def _texts(motion: PaperMotion, estate: PaperEstate, ballots: tuple[PaperBallot, ...]) -> list[str]:
    questions = [text for question in motion.questions for text in question.text.split("\n")]
    choices = [choice.text for question in motion.questions for choice in question.choices]
    people = [text for ballot in ballots for text in (ballot.unit, *ballot.names)]
    return [motion.title, estate.name, *questions, *choices, *people]


def _draw_codes(
    document: Document, motion: PaperMotion, ballot: PaperBallot, page: PageLayout, pages: int, key: bytes
) -> None:
    for corner in CORNERS:
        text = corner_text(motion.digest, ballot.serial, page.number, corner)
        document.draw_code(text, CORNER_PLACES[corner], CORNER_UM, version=1, error="m")
    token = token_text(key, motion.digest, ballot.serial, page.number, pages)
    document.draw_code(token, MAIN_PLACE, MAIN_UM, version=4, error="q")


def _draw_head(document: Document, estate: PaperEstate, ballot: PaperBallot, page: PageLayout, pages: int) -> None:
    name = shorten(estate.name, 15, _BETWEEN_CORNERS_UM)
    document.write_centred(TextLine(name, _MIDDLE_UM, 9_500, 15))
    document.write_centred(TextLine(HEADING, _MIDDLE_UM, 16_500, 26, bold=True))
    _write_labelled(document, "房号", shorten(ballot.unit, 20, _BESIDE_MAIN_UM), 32_500, 20)
    names = _fit_names(ballot.names)
    for line, text in enumerate(names):
        _write_labelled(document, "" if line else "业主", text, 42_500 + 7_500 * line, 16)
    small_um = 42_500 + 7_500 * len(names) + 1_000
    _write_labelled(document, "面积", format_area(ballot.area_cm2), small_um, 14)
    serial = f"票号 {group_by_four(ballot.serial)}　　序号 {ballot.position + 1}"
    document.write(TextLine(serial, MARGIN_UM + 68_000, small_um, 14))
    number = f"第 {page.number} 页，共 {pages} 页"
    document.write_centred(TextLine(number, MAIN_PLACE[0] + MAIN_UM // 2, 64_000, 12))
    document.draw_line((MARGIN_UM, 70_500), (WIDTH_UM - MARGIN_UM, 70_500), 600)


def _write_labelled(document: Document, label: str, text: str, y_um: int, points: int) -> None:
    """A small label and its value, on one baseline."""
    drop_um = (points - 14) * 310
    if label:
        document.write(TextLine(label, MARGIN_UM, y_um + drop_um, 14))
    document.write(TextLine(text, _VALUE_UM, y_um, points, bold=points > 14))


def _fit_names(names: tuple[str, ...]) -> tuple[str, ...]:
    """All names in two lines; of more than fit, the first ones and how many there are."""
    for kept in range(len(names), 0, -1):
        rest = f" 等 {len(names)} 人" if kept < len(names) else ""
        lines = wrap("、".join(names[:kept]) + rest, 16, _BESIDE_MAIN_UM)
        if len(lines) <= _NAME_LINES:
            return lines
    return (shorten(names[0], 16, _BESIDE_MAIN_UM),)


def _draw_body(document: Document, page: PageLayout) -> None:
    for line in page.lines:
        document.write(line)
    for rule in page.rules:
        document.draw_line((rule.left_um, rule.y_um), (rule.right_um, rule.y_um))
    for box in page.boxes:
        document.draw_frame((box.x_um, box.y_um), (BOX_UM, BOX_UM), FRAME_UM)


def _draw_foot(document: Document, motion: PaperMotion, estate: PaperEstate) -> None:
    document.draw_line((MARGIN_UM, 251_500), (WIDTH_UM - MARGIN_UM, 251_500), 600)
    closing = f"请在 {format_time(motion.close_ms)} 之前交回"
    document.write(TextLine(closing, MARGIN_UM, 253_500, 16, bold=True))
    document.write(TextLine("业主签名", 31_000, 273_000, 16))
    document.draw_line((56_000, 280_500), (116_000, 280_500), 350)
    document.write(TextLine("日期", 122_000, 273_000, 16))
    document.draw_line((136_000, 280_500), (179_000, 280_500), 350)
    fingerprint = f"账本指纹 {group_by_four(estate.fingerprint)}"
    document.write_centred(TextLine(fingerprint, _MIDDLE_UM, 283_500, 12))
