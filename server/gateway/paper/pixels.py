"""Arrays of pixels: pages made flat, shadows taken away, pictures encoded. Decodes no stranger's file.

A grey picture is an array of bytes, rows first; a colour picture has three bytes a pixel, red first. Knows no ballots.
"""

from __future__ import annotations

import io

import numpy
from numpy.typing import NDArray
from PIL import Image
from PIL.Image import Resampling, Transform

Bytes = NDArray[numpy.uint8]
Reals = NDArray[numpy.float32]
Points = NDArray[numpy.float64]
"""Rows of x and y."""

PAPER_PERCENTILE = 85
"""Of the brightness in a block: paper, where less than a seventh of it is ink."""
PAGE_JPEG_QUALITY = 80


def fit_projection(places: Points, pixels: Points) -> Points:
    """The eight numbers of the projection that best leads `places` to `pixels` (least squares); four pairs at least.

    x' = (a x + b y + c) / (g x + h y + 1), y' = (d x + e y + f) / (g x + h y + 1), as Pillow takes them.
    """
    x, y = places.T
    u, v = pixels.T
    one, nil = numpy.ones_like(x), numpy.zeros_like(x)
    rows = [
        numpy.stack([x, y, one, nil, nil, nil, -u * x, -u * y], axis=1),
        numpy.stack([nil, nil, nil, x, y, one, -v * x, -v * y], axis=1),
    ]
    solved: Points = numpy.linalg.lstsq(numpy.concatenate(rows), numpy.concatenate([u, v]), rcond=None)[0]
    return solved


def project(projection: Points, places: Points) -> Points:
    """Where the projection leads places to."""
    a, b, c, d, e, f, g, h = projection
    x, y = places.T
    depth = g * x + h * y + 1
    return numpy.stack([(a * x + b * y + c) / depth, (d * x + e * y + f) / depth], axis=1)


def flatten(picture: Bytes, projection: Points, size: tuple[int, int]) -> Bytes:
    """The picture of `size` (width, height) whose pixels lie where the projection leads; white where nothing is."""
    image = Image.fromarray(picture)
    white: int | tuple[int, int, int] = (255, 255, 255) if picture.ndim == 3 else 255
    data = tuple(float(value) for value in projection)
    return numpy.asarray(image.transform(size, Transform.PERSPECTIVE, data, Resampling.BICUBIC, fillcolor=white))


def to_grey(picture: Bytes) -> Bytes:
    """The brightness of a colour picture."""
    return numpy.asarray(Image.fromarray(picture).convert("L"))


def enlarge(grey: Bytes) -> Bytes:
    """The grey picture, twice as wide and as high."""
    height, width = grey.shape
    return numpy.asarray(Image.fromarray(grey).resize((2 * width, 2 * height), Resampling.BICUBIC))


def measure_darkness(grey: Bytes, block: int) -> Reals:
    """0 where the paper is, up to 1 where it is black: each pixel against the paper around it, so shadows vanish."""
    height, width = (length - length % block for length in grey.shape)
    blocks = grey[:height, :width].reshape(height // block, block, width // block, block)
    paper = numpy.percentile(blocks, PAPER_PERCENTILE, axis=(1, 3)).astype(numpy.float32)
    small = Image.fromarray(numpy.maximum(_fill_dark_blocks(paper), 1))
    around = numpy.asarray(small.resize((grey.shape[1], grey.shape[0]), Resampling.BILINEAR))
    dark: Reals = numpy.clip(1 - grey / around, 0, 1).astype(numpy.float32)
    return dark


def _fill_dark_blocks(paper: Reals) -> Reals:
    """Blocks full of ink look like dark paper: take the brightest of the eight blocks around where that is lighter."""
    padded = numpy.pad(paper, 1, mode="edge")
    rows, columns = paper.shape
    around = [padded[y : y + rows, x : x + columns] for y in range(3) for x in range(3)]
    brightest: Reals = numpy.maximum(paper, numpy.float32(0.94) * numpy.max(around, axis=0))
    return brightest


def smooth(values: Reals) -> Reals:
    """The mean of three by three pixels: single specks lose two thirds of their weight."""
    padded = numpy.pad(values, 1, mode="edge")
    rows, columns = values.shape
    total = sum(padded[y : y + rows, x : x + columns] for y in range(3) for x in range(3))
    return numpy.asarray(total, dtype=numpy.float32) / numpy.float32(9)


def encode_page(picture: Bytes) -> bytes:
    """A JPEG of nothing but these pixels."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=PAGE_JPEG_QUALITY, optimize=True)
    return file.getvalue()
