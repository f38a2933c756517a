"""Where everything stands on the pages of a ballot: lines of text, boxes, codes. Pure integers of micrometres (um).

Printing draws this and reading looks where it says, so both compute it from the motion alone: nothing here depends on a
font, on the voter or on the number of ballots. A change that moves a box needs a new version of the codes (`L1`).
Origin is the top left corner of an A4 sheet; `y_um` of a line is its top.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from server.gateway.paper.codes import CORNERS, PAGES_MAX
from server.gateway.paper.contents import PaperFault, PaperMotion, PaperQuestion, PaperRefused
from server.gateway.paper.typography import shorten, width_um, wrap

WIDTH_UM, HEIGHT_UM = 210_000, 297_000
MARGIN_UM = 12_000
CORNER_UM = 18_000
"""Side of a corner code: version 1 has 21 modules, so 0.86 mm each."""
CORNER_PLACES = dict(
    zip(CORNERS, ((9_000, 9_000), (183_000, 9_000), (9_000, 270_000), (183_000, 270_000)), strict=True)
)
MAIN_UM = 30_000
MAIN_PLACE = (168_000, 32_000)
BOX_UM = 10_000
"""Outer side of a box: 9 mm and more can be hit by a trembling hand."""
FRAME_UM = 500
"""Thickness of a box's frame, inside its outer side. The frame is also what reading finds a box by."""
CLEAR_UM = 3_500
"""Around a box nothing else is printed this far: a stroke beside a box can be told from print."""
BODY_TOP_UM, BODY_BOTTOM_UM = 73_000, 250_000
SIGNATURE_PLACE = (30_000, 259_000, 180_000, 281_500)
"""Left, top, right, bottom of what is kept of a signature."""
TEXT_POINTS, CHOICE_POINTS, NOTE_POINTS = 16, 18, 14
_TEXT_LINE_UM = 8_400
_NOTE_LINE_UM = 7_600
_CHOICE_LINE_UM = 9_000
_CHOICE_PITCH_UM = 15_000
_COLUMNS = (24_000, 84_000, 144_000)
_LABEL_GAP_UM = 14_000
_SHORT_CHOICE = 4
INSTRUCTION = "请在方框内打 √ ；涂改请作废重领。"
CONTINUED = "（接上页）"


@dataclass(frozen=True, slots=True)
class TextLine:
    """One line of text; what it says is final, it is never wrapped again."""

    text: str
    x_um: int
    y_um: int
    points: int
    bold: bool = False


@dataclass(frozen=True, slots=True)
class Box:
    """Where a choice is marked: the outer top left corner of a square of BOX_UM."""

    question: str
    choice: str
    x_um: int
    y_um: int


@dataclass(frozen=True, slots=True)
class Rule:
    """A horizontal line from `left_um` to `right_um`."""

    left_um: int
    right_um: int
    y_um: int


@dataclass(frozen=True, slots=True)
class PageLayout:
    """The part of one page that is alike on all ballots; `number` counts from 1."""

    number: int
    lines: tuple[TextLine, ...]
    boxes: tuple[Box, ...]
    rules: tuple[Rule, ...]


@dataclass(frozen=True, slots=True)
class BallotLayout:
    """All pages of a motion's ballot, and what reading must know of its questions."""

    digest: bytes
    questions: tuple[PaperQuestion, ...]
    pages: tuple[PageLayout, ...]


@lru_cache(maxsize=64)
def lay_out(motion: PaperMotion) -> BallotLayout:
    """The pages of a motion that was checked (`check_motion`).

    Raises: PaperRefused where the choices of one question need more than a page, or all questions more than PAGES_MAX.
    """
    desk = _Desk(motion.title)
    for number, question in enumerate(motion.questions, start=1):
        _place_question(desk, number, question)
    pages = desk.finish()
    if len(pages) > PAGES_MAX:
        raise PaperRefused(
            PaperFault.CONTENT_MALFORMED, f"the ballot has {len(pages)} pages; {PAGES_MAX} can be told apart"
        )
    return BallotLayout(motion.digest, motion.questions, pages)


