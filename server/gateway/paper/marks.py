"""How dark the boxes of a flat page are, and what that looks like: marked, unmarked, or for people to see.

Ink is measured as the area of a box that would be black, in um2: it hardly depends on pen, light or camera. Thresholds
come from `scripts/paper_trial.py`; between them lies what a machine must not decide.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy

from server.gateway.paper.contents import PaperQuestion
from server.gateway.paper.layout import BOX_UM, CLEAR_UM, FRAME_UM, Box, PageLayout
from server.gateway.paper.pixels import Reals
from server.gateway.paper.readings import BoxReading, Doubt, QuestionReading, Verdict, propose

PX_PER_MM = 6
"""Of a flat page: 152 dots an inch. Finer shows no more in photos of 2048 pixels."""
SHIFT_UM = 1_800
"""How far a box may lie from its place: paper is never quite flat."""
INSET_UM = 600
"""Inside the frame this much is not looked at: a box that was found slightly beside its place."""
UNMARKED_UM2 = 900_000
"""Less ink is dirt, noise, the shadow of a fold."""
MARKED_UM2 = 2_100_000
"""More is a stroke: a slash by the thinnest pen has some 2.5 mm2, a dot of 1 mm radius 3."""
STROKE_PEAK = 0.45
"""Darkness, against print on the page, of the darkest spot of a stroke; rubbed out pencil and folds have less."""
PEAK_UM2 = 1_200_000
"""Area of that spot: a grain of dirt is smaller."""
FILLED_SHARE = 0.45
"""Of the inside of a box: nobody's tick covers as much."""
BESIDE_UM2 = 2_500_000
"""Ink beside a box in whose question nothing is marked."""
FAR_BESIDE_UM2 = 9_000_000
"""Ink beside an unmarked box though another is marked: strokes of a neighbour reach over, but not so far."""
FLOOR_MIN, FLOOR_MAX = 0.07, 0.20
BLURRED_CONTRAST = 0.30
"""Darkness of frames below which lines of a pen vanish too; sharp ones have 0.9."""
STRIP_UM = 1_000


@dataclass(frozen=True, slots=True)
class _Found:
    """A box as it lies on the flat page: outer top left corner in pixels, and the mean darkness of its frame."""

    row: int
    column: int
    frame: float


def read_marks(
    dark: Reals, page: PageLayout, questions: tuple[PaperQuestion, ...]
) -> tuple[tuple[QuestionReading, ...], float]:
    """What the boxes of a page look like, question by question, and the contrast of their frames (0 to 1).

    `dark` is the darkness of the flat page, PX_PER_MM pixels a millimetre.
    """
    found = {(box.question, box.choice): _find_box(dark, box) for box in page.boxes}
    contrast = float(numpy.median([box.frame for box in found.values()]))
    floor = _measure_floor(dark, list(found.values()))
    ink: Reals = numpy.clip((dark - floor) / max(contrast - floor, 0.2), 0, 1)
    named = {question.id: question for question in questions}
    readings = []
    for name in dict.fromkeys(box.question for box in page.boxes):
        places = [(box.choice, found[name, box.choice]) for box in page.boxes if box.question == name]
        readings.append(_read_question(ink, named[name], places))
    return tuple(readings), contrast


def _read_question(ink: Reals, question: PaperQuestion, places: list[tuple[str, _Found]]) -> QuestionReading:
    boxes = tuple(_read_box(ink, choice, place) for choice, place in places)
    doubts = set()
    marked = [box.verdict is Verdict.MARKED for box in boxes]
    limit_um2 = FAR_BESIDE_UM2 if any(marked) else BESIDE_UM2
    if any(box.verdict is not Verdict.MARKED and box.beside_um2 > limit_um2 for box in boxes):
        doubts.add(Doubt.STROKE_OUTSIDE)
    filled = {box.ink_um2 > FILLED_SHARE * _INSIDE_UM2 for box in boxes if box.verdict is Verdict.MARKED}
    if len(filled) > 1:
        doubts.add(Doubt.MARKS_DIFFER)
    neighbours = zip(places, places[1:], marked, marked[1:], strict=False)
    if any(one and two and _is_joined(ink, first[1], second[1]) for first, second, one, two in neighbours):
        doubts.add(Doubt.STROKE_THROUGH)
    return propose(question, boxes, doubts)


