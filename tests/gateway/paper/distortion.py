"""Ballots as people fill them in and photograph them, from a seed: marks, strays, bad light, bad angles.

A sheet is a printed page at SHEET_DPI; marks are drawn where the layout has the boxes, then it is photographed. What is
true of a sheet is known, so that what a machine reads can be compared with it.
"""

from __future__ import annotations

import io
import math
import random
from dataclasses import dataclass
from functools import lru_cache

import numpy
import pypdfium2
from PIL import Image, ImageDraw, ImageFilter
from PIL.Image import Resampling, Transform

from server.gateway.paper.contents import PaperMotion
from server.gateway.paper.layout import BOX_UM, CORNER_PLACES, Box, PageLayout, lay_out
from server.gateway.paper.printing import print_ballots
from tests.gateway.paper.motions import ESTATE, KEY, ballots_of

SHEET_DPI = 200
PX = SHEET_DPI / 25.4
"""Pixels of a sheet a millimetre."""
INKS = ((20, 20, 40), (20, 30, 140), (60, 60, 60), (150, 20, 30))
PENS = (3, 4, 5, 7)
"""Widths in pixels: 0.4 to 0.9 mm."""
KINDS = ("tick", "cross", "fill", "circle", "dot", "slash")
TABLES = ((60, 50, 40), (120, 110, 100), (200, 200, 190), (30, 30, 30))
Colour = tuple[int, int, int]
Truth = dict[str, frozenset[str]]
"""The choices that are marked, by question."""


@dataclass(frozen=True)
class Hardship:
    """How badly a sheet is photographed; angles in degrees, the rest as shares or pixels of the sheet."""

    angle: float
    perspective: float
    scale: tuple[float, float]
    shadow: float
    noise: float
    blur: float
    jpeg: tuple[int, int]
    strays: float = 0.0
    thumb: float = 0.0
    curl: float = 0.0


EASY = Hardship(4, 0.02, (0.62, 1.25), 0.2, 6, 0.7, (50, 92))
HARD = Hardship(12, 0.09, (0.62, 1.25), 0.55, 14, 1.6, (25, 92), strays=0.2, thumb=0.12)
EXTREME = Hardship(25, 0.16, (0.45, 0.9), 0.55, 14, 2.2, (15, 92), strays=0.2, thumb=0.12, curl=10)
STILL = Hardship(0, 0, (0.8, 0.8), 0, 2, 0.3, (90, 90))
"""A flat-bed scanner."""


@lru_cache(maxsize=8)
def print_sheets(motion: PaperMotion, count: int = 1) -> tuple[Image.Image, ...]:
    """The pages of some ballots of a motion, as paper."""
    return rasterise(print_ballots(motion, ESTATE, ballots_of(count), KEY))


def rasterise(pdf: bytes) -> tuple[Image.Image, ...]:
    document = pypdfium2.PdfDocument(pdf)
    try:
        return tuple(page.render(scale=SHEET_DPI / 72).to_pil().convert("RGB") for page in document)
    finally:
        document.close()


def page_of(motion: PaperMotion, number: int = 1) -> PageLayout:
    return lay_out(motion).pages[number - 1]


def box_of(page: PageLayout, question: str, choice: str) -> Box:
    return next(box for box in page.boxes if (box.question, box.choice) == (question, choice))


