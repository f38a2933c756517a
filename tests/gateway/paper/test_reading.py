"""Rules of server.gateway.paper.reading: what people do to ballots, and what a machine may say about it.

The full round trip is `scripts/paper_trial.py`; here a sample of it, and every case in which a machine must doubt.
"""

from __future__ import annotations

import io
import random
from collections.abc import Callable
from dataclasses import replace

import numpy
import pytest
from PIL import Image, ImageFilter

from server.gateway.paper.layout import BOX_UM, CORNER_PLACES
from server.gateway.paper.reading import PageFault, ScannedPicture, read_pixels
from server.gateway.paper.readings import Doubt, PageReading, QuestionReading, Verdict, judge
from server.gateway.paper.scans import decode
from tests.gateway.paper.distortion import (
    EASY,
    EXTREME,
    HARD,
    PX,
    STILL,
    Hardship,
    Pen,
    box_of,
    encode,
    fill_in,
    lay_out,
    page_of,
    photograph,
    print_sheets,
)
from tests.gateway.paper.motions import KEY, approvals, election, motion_of, options

MOTION = motion_of(*approvals(4))
ELECTION = motion_of(election(3))
CHOOSING = motion_of(options())
LAYOUT, PAGE = lay_out(MOTION), page_of(MOTION)
SIDE = BOX_UM / 1_000


def blank(motion: object = MOTION, ballot: int = 0) -> Image.Image:
    return print_sheets(motion, ballot + 1)[ballot].copy()  # type: ignore[arg-type]


def read(data: bytes, motion: object = MOTION) -> ScannedPicture:
    return read_pixels(decode(data, 1), lay_out(motion))  # type: ignore[arg-type]


def scan(sheet: Image.Image, motion: object = MOTION, hardship: Hardship = STILL, turned: int = 0) -> PageReading:
    """The one reading of a sheet, judged with the right key."""
    found = read(photograph(sheet, random.Random(7), hardship, turned), motion)
    assert found.fault == "", found
    (reading,) = judge(found.readings, KEY, motion.digest, frozenset())  # type: ignore[attr-defined]
    return reading


def row(reading: PageReading, question: str = "q0") -> QuestionReading:
    return next(found for found in reading.questions if found.question == question)


def marked(*marks: tuple[str, str], kind: str = "tick", motion: object = MOTION) -> Image.Image:
    sheet, rng = blank(motion), random.Random(3)
    for question, choice in marks:
        Pen(sheet, rng, (20, 20, 40), 4).mark(box_of(page_of(motion), question, choice), kind)  # type: ignore[arg-type]
    return sheet


def every_first() -> Image.Image:
    return marked(*((f"q{n}", "for") for n in range(4)))


@pytest.mark.parametrize(("hardship", "seed"), [(EASY, 1), (EASY, 2), (HARD, 3), (HARD, 4), (EXTREME, 5), (EXTREME, 6)])
def test_ballots_of_all_kinds_are_read_right_or_doubted(hardship: Hardship, seed: int) -> None:
    rng = random.Random(seed)
    rows = wrong = 0
    for motion in (MOTION, ELECTION, CHOOSING):
        for _ in range(2):
            sheet, truth = fill_in(blank(motion), page_of(motion), rng, {"seats": 3})
            found = read(photograph(sheet, rng, hardship), motion)
            for question in (row for page in found.readings for row in page.questions):
                right = frozenset(question.marks) == truth[question.question]
                assert right or question.doubts, (question, truth)
                rows, wrong = rows + 1, wrong + (not right)
    assert rows >= 8
    assert wrong <= 1


@pytest.mark.parametrize("kind", ["tick", "cross", "fill", "circle", "dot", "slash"])
def test_a_clear_page_has_no_doubt(kind: str) -> None:
    reading = scan(marked(*((f"q{n}", "against") for n in range(4)), kind=kind))
    assert reading.is_clear, reading
    assert [question.marks for question in reading.questions] == [("against",)] * 4
    assert (reading.serial, reading.page) == ("00007Q2K", 1)