def _read_box(ink: Reals, choice: str, place: _Found) -> BoxReading:
    inside = _window(ink, place, -(FRAME_UM + INSET_UM))
    around, framed = (_window(ink, place, reach_um).sum() for reach_um in (CLEAR_UM - 500, INSET_UM))
    ink_um2 = _to_um2(float(inside.sum()))
    verdict = Verdict.DOUBTFUL
    if ink_um2 < UNMARKED_UM2:
        verdict = Verdict.UNMARKED
    elif ink_um2 > MARKED_UM2 and _measure_peak(inside) > STROKE_PEAK:
        verdict = Verdict.MARKED
    return BoxReading(choice, verdict, ink_um2, _to_um2(float(around - framed)))


def _measure_peak(inside: Reals) -> float:
    """The mean ink of the darkest pixels, as many as make PEAK_UM2."""
    pixels = round(PEAK_UM2 / (1_000 / PX_PER_MM) ** 2)
    return float(numpy.partition(inside.ravel(), -pixels)[-pixels:].mean())


def _is_joined(ink: Reals, first: _Found, second: _Found) -> bool:
    """Whether ink leads from one box to the next one without a gap: a stroke that was drawn through both."""
    side = _px(BOX_UM)
    if abs(first.row - second.row) > side:
        top, bottom = first.row + side + _px(INSET_UM), second.row - _px(INSET_UM)
        between = ink[top:bottom, first.column : first.column + side].max(axis=1, initial=0)
    else:
        left, right = first.column + side + _px(INSET_UM), second.column - _px(INSET_UM)
        between = ink[first.row : first.row + side, left:right].max(axis=0, initial=0)
    return bool(between.size) and bool((between > 0.25).mean() > 0.9)


def _find_box(dark: Reals, box: Box) -> _Found:
    """The place near to where the layout says at which a frame is darkest; nearer ones are preferred a little."""
    side, frame, reach = _px(BOX_UM), max(1, round(FRAME_UM * PX_PER_MM / 1_000)), _px(SHIFT_UM)
    row, column = _px(box.y_um), _px(box.x_um)
    window = dark[row - reach : row + side + reach, column - reach : column + side + reach]
    sums = numpy.pad(window.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
    hollow = side - 2 * frame
    outer = _box_sums(sums, side)
    inner = _box_sums(sums, hollow)[frame:, frame:][: outer.shape[0], : outer.shape[1]]
    means = (outer - inner) / (side * side - hollow * hollow)
    away = numpy.abs(numpy.arange(means.shape[0]) - reach)
    at = numpy.unravel_index(numpy.argmax(means - 0.004 * (away[:, None] + away[None, :])), means.shape)
    return _Found(row - reach + int(at[0]), column - reach + int(at[1]), float(means[at]))


def _box_sums(sums: Reals, side: int) -> Reals:
    """The sum over every square of this side, from a summed-area table."""
    total: Reals = sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
    return total


def _measure_floor(dark: Reals, places: list[_Found]) -> float:
    """The darkness that empty paper of this page reaches by noise: what lies around most boxes is empty."""
    strips = []
    for place in places:
        ring = _window(dark, place, CLEAR_UM - 500)[: _px(STRIP_UM)]
        strips.append(float(numpy.percentile(ring, 90)))
    return float(numpy.clip(numpy.median(strips) + 0.03, FLOOR_MIN, FLOOR_MAX))


def _window(values: Reals, place: _Found, reach_um: int) -> Reals:
    """The square of a box, widened by `reach_um` on every side."""
    reach, side = _px(reach_um), _px(BOX_UM)
    return values[place.row - reach : place.row + side + reach, place.column - reach : place.column + side + reach]


def _px(um: int) -> int:
    return round(um * PX_PER_MM / 1_000)


def _to_um2(pixels: float) -> int:
    return round(pixels * (1_000 / PX_PER_MM) ** 2)


_INSIDE_UM2 = (BOX_UM - 2 * (FRAME_UM + INSET_UM)) ** 2