class _Desk:
    """Mutable. Fills page after page from top to bottom."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._pages: list[PageLayout] = []
        self._begin(first=True)

    @property
    def room_um(self) -> int:
        return BODY_BOTTOM_UM - self.y_um

    @property
    def is_fresh(self) -> bool:
        """Whether this page has no question yet."""
        return self.y_um == self.fresh_um

    def _begin(self, first: bool) -> None:
        self.lines: list[TextLine] = []
        self.boxes: list[Box] = []
        self.rules: list[Rule] = []
        self.y_um = BODY_TOP_UM
        room = WIDTH_UM - 2 * MARGIN_UM
        titles = wrap(self._title, TEXT_POINTS, room) if first else (shorten(self._title, TEXT_POINTS, room),)
        for line in titles:
            self.write(line, MARGIN_UM, TEXT_POINTS, _TEXT_LINE_UM, bold=True)
        self.write(INSTRUCTION, MARGIN_UM, NOTE_POINTS, _NOTE_LINE_UM)
        self.y_um += 2_500
        self.fresh_um = self.y_um

    def write(self, text: str, x_um: int, points: int, height_um: int, bold: bool = False) -> None:
        self.lines.append(TextLine(text, x_um, self.y_um, points, bold))
        self.y_um += height_um

    def turn(self) -> None:
        """Go on with the next page."""
        self._pages.append(self._page())
        self._begin(first=False)

    def finish(self) -> tuple[PageLayout, ...]:
        return (*self._pages, self._page())

    def _page(self) -> PageLayout:
        return PageLayout(len(self._pages) + 1, tuple(self.lines), tuple(self.boxes), tuple(self.rules))


def _place_question(desk: _Desk, number: int, question: PaperQuestion) -> None:
    """Text, hint and choices; together on a page if they fit one, else the text flows and the choices stay together."""
    indent = MARGIN_UM + 10_000
    texts = wrap(question.text, TEXT_POINTS, WIDTH_UM - MARGIN_UM - indent)
    hint = _hint(question)
    choices_um = _choices_height_um(question)
    closing_um = (_NOTE_LINE_UM if hint else 0) + choices_um
    if not desk.is_fresh and len(texts) * _TEXT_LINE_UM + closing_um > desk.room_um:
        desk.turn()
    _rule_off(desk)
    label = f"{number}."
    for at, text in enumerate(texts):
        needed_um = _TEXT_LINE_UM + (closing_um if at == len(texts) - 1 else 0)
        if needed_um > desk.room_um and not desk.is_fresh:
            desk.turn()
            label = f"{number}.{CONTINUED}"
            desk.write(label, MARGIN_UM, NOTE_POINTS, _TEXT_LINE_UM)
            label = ""
        if label:
            desk.lines.append(TextLine(label, MARGIN_UM, desk.y_um, TEXT_POINTS, bold=True))
            label = ""
        desk.write(text, indent, TEXT_POINTS, _TEXT_LINE_UM)
    if closing_um > desk.room_um:
        message = f"the choices of question {question.id!r} do not fit one page: shorten them"
        raise PaperRefused(PaperFault.CHOICES_TOO_LONG, message)
    if hint:
        desk.write(hint, indent, NOTE_POINTS, _NOTE_LINE_UM, bold=True)
    _place_choices(desk, question)


def _rule_off(desk: _Desk) -> None:
    if not desk.is_fresh:
        desk.rules.append(Rule(MARGIN_UM, WIDTH_UM - MARGIN_UM, desk.y_um))
        desk.y_um += 2_500


def _hint(question: PaperQuestion) -> str:
    """How many may be marked; nothing where three short choices in a row say it themselves."""
    unit = "人" if question.people else "项"
    if question.picks_max > 1:
        return f"（最多选 {question.picks_max} {unit}）"
    return "" if _in_a_row(question) else f"（只选一{unit}）"


def _in_a_row(question: PaperQuestion) -> bool:
    short = all(len(choice.text) <= _SHORT_CHOICE for choice in question.choices)
    return short and len(question.choices) <= len(_COLUMNS) and question.picks_max == 1


def _choice_lines(text: str) -> Sequence[str]:
    return wrap(text, CHOICE_POINTS, WIDTH_UM - MARGIN_UM - _COLUMNS[0] - _LABEL_GAP_UM)


def _row_height_um(text: str) -> int:
    return max(_CHOICE_PITCH_UM, len(_choice_lines(text)) * _CHOICE_LINE_UM + CLEAR_UM)


def _choices_height_um(question: PaperQuestion) -> int:
    if _in_a_row(question):
        return BOX_UM + 2 * CLEAR_UM + 1_000
    return CLEAR_UM + sum(_row_height_um(choice.text) for choice in question.choices)


def _place_choices(desk: _Desk, question: PaperQuestion) -> None:
    top_um = desk.y_um + CLEAR_UM
    in_a_row = _in_a_row(question)
    for at, choice in enumerate(question.choices):
        x_um = _COLUMNS[at] if in_a_row else _COLUMNS[0]
        desk.boxes.append(Box(question.id, choice.id, x_um, top_um))
        for line, text in enumerate(_choice_lines(choice.text)):
            y_um = top_um + 900 + line * _CHOICE_LINE_UM
            desk.lines.append(TextLine(text, x_um + _LABEL_GAP_UM, y_um, CHOICE_POINTS))
        if not in_a_row:
            top_um += _row_height_um(choice.text)
    desk.y_um += _choices_height_um(question)


assert width_um(INSTRUCTION, NOTE_POINTS) < WIDTH_UM - 2 * MARGIN_UM, "the instruction is one line"
assert all(x + CORNER_UM < WIDTH_UM and y + CORNER_UM < HEIGHT_UM for x, y in CORNER_PLACES.values())