def test_three_seats_take_three_marks_and_doubt_a_fourth() -> None:
    three = [("seats", f"c{n}") for n in range(3)]
    assert scan(marked(*three, motion=ELECTION), ELECTION).is_clear
    reading = scan(marked(*three, ("seats", "c5"), motion=ELECTION), ELECTION)
    assert row(reading, "seats").doubts == (Doubt.TOO_MANY_MARKS,)


def test_abstaining_goes_with_nothing_else() -> None:
    reading = scan(marked(("seats", "c0"), ("seats", "abstain"), motion=ELECTION), ELECTION)
    assert Doubt.TOO_MANY_MARKS in row(reading, "seats").doubts


def test_an_empty_row_and_two_marks_are_doubted() -> None:
    reading = scan(marked(("q0", "for"), ("q0", "against"), ("q1", "for"), ("q2", "abstain")))
    assert row(reading, "q0").doubts == (Doubt.TOO_MANY_MARKS,)
    assert row(reading, "q1").doubts == ()
    assert row(reading, "q3").doubts == (Doubt.NO_MARK,)
    assert not reading.is_clear


def stroke_through(sheet: Image.Image) -> None:
    first, second = (box_of(page_of(ELECTION), "seats", f"c{n}") for n in (1, 2))
    x = first.x_um / 1_000 + SIDE / 2
    top, bottom = first.y_um / 1_000 + 2, second.y_um / 1_000 + 8
    Pen(sheet, random.Random(1), (20, 20, 40), 5).stroke((x - 1, top), (x + 1, bottom))


def test_one_stroke_through_two_boxes_is_no_two_votes() -> None:
    sheet = blank(ELECTION)
    stroke_through(sheet)
    assert Doubt.STROKE_THROUGH in row(scan(sheet, ELECTION), "seats").doubts


def erase(sheet: Image.Image) -> None:
    """A pencil tick, rubbed out: paler, smeared, and not gone."""
    box = box_of(PAGE, "q0", "for")
    trace = sheet.copy()
    Pen(trace, random.Random(3), (110, 110, 115), 5).mark(box, "cross")
    soft = trace.filter(ImageFilter.GaussianBlur(3))
    left, top = round((box.x_um / 1_000 + 1) * PX), round((box.y_um / 1_000 + 1) * PX)
    area = (left, top, left + round((SIDE - 2) * PX), top + round((SIDE - 2) * PX))
    sheet.paste(soft.crop(area), area[:2])


def half_outside(sheet: Image.Image) -> None:
    Pen(sheet, random.Random(3), (20, 20, 40), 4).mark(box_of(PAGE, "q0", "for"), "tick", (-7.5, 3.0))


def beside(sheet: Image.Image) -> None:
    box = box_of(PAGE, "q0", "for")
    x, y = box.x_um / 1_000 - 2.5, box.y_um / 1_000
    Pen(sheet, random.Random(3), (20, 20, 40), 5).stroke((x, y + 4), (x + 0.5, y + 9), (x + 1.2, y - 1))


def cross_out(sheet: Image.Image) -> None:
    pen = Pen(sheet, random.Random(3), (20, 20, 40), 5)
    pen.mark(box_of(PAGE, "q0", "for"), "fill")
    pen.mark(box_of(PAGE, "q0", "for"), "cross")
    pen.mark(box_of(PAGE, "q0", "against"), "tick")


@pytest.mark.parametrize("spoil", [erase, half_outside, beside, cross_out])
@pytest.mark.parametrize("hardship", [STILL, EASY])
def test_a_row_that_is_not_plain_is_doubted(spoil: Callable[[Image.Image], None], hardship: Hardship) -> None:
    sheet = marked(("q1", "for"), ("q2", "for"), ("q3", "for"))
    spoil(sheet)
    reading = scan(sheet, hardship=hardship)
    assert row(reading, "q0").doubts, row(reading, "q0")
    assert not row(reading, "q1").doubts