class Pen:
    """Mutable. Draws on a sheet, in millimetres."""

    def __init__(self, sheet: Image.Image, rng: random.Random, ink: Colour | None = None, width: int = 0) -> None:
        self._draw = ImageDraw.Draw(sheet)
        self._rng = rng
        self.ink = ink or rng.choice(INKS)
        self.width = width or rng.choice(PENS)

    def stroke(self, *points: tuple[float, float]) -> None:
        self._draw.line([(x * PX, y * PX) for x, y in points], fill=self.ink, width=self.width, joint="curve")

    def mark(self, box: Box, kind: str, shift: tuple[float, float] = (0.0, 0.0)) -> None:
        """One mark as a hand makes it: seldom in the middle, often over the edge."""
        side = BOX_UM / 1_000
        left, top = box.x_um / 1_000 + shift[0], box.y_um / 1_000 + shift[1]
        size = side * self._rng.uniform(0.55, 1.05)
        x, y = left + (side - size) * self._rng.random(), top + (side - size) * self._rng.random()
        getattr(self, f"_{kind}")(x, y, size)

    def _jitter(self, most: float) -> float:
        return self._rng.uniform(-most, most)

    def _tick(self, x: float, y: float, size: float) -> None:
        low = (x + size * 0.42 + self._jitter(0.5), y + size * 0.9 + self._jitter(0.5))
        high = (x + size * 1.05 + self._jitter(1), y - size * 0.05 + self._jitter(1))
        self.stroke((x + size * 0.15 + self._jitter(0.6), y + size * 0.55 + self._jitter(0.6)), low, high)

    def _cross(self, x: float, y: float, size: float) -> None:
        near, far = size * 0.1, size * 0.9
        self.stroke((x + near + self._jitter(0.8), y + near), (x + far + self._jitter(0.8), y + far))
        self.stroke((x + far + self._jitter(0.8), y + near), (x + near + self._jitter(0.8), y + far))

    def _fill(self, x: float, y: float, size: float) -> None:
        for line in range(13):
            height = y + size * (0.08 + 0.07 * line)
            left, right = size * 0.1 + self._jitter(0.3), size * 0.9 + self._jitter(0.3)
            self.stroke((x + left, height), (x + right, height + 0.3))

    def _circle(self, x: float, y: float, size: float) -> None:
        near, far = 0.12 * size, 0.88 * size
        box = [(x + near) * PX, (y + near) * PX, (x + far) * PX, (y + far) * PX]
        self._draw.ellipse(box, outline=self.ink, width=self.width)

    def _dot(self, x: float, y: float, size: float) -> None:
        radius = self._rng.uniform(1.0, 1.8)
        self.disc((x + size / 2, y + size / 2), radius)

    def _slash(self, x: float, y: float, size: float) -> None:
        high = (x + size * 0.85 + self._jitter(0.6), y + size * 0.1 + self._jitter(0.6))
        self.stroke(high, (x + size * 0.15 + self._jitter(0.6), y + size * 0.9 + self._jitter(0.6)))

    def disc(self, middle: tuple[float, float], radius: float, colour: Colour | None = None) -> None:
        x, y = middle
        box = [(x - radius) * PX, (y - radius) * PX, (x + radius) * PX, (y + radius) * PX]
        self._draw.ellipse(box, fill=colour or self.ink)


def fill_in(
    sheet: Image.Image, page: PageLayout, rng: random.Random, picks: dict[str, int]
) -> tuple[Image.Image, Truth]:
    """A filled-in copy of a sheet and what is true of it. `picks`: how many may be chosen, by question.

    Of a hundred questions six are left empty and six have one mark too many.
    """
    filled = sheet.copy()
    truth: Truth = {}
    for question in dict.fromkeys(box.question for box in page.boxes):
        choices = [box.choice for box in page.boxes if box.question == question]
        fate = rng.random()
        most = picks.get(question, 1)
        count = 0 if fate < 0.06 else min(most + 1, len(choices)) if fate < 0.12 else rng.randint(1, most)
        chosen = rng.sample(choices, count)
        kind = rng.choice(KINDS)
        for choice in chosen:
            Pen(filled, rng).mark(box_of(page, question, choice), kind if most > 1 else rng.choice(KINDS))
        truth[question] = frozenset(chosen)
    return filled, truth


