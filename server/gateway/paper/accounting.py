"""The sheet on which printed ballots are accounted for, building by building, for those who count them to sign.

printed = issued + unissued, issued = returned + void + outstanding: numbers that do not add up are refused and not
printed, because a sheet with wrong sums would be signed by somebody in a hurry. Knows no serials and no votes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from server.gateway.paper.contents import (
    PaperEstate,
    PaperFault,
    PaperMotion,
    PaperRefused,
    check_estate,
    check_motion,
    format_time,
    group_by_four,
)
from server.gateway.paper.document import Document, find_fonts
from server.gateway.paper.layout import MARGIN_UM, WIDTH_UM, TextLine
from server.gateway.paper.typography import shorten

BUILDINGS_MAX = 500
ROWS_A_PAGE = 17
COUNT_MAX = 999_999
_HEADS = ("印制", "未发", "发出", "收回", "作废", "未收回")
_FIRST_UM, _PITCH_UM, _ROW_UM = 65_000, 24_500, 9_500
_TOP_UM = 62_000
_MIDDLE_UM = WIDTH_UM // 2
_RULES = ("印制 = 未发 + 发出", "发出 = 收回 + 作废 + 未收回")
_SIGNERS = ("印制人", "发放人", "监票人", "业主代表")


@dataclass(frozen=True, slots=True)
class BuildingAccount:
    """The ballots of one building, in numbers; `void` ones came back and do not count."""

    building: str
    printed: int
    unissued: int
    issued: int
    returned: int
    void: int
    outstanding: int

    def counts(self) -> tuple[int, ...]:
        """The numbers in the order of the sheet's columns."""
        return tuple(getattr(self, field.name) for field in fields(self)[1:])


def print_accounting(
    motion: PaperMotion,
    estate: PaperEstate,
    accounts: Sequence[BuildingAccount],
    at_ms: int,
    fonts: Path | None = None,
) -> bytes:
    """One PDF: a row for each building, the sum over all, and lines to sign on every page. `at_ms`: as of when, UTC.

    Raises: PaperRefused, also for numbers that do not add up; the message names the building.
    """
    check_motion(motion)
    check_estate(estate)
    _check_accounts(accounts)
    total = BuildingAccount("合计", *(sum(column) for column in zip(*(one.counts() for one in accounts), strict=True)))
    rows = [*accounts, total]
    pages = [rows[start : start + ROWS_A_PAGE] for start in range(0, len(rows), ROWS_A_PAGE)]
    with Document("表决票收发登记表", find_fonts(fonts)) as document:
        document.demand_letters([motion.title, estate.name, *(account.building for account in accounts)])
        for number, page in enumerate(pages, start=1):
            document.turn()
            _draw_head(document, motion, estate, at_ms, f"第 {number} 页，共 {len(pages)} 页")
            for row, account in enumerate(page):
                _draw_row(document, account, _TOP_UM + (row + 1) * _ROW_UM, bold=account is total)
            _draw_foot(document, estate)
        return document.finish()


def _check_accounts(accounts: Sequence[BuildingAccount]) -> None:
    if not 1 <= len(accounts) <= BUILDINGS_MAX:
        raise PaperRefused(PaperFault.CONTENT_MALFORMED, f"accounts: 1 to {BUILDINGS_MAX} buildings")
    names = [account.building for account in accounts]
    if len(set(names)) != len(names) or not all(name.strip() and name.isprintable() for name in names):
        raise PaperRefused(PaperFault.CONTENT_MALFORMED, "accounts: each building once, with a name")
    for one in accounts:
        counted = all(0 <= count <= COUNT_MAX for count in one.counts())
        adds_up = one.printed == one.issued + one.unissued and one.issued == one.returned + one.void + one.outstanding
        if not counted or not adds_up:
            raise PaperRefused(PaperFault.CONTENT_MALFORMED, f"the numbers of {one.building} do not add up")


def _draw_head(document: Document, motion: PaperMotion, estate: PaperEstate, at_ms: int, number: str) -> None:
    document.write_centred(TextLine(shorten(estate.name, 14, WIDTH_UM - 2 * MARGIN_UM), _MIDDLE_UM, 12_000, 14))
    document.write_centred(TextLine("表决票收发登记表", _MIDDLE_UM, 20_000, 24, bold=True))
    title = shorten(motion.title, 14, WIDTH_UM - 2 * MARGIN_UM)
    document.write(TextLine(title, MARGIN_UM, 36_000, 14))
    document.write(TextLine(f"截至 {format_time(at_ms)}　　{number}", MARGIN_UM, 44_000, 14))
    document.write(TextLine("　　".join(_RULES), MARGIN_UM, 52_000, 12))
    document.write(TextLine("楼栋", MARGIN_UM + 2_000, _TOP_UM + 1_500, 14, bold=True))
    for column, head in enumerate(_HEADS):
        document.write_centred(TextLine(head, _column_um(column), _TOP_UM + 1_500, 14, bold=True))
    document.draw_line((MARGIN_UM, _TOP_UM), (WIDTH_UM - MARGIN_UM, _TOP_UM), 600)
    document.draw_line((MARGIN_UM, _TOP_UM + _ROW_UM), (WIDTH_UM - MARGIN_UM, _TOP_UM + _ROW_UM), 600)


def _draw_row(document: Document, account: BuildingAccount, y_um: int, bold: bool) -> None:
    name = shorten(account.building, 14, _FIRST_UM - _PITCH_UM // 2 - MARGIN_UM - 4_000)
    document.write(TextLine(name, MARGIN_UM + 2_000, y_um + 1_500, 14, bold))
    for column, count in enumerate(account.counts()):
        document.write_centred(TextLine(str(count), _column_um(column), y_um + 1_500, 14, bold))
    document.draw_line((MARGIN_UM, y_um + _ROW_UM), (WIDTH_UM - MARGIN_UM, y_um + _ROW_UM), 600 if bold else 200)


def _draw_foot(document: Document, estate: PaperEstate) -> None:
    for number, signer in enumerate(_SIGNERS):
        x_um, y_um = MARGIN_UM + (number % 2) * 94_000, 246_000 + (number // 2) * 15_000
        document.write(TextLine(f"{signer}（签名）", x_um, y_um, 14))
        document.draw_line((x_um + 43_000, y_um + 7_000), (x_um + 88_000, y_um + 7_000), 350)
    fingerprint = f"账本指纹 {group_by_four(estate.fingerprint)}"
    document.write_centred(TextLine(fingerprint, _MIDDLE_UM, 280_000, 12))


def _column_um(column: int) -> int:
    return _FIRST_UM + column * _PITCH_UM
