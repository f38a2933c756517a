"""Which ballots lie in a picture, and how: from corner codes to a projection for each page. The place of zxing-cpp.

A corner code gives four points that are known on paper and in the picture; of two codes on, a projection follows by
least squares. Several ballots in one picture are told apart by serial and page, copies of one by where their codes lie.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy
import zxingcpp

from server.gateway.paper.codes import CORNERS, CornerCode, PageToken, parse_corner, parse_token
from server.gateway.paper.layout import CORNER_PLACES, CORNER_UM, HEIGHT_UM, MAIN_PLACE, MAIN_UM, WIDTH_UM
from server.gateway.paper.pixels import Bytes, Points, enlarge, fit_projection, project

CODES_FIT = 2
"""Codes that a page can be laid flat by; with fewer than three only to be looked at."""
CODES_READ = 3
ENLARGED_PX_MAX = 2_500_000
"""Pixels of a picture that is looked at again, twice as large, where codes are missing."""
_FORMATS = zxingcpp.barcode_formats_from_str("QRCode")
BENT_UM = 2_000
"""A code that lies further from its place than this is not in one plane with the others."""


@dataclass(frozen=True, slots=True)
class FoundCode:
    """A code of ours: what it says, and its corners in pixels from the top left one, clockwise as printed."""

    corner: CornerCode | None
    token: PageToken | None
    text: str
    points: Points


@dataclass(frozen=True, slots=True)
class PlacedPage:
    """A page in a picture. `projection` leads from micrometres on paper to pixels; None where too few codes were read.

    `off_um`: how far, on paper, the worst corner of a code lies from where the projection expects it.
    """

    tag: str
    serial: str
    page: int
    codes: int
    projection: Points | None
    off_um: int
    turned: int


def find_codes(grey: Bytes) -> list[FoundCode]:
    """Every QR code of ours in a picture, in whatever direction; a small picture is also looked at enlarged."""
    found = _read_codes(grey)
    corners = sum(code.corner is not None for code in found)
    if corners < len(CORNERS) and grey.size <= ENLARGED_PX_MAX:
        larger = [replace(code, points=code.points / 2) for code in _read_codes(enlarge(grey))]
        if sum(code.corner is not None for code in larger) > corners:
            return larger
    return found


def _read_codes(grey: Bytes) -> list[FoundCode]:
    found = []
    for code in zxingcpp.read_barcodes(grey, formats=_FORMATS, try_invert=False):
        corner, token = parse_corner(code.text), parse_token(code.text)
        if corner is None and token is None:
            continue
        place = code.position
        corners = (place.top_left, place.top_right, place.bottom_right, place.bottom_left)
        points = numpy.array([(point.x + 0.5, point.y + 0.5) for point in corners], dtype=numpy.float64)
        found.append(FoundCode(corner, token, code.text, points))
    return found


def place_pages(codes: Sequence[FoundCode]) -> list[PlacedPage]:
    """The pages whose corner codes these are, those with more codes first."""
    groups: dict[tuple[str, str, int], list[FoundCode]] = defaultdict(list)
    for code in codes:
        if code.corner is not None:
            groups[code.corner.tag, code.corner.serial, code.corner.page].append(code)
    placed = [_place(name, sheet) for name, group in groups.items() for sheet in _tell_copies_apart(group)]
    return sorted(placed, key=lambda page: -page.codes)


def find_token(codes: Sequence[FoundCode], page: PlacedPage) -> str:
    """The text of the main code that lies where this page has it; empty: none."""
    tokens = [code for code in codes if code.token is not None]
    if page.projection is None:
        same = [code.text for code in tokens if code.token and code.token.serial == page.serial]
        return same[0] if len(set(same)) == 1 else ""
    middle = (MAIN_PLACE[0] + MAIN_UM / 2, MAIN_PLACE[1] + MAIN_UM / 2)
    edge = (middle[0] + MAIN_UM / 2, middle[1])
    expected, beside = project(page.projection, numpy.array([middle, edge]))
    reach = numpy.linalg.norm(beside - expected)
    near = [code for code in tokens if numpy.linalg.norm(code.points.mean(axis=0) - expected) < reach]
    return near[0].text if near else ""


def _place(name: tuple[str, str, int], codes: Sequence[FoundCode]) -> PlacedPage:
    projection, off_um = None, 0
    if len(codes) >= CODES_FIT:
        places = numpy.concatenate([_places_of(code) for code in codes])
        pixels = numpy.concatenate([code.points for code in codes])
        projection = fit_projection(places, pixels)
        off_um = _measure_misfit(projection, places, pixels)
    return PlacedPage(*name, codes=len(codes), projection=projection, off_um=off_um, turned=_turned(codes[0]))


def _places_of(code: FoundCode) -> Points:
    assert code.corner is not None, "main codes are not placed"
    x, y = CORNER_PLACES[code.corner.corner]
    far_x, far_y = x + CORNER_UM, y + CORNER_UM
    return numpy.array([(x, y), (far_x, y), (far_x, far_y), (x, far_y)], dtype=numpy.float64)


def _measure_misfit(projection: Points, places: Points, pixels: Points) -> int:
    """The largest distance of a point from its place, in um on paper, by the scale of the picture at that place."""
    expected = project(projection, places)
    scale = numpy.linalg.norm(project(projection, places + numpy.array((1_000, 0))) - expected, axis=1)
    off = numpy.linalg.norm(pixels - expected, axis=1) / numpy.maximum(scale, 1e-6) * 1_000
    return int(min(off.max(), WIDTH_UM + HEIGHT_UM))


def _turned(code: FoundCode) -> int:
    """By how many quarters the page is turned clockwise, from the upper edge of one of its codes."""
    right, down = code.points[1] - code.points[0]
    return round(float(numpy.arctan2(down, right)) / (math.pi / 2)) % 4


def _tell_copies_apart(codes: Sequence[FoundCode]) -> list[list[FoundCode]]:
    """Codes of one page, or of several copies of it: each copy holds a corner once."""
    by_corner: dict[str, list[FoundCode]] = defaultdict(list)
    for code in codes:
        assert code.corner is not None, "only corner codes come here"
        by_corner[code.corner.corner].append(code)
    seeds = max(by_corner.values(), key=len)
    if len(seeds) == 1:
        return [list(codes)]
    sheets = [[seed] for seed in seeds]
    guesses = [fit_projection(_places_of(seed), seed.points) for seed in seeds]
    for group in by_corner.values():
        if group is seeds:
            continue
        for code in group:
            middle = _places_of(code).mean(axis=0)[None, :]
            found = code.points.mean(axis=0)
            distances = [float(numpy.linalg.norm(project(guess, middle)[0] - found)) for guess in guesses]
            sheets[distances.index(min(distances))].append(code)
    return sheets
