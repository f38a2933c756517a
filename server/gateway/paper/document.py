"""A PDF file of texts, lines, frames and QR codes in Chinese. The only place that knows fpdf2 and segno.

Places are micrometres from the top left corner of an A4 sheet; sizes of letters are points. Nothing in the file depends
on the clock: the same contents make the same bytes, whoever prints them again can compare.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Self

import segno
from fpdf import FPDF
from fpdf.fonts import TTFFont

from server.gateway.paper.contents import PaperFault, PaperRefused
from server.gateway.paper.layout import HEIGHT_UM, WIDTH_UM, TextLine
from server.gateway.paper.typography import UM_PER_POINT

A4_UM = (WIDTH_UM, HEIGHT_UM)
FONT_FOLDERS = (
    Path("/usr/share/fonts/opentype/noto"),
    Path("/usr/share/fonts/noto-cjk"),
    Path("/usr/share/fonts/google-noto-cjk"),
    Path("/usr/local/share/fonts"),
)
"""Where Debian, Arch, Fedora and people put it."""
FONT_FILES = ("NotoSansCJK-Regular.ttc", "NotoSansCJK-Bold.ttc")
_SIMPLIFIED = 2
"""The collections hold JP, KR, SC, TC and HK; in others than SC letters such as 直 and 骨 look foreign here."""
_FAMILY = "noto"
_NO_DATE = datetime(1970, 1, 1, tzinfo=UTC)
_UM_PER_MM = 1_000
_BASELINE_EM = 880
"""Thousandths of an em from the top of a line to its baseline (OS/2 sTypoAscender of Noto CJK)."""


def find_fonts(folder: Path | None = None) -> tuple[Path, Path]:
    """Noto Sans CJK, regular and bold, in `folder` or else in FONT_FOLDERS. Raises PaperRefused with what to do."""
    folders = (folder,) if folder is not None else FONT_FOLDERS
    for place in folders:
        regular, bold = (place / name for name in FONT_FILES)
        if regular.is_file() and bold.is_file():
            return regular, bold
    places = ", ".join(str(place) for place in folders)
    message = f"{' and '.join(FONT_FILES)} are not in {places}; on Debian: apt-get install fonts-noto-cjk"
    raise PaperRefused(PaperFault.FONT_MISSING, message)


class Document:
    """Mutable. One PDF in the making; a context manager. Its fonts take half a second: one document, many pages."""

    def __init__(self, title: str, fonts: tuple[Path, Path], size_um: tuple[int, int] = A4_UM) -> None:
        self._pdf = FPDF(format=(_mm(size_um[0]), _mm(size_um[1])))
        self._pdf.set_auto_page_break(False)
        self._pdf.set_title(title)
        self._pdf.set_lang("zh-CN")
        self._pdf.set_creation_date(_NO_DATE)
        for style, path in zip(("", "B"), fonts, strict=True):
            self._pdf.add_font(_FAMILY, style, path, collection_font_number=_SIMPLIFIED)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the files of the fonts."""
        for font in self._fonts():
            font.close()

    def demand_letters(self, texts: Iterable[str]) -> None:
        """Raises PaperRefused naming every letter of the texts that the font lacks: a name with a gap is none."""
        known = [font.cmap.keys() for font in self._fonts()]
        letters = {letter for text in texts for letter in text}
        missing = sorted(letter for letter in letters if not all(ord(letter) in font for font in known))
        if missing:
            named = ", ".join(f"{letter} (U+{ord(letter):04X})" for letter in missing)
            raise PaperRefused(PaperFault.CHARACTER_MISSING, f"the font has no {named}")

    def turn(self) -> None:
        """Begin a page."""
        self._pdf.add_page()

    def write(self, line: TextLine) -> None:
        """One line of text at its place."""
        self._choose(line.points, line.bold)
        self._pdf.text(
            _mm(line.x_um), _mm(line.y_um) + _mm(line.points * UM_PER_POINT) * _BASELINE_EM / 1_000, line.text
        )

    def write_centred(self, line: TextLine) -> None:
        """One line of text, `x_um` being its middle."""
        self._choose(line.points, line.bold)
        left_um = line.x_um - round(self._pdf.get_string_width(line.text) * _UM_PER_MM) // 2
        self.write(TextLine(line.text, left_um, line.y_um, line.points, line.bold))

    def draw_line(
        self, start: tuple[int, int], end: tuple[int, int], thickness_um: int = 250, dashed: bool = False
    ) -> None:
        """A straight line between two places."""
        self._pdf.set_draw_color(0)
        self._pdf.set_line_width(_mm(thickness_um))
        if dashed:
            self._pdf.set_dash_pattern(dash=2, gap=1.5)
        self._pdf.line(_mm(start[0]), _mm(start[1]), _mm(end[0]), _mm(end[1]))
        if dashed:
            self._pdf.set_dash_pattern()

    def draw_frame(self, place: tuple[int, int], size: tuple[int, int], thickness_um: int) -> None:
        """A rectangle whose frame lies inside its outer measures."""
        half_um = thickness_um // 2
        self._pdf.set_draw_color(0)
        self._pdf.set_line_width(_mm(thickness_um))
        inner = (size[0] - thickness_um, size[1] - thickness_um)
        self._pdf.rect(_mm(place[0] + half_um), _mm(place[1] + half_um), _mm(inner[0]), _mm(inner[1]))

    def draw_code(self, text: str, place: tuple[int, int], side_um: int, version: int, error: str) -> None:
        """A QR code of exactly this version, drawn as vectors; around it four modules must stay empty."""
        self._pdf.set_fill_color(0)
        runs, modules = _runs(text, version, error)
        module = _mm(side_um) / modules
        left, top = _mm(place[0]), _mm(place[1])
        for row, column, length in runs:
            self._pdf.rect(left + column * module, top + row * module, length * module, module, style="F")

    def finish(self) -> bytes:
        """The PDF file."""
        return bytes(self._pdf.output())

    def _fonts(self) -> list[TTFFont]:
        return [font for font in self._pdf.fonts.values() if isinstance(font, TTFFont)]

    def _choose(self, points: int, bold: bool) -> None:
        self._pdf.set_font(_FAMILY, "B" if bold else "", points)


@lru_cache(maxsize=8)
def _runs(text: str, version: int, error: str) -> tuple[tuple[tuple[int, int, int], ...], int]:
    """The dark modules of a code as (row, column, length), and its modules a side."""
    code = segno.make(text, error=error, version=version, micro=False, boost_error=True)
    runs = []
    for at, row in enumerate(code.matrix):
        column = 0
        while column < len(row):
            end = column
            while end < len(row) and row[end]:
                end += 1
            if end > column:
                runs.append((at, column, end - column))
            column = end + 1
    return tuple(runs), len(code.matrix)


def _mm(um: int) -> float:
    return um / _UM_PER_MM
