"""Bytes of a stranger's scan to pixels: photos by `photo_cleaning`, PDF files by pypdfium2, whose only place this is.

Runs in the workers of `workshop` only. Sizes are bounded before anything is decoded.
"""

from __future__ import annotations

from enum import StrEnum

import numpy
import pypdfium2

from server.gateway.paper.pixels import Bytes
from server.gateway.photo_cleaning import UPLOAD_BYTES_MAX, PhotoFault, PhotoRefused, decode_photo, is_picture
from server.limits import MIB

SCAN_BYTES_MAX = 64 * MIB
"""A hundred pages in colour at 200 dots an inch, as office scanners send them."""
SCAN_PAGES_MAX = 200
PAGE_SIDE_MAX_PX = 2_339
"""A4 at 200 dots an inch; larger and smaller pages are brought to this size."""
_PDF_MARK = b"%PDF-"
_MARK_WITHIN = 1_024
"""Readers look for the mark so far into a file (ISO 32000-1, annex H, note 13)."""


class ScanFault(StrEnum):
    """Why a file is refused as a whole, or a page of it: a stable code for the API."""

    TOO_LARGE = "scan_too_large"
    """413: more bytes, pixels or pages than the limits, or more work than a worker may have."""
    NOT_READABLE = "scan_not_readable"
    """415: neither PDF nor JPEG, PNG, WebP or HEIC by its content."""
    DAMAGED = "scan_damaged"
    """422: one of those, but it cannot be decoded."""
    LOCKED = "scan_locked"
    """422: a PDF with a password."""


class ScanRefused(Exception):
    """A file that is not read; `fault` says why. It travels between processes, so it is built from its `args`."""

    def __init__(self, fault: ScanFault) -> None:
        super().__init__(fault)
        self.fault = fault


_FAULTS = {
    PhotoFault.TOO_LARGE: ScanFault.TOO_LARGE,
    PhotoFault.NOT_A_PICTURE: ScanFault.NOT_READABLE,
    PhotoFault.DAMAGED: ScanFault.DAMAGED,
}


def is_pdf(data: bytes) -> bool:
    """Whether this is a PDF by its first bytes, whatever its name."""
    return _PDF_MARK in data[:_MARK_WITHIN] and not is_picture(data)


def count_pages(data: bytes) -> int:
    """How many pictures a scan holds: the pages of a PDF, or 1. Raises: ScanRefused."""
    if len(data) > (SCAN_BYTES_MAX if is_pdf(data) else UPLOAD_BYTES_MAX):
        raise ScanRefused(ScanFault.TOO_LARGE)
    if not is_pdf(data):
        if not is_picture(data):
            raise ScanRefused(ScanFault.NOT_READABLE)
        return 1
    document = _open(data)
    try:
        pages = len(document)
    finally:
        document.close()
    if pages > SCAN_PAGES_MAX:
        raise ScanRefused(ScanFault.TOO_LARGE)
    if pages == 0:
        raise ScanRefused(ScanFault.DAMAGED)
    return pages


def decode(data: bytes, number: int) -> Bytes:
    """The colour pixels of picture `number` (from 1) of a scan that `count_pages` took. Raises: ScanRefused."""
    if is_pdf(data):
        return _render(data, number - 1)
    try:
        return numpy.asarray(decode_photo(data, PAGE_SIDE_MAX_PX))
    except PhotoRefused as refused:
        raise ScanRefused(_FAULTS[refused.fault]) from None


def _open(data: bytes) -> pypdfium2.PdfDocument:
    try:
        return pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        locked = getattr(error, "err_code", None) == pypdfium2.raw.FPDF_ERR_PASSWORD
        raise ScanRefused(ScanFault.LOCKED if locked else ScanFault.DAMAGED) from None


def _render(data: bytes, index: int) -> Bytes:
    document = _open(data)
    try:
        page = document[index]
        width, height = page.get_size()
        # A page may claim any size, also none; only its shape matters.
        long_side = max(width, height)
        if not 1 <= long_side <= 1_000_000 or min(width, height) * 20 < long_side:
            raise ScanRefused(ScanFault.DAMAGED)
        bitmap = page.render(scale=PAGE_SIDE_MAX_PX / long_side, rev_byteorder=True, may_draw_forms=False)
        pixels = numpy.array(bitmap.to_numpy(), copy=True)
        return _to_colours(pixels)
    except pypdfium2.PdfiumError:
        raise ScanRefused(ScanFault.DAMAGED) from None
    finally:
        document.close()


def _to_colours(pixels: Bytes) -> Bytes:
    """Three bytes a pixel, whatever the renderer chose for a page."""
    if pixels.ndim == 2 or pixels.shape[2] == 1:
        return numpy.repeat(pixels.reshape(*pixels.shape[:2], 1), 3, axis=2)
    return numpy.ascontiguousarray(pixels[:, :, :3])