def photograph(sheet: Image.Image, rng: random.Random, hardship: Hardship, turned: int | None = None) -> bytes:
    """The sheet on a table, as the JPEG of a phone. `turned`: quarters clockwise; None: any."""
    sheet = sheet.copy()
    pen = Pen(sheet, rng)
    if rng.random() < hardship.strays:
        x, y = rng.uniform(20, 140), rng.uniform(75, 235)
        pen.ink, pen.width = (150, 150, 155), 3
        pen.stroke((x, y), (x + rng.uniform(20, 50), y + rng.uniform(-25, 25)))
    if rng.random() < hardship.thumb:
        x_um, y_um = rng.choice(list(CORNER_PLACES.values()))
        pen.disc((x_um / 1_000 + 7, y_um / 1_000 + 8), 12, (205, 165, 140))
    quarter = rng.choice([0, 0, 0, 1, 2, 3]) if turned is None else turned
    picture = _lay_on_table(_bend(sheet, rng, hardship.curl), rng, hardship, quarter)
    return _expose(picture, rng, hardship)


def _bend(sheet: Image.Image, rng: random.Random, curl: float) -> Image.Image:
    if not curl:
        return sheet
    pixels = numpy.asarray(sheet)
    height, width = pixels.shape[:2]
    waves = numpy.linspace(0, math.pi * rng.uniform(1, 2), width) + rng.uniform(0, 2 * math.pi)
    shift = (rng.uniform(0, curl) * numpy.sin(waves)).astype(int)
    rows = (numpy.arange(height)[:, None] + shift[None, :]).clip(0, height - 1)
    return Image.fromarray(pixels[rows, numpy.arange(width)[None, :]])


def _lay_on_table(sheet: Image.Image, rng: random.Random, hardship: Hardship, quarter: int) -> Image.Image:
    width, height = sheet.size
    corners = [(0, 0), (width, 0), (width, height), (0, height)]
    skew = rng.uniform(0, hardship.perspective) * width
    angle = math.radians(rng.uniform(-hardship.angle, hardship.angle) + 90 * quarter)
    scale = rng.uniform(*hardship.scale)
    moved = []
    for corner in corners:
        x, y = (place + rng.uniform(-skew, skew) for place in corner)
        x, y = x - width / 2, y - height / 2
        turned = (x * math.cos(angle) - y * math.sin(angle), x * math.sin(angle) + y * math.cos(angle))
        moved.append((turned[0] * scale, turned[1] * scale))
    left, top = min(x for x, _ in moved) - 60, min(y for _, y in moved) - 60
    placed = [(x - left, y - top) for x, y in moved]
    size = (int(max(x for x, _ in placed) + 60), int(max(y for _, y in placed) + 60))
    return sheet.transform(
        size, Transform.PERSPECTIVE, _coefficients(placed, corners), Resampling.BICUBIC, fillcolor=rng.choice(TABLES)
    )


def _coefficients(source: list[tuple[float, float]], target: list[tuple[int, int]]) -> tuple[float, ...]:
    rows, values = [], []
    for (x, y), (u, v) in zip(source, target, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        values += [u, v]
    return tuple(numpy.linalg.solve(numpy.array(rows, float), numpy.array(values, float)))


def _expose(picture: Image.Image, rng: random.Random, hardship: Hardship) -> bytes:
    pixels = numpy.asarray(picture).astype(numpy.float32)
    height, width = pixels.shape[:2]
    across, down = numpy.meshgrid(numpy.linspace(0, 1, width), numpy.linspace(0, 1, height))
    shade = 1 - rng.uniform(0, hardship.shadow) * (across * rng.random() + down * rng.random())
    grains = numpy.random.default_rng(rng.randrange(1 << 30)).standard_normal((height, width), numpy.float32)
    noise = grains * rng.uniform(0, hardship.noise)
    pixels = pixels * shade.astype(numpy.float32)[..., None] + noise[..., None]
    lit = Image.fromarray(pixels.clip(0, 255).astype(numpy.uint8))
    return encode(lit.filter(ImageFilter.GaussianBlur(rng.uniform(0, hardship.blur))), rng.randint(*hardship.jpeg))


def encode(picture: Image.Image, quality: int = 90) -> bytes:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality)
    return file.getvalue()
