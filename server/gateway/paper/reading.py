"""Pictures of ballots to readings: codes, flat page, boxes. Runs in the workers of `workshop` only.

Knows the layout of the motion that is being read, but neither keys nor what was read before (`readings.judge`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy

from server.gateway.paper.codes import motion_tag, parse_token
from server.gateway.paper.layout import HEIGHT_UM, MAIN_PLACE, MAIN_UM, WIDTH_UM, BallotLayout
from server.gateway.paper.marks import BLURRED_CONTRAST, PX_PER_MM, read_marks
from server.gateway.paper.pixels import Bytes, Points, encode_page, flatten, measure_darkness, smooth, to_grey
from server.gateway.paper.placement import (
    BENT_UM,
    CODES_READ,
    FoundCode,
    PlacedPage,
    find_codes,
    find_token,
    place_pages,
)
from server.gateway.paper.readings import Doubt, PageReading, QuestionReading

BALLOTS_MAX = 8
"""Ballots in one picture; in a photo of 2048 pixels not even four are readable."""
PAPER_BLOCK_PX = 36
"""6 mm: larger than any mark, smaller than a shadow's edge."""
_SIZE_PX = (WIDTH_UM * PX_PER_MM // 1_000, HEIGHT_UM * PX_PER_MM // 1_000)
_MAIN_PX = 400
_QUIET_UM = 3_000


class PageFault(StrEnum):
    """Why a picture has no reading: a stable code. Nothing of the picture is kept."""

    NO_BALLOT = "no_ballot_found"
    """No code of ours: a blank page, another paper, or too blurred to see."""
    NOT_OURS = "not_our_ballot"
    """Ballots, but none of this motion."""


@dataclass(frozen=True, slots=True)
class ScannedPicture:
    """What one picture holds: readings, or the reason why there is none. `number` counts a scan's pictures from 1."""

    number: int
    readings: tuple[PageReading, ...]
    fault: str = ""


def read_pixels(picture: Bytes, layout: BallotLayout, number: int = 1) -> ScannedPicture:
    """Find and read every ballot page in a colour picture."""
    grey = to_grey(picture)
    codes = find_codes(grey)
    pages = place_pages(codes)[:BALLOTS_MAX]
    if not pages:
        return ScannedPicture(number, (), PageFault.NO_BALLOT)
    readings = tuple(_read_page(picture, codes, page, layout) for page in pages)
    ours = any(Doubt.WRONG_MOTION not in reading.doubts for reading in readings)
    return ScannedPicture(number, readings, "" if ours else PageFault.NOT_OURS)


def _read_page(picture: Bytes, codes: list[FoundCode], page: PlacedPage, layout: BallotLayout) -> PageReading:
    doubts = set()
    if page.tag != motion_tag(layout.digest) or not 1 <= page.page <= len(layout.pages):
        return _reading(page, "", (), {Doubt.WRONG_MOTION}, b"")
    if page.codes < 4:
        doubts.add(Doubt.CORNER_MISSING)
    if page.projection is None:
        return _reading(page, find_token(codes, page), (), doubts | {Doubt.MAIN_CODE_MISSING}, b"")
    if page.off_um > BENT_UM:
        doubts.add(Doubt.NOT_FLAT)
    token = find_token(codes, page) or _look_closer(picture, page.projection)
    doubts |= _doubt_token(token, page, len(layout.pages))
    flat = flatten(picture, _per_pixel(page.projection), _SIZE_PX)
    questions: tuple[QuestionReading, ...] = ()
    if page.codes >= CODES_READ:
        dark = smooth(measure_darkness(to_grey(flat), PAPER_BLOCK_PX))
        questions, contrast = read_marks(dark, layout.pages[page.page - 1], layout.questions)
        if contrast < BLURRED_CONTRAST:
            doubts.add(Doubt.BLURRED)
    return _reading(page, token, questions, doubts, encode_page(flat))


def _reading(
    page: PlacedPage, token: str, questions: tuple[QuestionReading, ...], doubts: set[Doubt], picture: bytes
) -> PageReading:
    ordered = tuple(doubt for doubt in Doubt if doubt in doubts)
    return PageReading(page.serial, page.page, token, page.turned, questions, ordered, picture)


def _doubt_token(text: str, page: PlacedPage, pages: int) -> set[Doubt]:
    token = parse_token(text)
    if token is None:
        return {Doubt.MAIN_CODE_MISSING}
    same = (token.serial, token.page, token.pages) == (page.serial, page.page, pages)
    return set() if same else {Doubt.MAIN_CODE_DIFFERS}


def _look_closer(picture: Bytes, projection: Points) -> str:
    """The text of the main code, searched for alone, enlarged, at its place; empty: not even so."""
    x_um, y_um = (place - _QUIET_UM for place in MAIN_PLACE)
    um_per_px = (MAIN_UM + 2 * _QUIET_UM) / _MAIN_PX
    grey = to_grey(flatten(picture, _rescaled(projection, um_per_px, x_um, y_um), (_MAIN_PX, _MAIN_PX)))
    texts = [code.text for code in find_codes(grey) if code.token is not None]
    return texts[0] if texts else ""


def _per_pixel(projection: Points) -> Points:
    return _rescaled(projection, 1_000 / PX_PER_MM, 0, 0)


def _rescaled(projection: Points, um_per_px: float, left_um: float, top_um: float) -> Points:
    """The projection from pixels of a window of the page instead of from micrometres."""
    matrix = numpy.append(projection, 1).reshape(3, 3)
    window = numpy.array([[um_per_px, 0, left_um], [0, um_per_px, top_um], [0, 0, 1]])
    product = matrix @ window
    scaled: Points = (product / product[2, 2]).reshape(9)[:8]
    return scaled
