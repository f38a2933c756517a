"""How wide a text is and where its lines end, in integers and by our own table. Pure; knows no font.

Places of boxes follow from it, and whoever reads a ballot computes them anew: they must be the same on every machine,
with every release of a font. So widths are upper bounds of what Noto Sans CJK draws, not its metrics.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

UM_PER_POINT = 353
"""1/72 inch is 352.8 um."""
_EM = 1_000
_LATIN = 760
_NARROW = 450
_WIDE = 1_060
_WIDE_LATIN = frozenset("mwMW@%&QOGNDH")
_NARROW_LATIN = frozenset(" ijlftrI.,:;!|'()[]-")
_NOT_FIRST = frozenset("，。、；：？！）》」』】〕〉”’…—·,.;:?!)]}%％℃")
"""What must not begin a line (GB/T 15834): it is drawn beyond the end of the line before, for which one em is kept."""
_NOT_LAST = frozenset("（《「『【〔〈“‘([{")
_PIECES = re.compile(r"[0-9A-Za-z.,:/%@&+#_'-]{1,24} ?|.", re.DOTALL)


def width_um(text: str, size_pt: int) -> int:
    """An upper bound of the width of one line, in um."""
    return sum(_advance(letter) for letter in text) * size_pt * UM_PER_POINT // _EM


def wrap(text: str, size_pt: int, room_um: int) -> tuple[str, ...]:
    """The lines of a text within `room_um`; line breaks of the text are kept, words of Latin letters hold together."""
    return tuple(line for paragraph in text.split("\n") for line in _wrap_paragraph(paragraph, size_pt, room_um))


def shorten(text: str, size_pt: int, room_um: int) -> str:
    """The text, or as much of its beginning as fits with an ellipsis."""
    if width_um(text, size_pt) <= room_um:
        return text
    while text and width_um(text + "…", size_pt) > room_um:
        text = text[:-1]
    return text + "…"


def _wrap_paragraph(paragraph: str, size_pt: int, room_um: int) -> Iterator[str]:
    room = room_um * _EM // (size_pt * UM_PER_POINT) - _EM
    line = ""
    used = 0
    for piece in _PIECES.findall(paragraph):
        advance = sum(_advance(letter) for letter in piece)
        hangs = piece[0] in _NOT_FIRST and used <= room
        if line and used + advance > room and not hangs:
            carried = line[-1] if line[-1] in _NOT_LAST and len(line) > 1 else ""
            yield (line[: -len(carried)] if carried else line).rstrip()
            line, used = carried, _advance(carried) if carried else 0
        if line or piece != " ":
            line += piece
            used += advance
    yield line.rstrip()


def _advance(letter: str) -> int:
    if letter >= "\u007f":
        return _EM
    if letter in _NARROW_LATIN:
        return _NARROW
    return _WIDE if letter in _WIDE_LATIN else _LATIN
