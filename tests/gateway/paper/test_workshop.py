"""Rules of server.gateway.paper.workshop and scans: every file has an answer, and the next one is read."""

from __future__ import annotations

import io
import random
from collections.abc import AsyncIterator, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from server.gateway.paper.layout import lay_out
from server.gateway.paper.reading import PageFault, ScannedPicture
from server.gateway.paper.readings import judge
from server.gateway.paper.scans import SCAN_BYTES_MAX, SCAN_PAGES_MAX, ScanFault, ScanRefused, count_pages, decode
from server.gateway.paper.workshop import PaperWorkshop
from tests.gateway.paper.distortion import Pen, box_of, encode, page_of, print_sheets
from tests.gateway.paper.motions import KEY, approvals, motion_of

MOTION = motion_of(*approvals(4))
LAYOUT = lay_out(MOTION)
SMALL = (1_052, 1_488)
"""Pixels of an A4 page at 127 dots an inch."""
PAGES = 40


@pytest.fixture
async def workshop() -> AsyncIterator[PaperWorkshop]:
    async with PaperWorkshop() as opened:
        yield opened


def sheet(ballot: int) -> Image.Image:
    page = print_sheets(MOTION, 6)[ballot].copy()
    for number in range(4):
        Pen(page, random.Random(number), (20, 20, 40), 5).mark(box_of(page_of(MOTION), f"q{number}", "for"), "cross")
    return page.resize(SMALL)


def pdf_of(pages: Sequence[Image.Image]) -> bytes:
    file = io.BytesIO()
    pages[0].save(file, "PDF", save_all=True, append_images=list(pages[1:]), resolution=127)
    return file.getvalue()


async def read_all(workshop: PaperWorkshop, data: bytes) -> list[ScannedPicture]:
    return [picture async for picture in workshop.read(data, LAYOUT)]


def fault_of(data: bytes) -> ScanFault:
    with pytest.raises(ScanRefused) as caught:
        decode(data, count_pages(data))
    return caught.value.fault


async def test_ballots_are_found_in_a_scan_of_forty_pages_with_junk_between(workshop: PaperWorkshop) -> None:
    blank = Image.new("RGB", (500, 707), "white")
    ballots = {3: 0, 4: 1, 17: 2, 25: 3, 31: 4, 40: 5}
    pages = [sheet(ballots[number]) if number in ballots else blank for number in range(1, PAGES + 1)]
    found = await read_all(workshop, pdf_of(pages))
    assert [picture.number for picture in found] == list(range(1, PAGES + 1))
    assert {picture.number for picture in found if not picture.fault} == set(ballots)
    assert {picture.fault for picture in found if picture.fault} == {PageFault.NO_BALLOT}
    readings = judge([page for picture in found for page in picture.readings], KEY, MOTION.digest, frozenset())
    assert [page.serial for page in readings] == [f"{number:04d}7Q2K" for number in range(6)]
    assert all(page.is_clear for page in readings)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
async def test_a_photo_is_a_scan_of_one_page(workshop: PaperWorkshop, form: str) -> None:
    file = io.BytesIO()
    sheet(0).save(file, form)
    (picture,) = await read_all(workshop, file.getvalue())
    assert picture.readings[0].serial == "00007Q2K" and picture.fault == ""


async def test_what_is_no_scan_is_refused_by_its_name(workshop: PaperWorkshop) -> None:
    cases = {
        b"": ScanFault.NOT_READABLE,
        b"GIF89a" + bytes(100): ScanFault.NOT_READABLE,
        b"%PDF-1.7 and nothing else": ScanFault.DAMAGED,
        bytes(SCAN_BYTES_MAX + 1): ScanFault.TOO_LARGE,
    }
    for data, fault in cases.items():
        with pytest.raises(ScanRefused) as caught:
            await read_all(workshop, data)
        assert caught.value.fault is fault
    (picture,) = await read_all(workshop, encode(sheet(0))[:20_000])
    assert (picture.readings, picture.fault) == ((), ScanFault.DAMAGED)
    (after,) = await read_all(workshop, encode(sheet(0)))
    assert after.fault == ""


def test_a_scan_of_too_many_pages_is_refused() -> None:
    tiny = Image.new("L", (8, 8))
    assert fault_of(pdf_of([tiny] * (SCAN_PAGES_MAX + 1))) is ScanFault.TOO_LARGE


def test_a_page_of_an_absurd_shape_is_refused_and_a_huge_one_is_brought_to_size() -> None:
    assert fault_of(pdf_of([Image.new("L", (3, 4_000))])) is ScanFault.DAMAGED
    huge = pdf_of([Image.new("L", (3_000, 4_000))])
    assert max(decode(huge, 1).shape) <= 2_340


@settings(max_examples=40, deadline=None)
@given(st.randoms(use_true_random=False), st.booleans())
def test_any_damage_to_a_scan_has_one_of_the_answers(rng: random.Random, as_pdf: bool) -> None:
    small = Image.new("RGB", (60, 80), "white")
    data = bytearray(pdf_of([small]) if as_pdf else encode(small))
    for _ in range(rng.randint(1, 12)):
        data[rng.randrange(len(data))] = rng.randrange(256)
    del data[rng.randrange(1, len(data)) :]
    try:
        pixels = decode(bytes(data), count_pages(bytes(data)))
    except ScanRefused:
        return
    assert pixels.ndim == 3 and pixels.shape[2] == 3