def test_a_correction_among_several_seats_is_doubted() -> None:
    sheet = marked(("seats", "c0"), motion=ELECTION)
    pen = Pen(sheet, random.Random(3), (20, 20, 40), 6)
    for kind in ("fill", "fill", "cross"):
        pen.mark(box_of(page_of(ELECTION), "seats", "c3"), kind)
    assert Doubt.MARKS_DIFFER in row(scan(sheet, ELECTION), "seats").doubts


def fold(sheet: Image.Image, y_mm: float) -> None:
    """A crease across the page: a dark valley, a light ridge."""
    pixels = numpy.asarray(sheet).astype(numpy.float32)
    away = numpy.arange(pixels.shape[0]) - y_mm * PX
    pixels *= (1 - 0.35 * numpy.exp(-((away / 4) ** 2)) + 0.1 * numpy.exp(-(((away - 9) / 6) ** 2)))[:, None, None]
    sheet.paste(Image.fromarray(pixels.clip(0, 255).astype(numpy.uint8)))


def test_a_fold_through_boxes_makes_no_mark() -> None:
    sheet = every_first()
    fold(sheet, box_of(PAGE, "q1", "for").y_um / 1_000 + SIDE / 2)
    reading = scan(sheet, hardship=EASY)
    assert [question.marks for question in reading.questions] == [("for",)] * 4


@pytest.mark.parametrize("turned", [0, 1, 2, 3])
def test_a_page_is_read_whichever_way_it_lies(turned: int) -> None:
    reading = scan(every_first(), turned=turned)
    assert (reading.turned, reading.is_clear) == (turned, True)


@pytest.mark.parametrize("corner", CORNER_PLACES)
def test_a_thumb_over_a_corner_is_told_and_the_rest_is_read(corner: str) -> None:
    sheet = every_first()
    x_um, y_um = CORNER_PLACES[corner]
    Pen(sheet, random.Random(1)).disc((x_um / 1_000 + 9, y_um / 1_000 + 9), 12, (205, 165, 140))
    reading = scan(sheet)
    assert reading.doubts == (Doubt.CORNER_MISSING,)
    assert [question.marks for question in reading.questions] == [("for",)] * 4


def test_two_corners_give_a_picture_but_no_marks() -> None:
    sheet = every_first()
    for corner in "AD":
        x_um, y_um = CORNER_PLACES[corner]
        Pen(sheet, random.Random(1)).disc((x_um / 1_000 + 9, y_um / 1_000 + 9), 12, (205, 165, 140))
    reading = scan(sheet)
    assert Doubt.CORNER_MISSING in reading.doubts
    assert reading.questions == () and reading.picture


def test_a_covered_main_code_is_told() -> None:
    sheet = every_first()
    Pen(sheet, random.Random(1)).disc((183, 47), 13, (205, 165, 140))
    assert scan(sheet).doubts == (Doubt.MAIN_CODE_MISSING,)


def test_a_page_of_another_motion_is_not_read() -> None:
    other = motion_of(*approvals(4), name="another motion")
    found = read(photograph(blank(other), random.Random(1), STILL))
    assert found.fault is PageFault.NOT_OURS
    assert found.readings[0].doubts == (Doubt.WRONG_MOTION,)
    assert found.readings[0].questions == () and found.readings[0].picture == b""


def test_a_page_printed_with_another_key_is_not_genuine() -> None:
    found = read(photograph(every_first(), random.Random(1), STILL, 0))
    (reading,) = judge(found.readings, b"another key of thirty-two bytes!", MOTION.digest, frozenset())
    assert reading.doubts == (Doubt.NOT_GENUINE,)


def test_a_main_code_pasted_from_another_ballot_is_told() -> None:
    sheet, other = every_first(), blank(MOTION, 1)
    area = tuple(round(mm * PX) for mm in (166, 30, 200, 63))
    sheet.paste(other.crop(area), area[:2])  # type: ignore[arg-type]
    assert scan(sheet).doubts == (Doubt.MAIN_CODE_DIFFERS,)


def side_by_side(*sheets: Image.Image) -> bytes:
    table = Image.new("RGB", (sum(sheet.width + 40 for sheet in sheets), sheets[0].height + 40), (90, 80, 70))
    left = 20
    for sheet in sheets:
        table.paste(sheet, (left, 20))
        left += sheet.width + 40
    return encode(table)


def test_two_ballots_in_one_photo_are_both_read() -> None:
    other = blank(MOTION, 1)
    for number in range(4):
        Pen(other, random.Random(number), (20, 20, 40), 4).mark(box_of(PAGE, f"q{number}", "against"), "tick")
    readings = judge(read(side_by_side(every_first(), other)).readings, KEY, MOTION.digest, frozenset())
    assert {page.serial: row(page).marks for page in readings} == {"00007Q2K": ("for",), "00017Q2K": ("against",)}
    assert all(page.is_clear for page in readings)


def test_two_photocopies_of_one_ballot_are_told_apart_and_both_doubted() -> None:
    copy = marked(*((f"q{n}", "against") for n in range(4)))
    readings = judge(read(side_by_side(every_first(), copy)).readings, KEY, MOTION.digest, frozenset())
    assert sorted(row(page).marks for page in readings) == [("against",), ("for",)]
    assert all(page.doubts == (Doubt.SEEN_BEFORE,) for page in readings)


def test_a_serial_that_was_read_before_is_doubted() -> None:
    found = read(photograph(every_first(), random.Random(1), STILL, 0))
    (reading,) = judge(found.readings, KEY, MOTION.digest, frozenset({("00007Q2K", 1)}))
    assert reading.doubts == (Doubt.SEEN_BEFORE,)


def letter() -> Image.Image:
    """A printed letter, as whoever empties the box finds in it."""
    page = Image.new("RGB", (1_654, 2_339), "white")
    pen = Pen(page, random.Random(1), (0, 0, 0), 4)
    for line in range(40):
        pen.stroke((20, 20 + 6 * line), (180, 20 + 6 * line))
    return page


@pytest.mark.parametrize("page", [Image.new("RGB", (1_654, 2_339), "white"), letter()])
def test_a_blank_page_and_a_letter_are_no_ballots(page: Image.Image) -> None:
    assert read(encode(page)) == ScannedPicture(1, (), PageFault.NO_BALLOT)


def test_a_hopelessly_blurred_page_is_doubted_or_not_found() -> None:
    blurred = every_first().filter(ImageFilter.GaussianBlur(5))
    found = read(encode(blurred))
    assert found.fault is PageFault.NO_BALLOT or not found.readings[0].is_clear


def test_the_picture_of_a_page_is_upright_flat_and_holds_nothing_but_pixels() -> None:
    sheet = every_first()
    exif = Image.Exif()
    exif[0x010E] = "somebody's home"
    file = io.BytesIO()
    sheet.rotate(180).save(file, "JPEG", quality=90, exif=exif)
    (reading,) = read(file.getvalue()).readings
    picture = Image.open(io.BytesIO(reading.picture))
    assert picture.size == (1_260, 1_782)
    assert not picture.getexif() and b"somebody" not in reading.picture
    expected = sheet.resize(picture.size).convert("L").filter(ImageFilter.GaussianBlur(2))
    found = picture.convert("L").filter(ImageFilter.GaussianBlur(2))
    apart = numpy.asarray(expected, float) - numpy.asarray(found, float)
    assert numpy.abs(apart).mean() < 4


def test_a_doubt_is_never_lost_by_judging() -> None:
    reading = replace(scan(blank()), doubts=(Doubt.BLURRED,))
    (judged,) = judge([reading], KEY, MOTION.digest, frozenset())
    assert Doubt.BLURRED in judged.doubts
    assert all(box.verdict is Verdict.UNMARKED for question in judged.questions for box in question.boxes)
