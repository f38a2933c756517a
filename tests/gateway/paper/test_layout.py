"""Rules of server.gateway.paper.layout and typography: everything stands on a page, apart from all else."""

from __future__ import annotations

from itertools import combinations

import pytest
from fpdf import FPDF
from hypothesis import given, settings
from hypothesis import strategies as st

from server.gateway.paper.contents import (
    PaperChoice,
    PaperFault,
    PaperMotion,
    PaperQuestion,
    PaperRefused,
    check_motion,
)
from server.gateway.paper.document import find_fonts
from server.gateway.paper.layout import (
    BODY_BOTTOM_UM,
    BODY_TOP_UM,
    BOX_UM,
    CLEAR_UM,
    MARGIN_UM,
    WIDTH_UM,
    PageLayout,
    TextLine,
    lay_out,
)
from server.gateway.paper.typography import UM_PER_POINT, shorten, width_um, wrap
from tests.gateway.paper.motions import APPROVAL, CLOSE_MS, approvals, election, motion_of, options

TEXTS = st.text("的是选聘物业服务企业（）“”，。；abcWM 0123.€,-", min_size=1, max_size=400).filter(str.strip)
SHORT = st.text("甲乙丙丁方案同意", min_size=1, max_size=40)


def plain_question(number: int, text: str, choices: list[str], picks: int) -> PaperQuestion:
    named = tuple(PaperChoice(f"c{at}", words) for at, words in enumerate(choices))
    return PaperQuestion(f"q{number}", text, named, min(picks, len(named)))


QUESTIONS = st.lists(
    st.tuples(TEXTS, st.lists(SHORT, min_size=2, max_size=6), st.integers(1, 3)), min_size=1, max_size=6
)


def make_motion(title: str, questions: list[tuple[str, list[str], int]]) -> PaperMotion:
    made = tuple(plain_question(number, *question) for number, question in enumerate(questions))
    return PaperMotion(title, made, CLOSE_MS, bytes(32))


def touches(page: PageLayout, line: TextLine, x_um: int, y_um: int) -> bool:
    """Whether a line of text comes nearer to a box than its clear margin."""
    height_um = line.points * UM_PER_POINT * 12 // 10
    left, right = line.x_um, line.x_um + width_um(line.text, line.points)
    beside = right <= x_um - CLEAR_UM or left >= x_um + BOX_UM + CLEAR_UM
    apart = line.y_um + height_um <= y_um - CLEAR_UM // 2 or line.y_um >= y_um + BOX_UM + CLEAR_UM // 2
    return not (beside or apart)


@settings(max_examples=60)
@given(TEXTS.filter(lambda text: len(text) <= 200), QUESTIONS)
def test_every_box_is_printed_once_within_the_page_and_apart(
    title: str, questions: list[tuple[str, list[str], int]]
) -> None:
    motion = make_motion(title, questions)
    pages = lay_out(motion).pages
    boxes = [(box.question, box.choice) for page in pages for box in page.boxes]
    assert boxes == [(question.id, choice.id) for question in motion.questions for choice in question.choices]
    for page in pages:
        for box in page.boxes:
            assert MARGIN_UM <= box.x_um <= WIDTH_UM - MARGIN_UM - BOX_UM
            assert BODY_TOP_UM <= box.y_um <= BODY_BOTTOM_UM - BOX_UM - CLEAR_UM
            assert not [line for line in page.lines if touches(page, line, box.x_um, box.y_um)]
        for one, other in combinations(page.boxes, 2):
            assert max(abs(one.x_um - other.x_um), abs(one.y_um - other.y_um)) >= BOX_UM + CLEAR_UM


@settings(max_examples=60)
@given(TEXTS.filter(lambda text: len(text) <= 200), QUESTIONS)
def test_the_choices_of_a_question_stay_on_one_page(title: str, questions: list[tuple[str, list[str], int]]) -> None:
    pages = lay_out(make_motion(title, questions)).pages
    places = [{box.question for box in page.boxes} for page in pages]
    assert not [pair for pair in combinations(places, 2) if pair[0] & pair[1]]


@given(TEXTS, st.sampled_from([12, 14, 16, 18]), st.integers(40_000, 180_000))
def test_wrapping_loses_no_letter_and_keeps_within_the_room(text: str, points: int, room_um: int) -> None:
    lines = wrap(text, points, room_um)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    longest_word_um = 25 * points * UM_PER_POINT
    assert all(width_um(line, points) <= max(room_um + points * UM_PER_POINT, longest_word_um) for line in lines)


@given(TEXTS, st.integers(20_000, 180_000))
def test_a_shortened_text_fits_and_says_that_it_was_cut(text: str, room_um: int) -> None:
    short = shorten(text, 16, room_um)
    assert width_um(short, 16) <= room_um
    assert short == text or (short.endswith("…") and text.startswith(short[:-1]))


def test_our_widths_are_no_smaller_than_those_of_the_font() -> None:
    pdf = FPDF()
    for style, path in zip(("", "B"), find_fonts(), strict=True):
        pdf.add_font("noto", style, path, collection_font_number=2)
        pdf.set_font("noto", style, 100)
        letters = [*map(chr, range(32, 127)), *"的龘𠮷，。“”（）√—…·"]
        too_wide = [letter for letter in letters if pdf.get_string_width(letter) * 1_000 > width_um(letter, 100) + 100]
        pdf.fonts[f"noto{style}"].close()  # type: ignore[union-attr]
        assert not too_wide


def test_choices_that_need_more_than_a_page_are_refused_by_name() -> None:
    long = PaperQuestion("long", "选一项", tuple(PaperChoice(f"c{n}", "长" * 90) for n in range(12)))
    with pytest.raises(PaperRefused) as caught:
        lay_out(motion_of(long))
    assert caught.value.fault is PaperFault.CHOICES_TOO_LONG
    assert "'long'" in caught.value.message


def test_a_text_of_two_pages_flows_and_its_choices_follow_it() -> None:
    endless = PaperQuestion("endless", "字" * 1_000, APPROVAL)
    pages = lay_out(motion_of(*approvals(1), endless)).pages
    assert len(pages) > 1
    assert {box.question for box in pages[-1].boxes} == {"endless"}
    assert sum(line.text.count("字") for page in pages for line in page.lines) == 1_000


def test_a_ballot_says_how_many_may_be_chosen() -> None:
    texts = [
        line.text for page in lay_out(motion_of(election(3), options(), *approvals(1))).pages for line in page.lines
    ]
    assert "（最多选 3 人）" in texts
    assert texts.count("（只选一项）") == 1, "three short choices in a row need no hint"


@pytest.mark.parametrize(
    ("motion", "named"),
    [
        (motion_of(), "questions"),
        (motion_of(*approvals(1), *approvals(1)), "question ids"),
        (motion_of(PaperQuestion("q", "", APPROVAL)), "'q'"),
        (motion_of(PaperQuestion("q", "a\x00b", APPROVAL)), "control"),
        (motion_of(PaperQuestion("q", "one choice", APPROVAL[:1])), "choices"),
        (motion_of(PaperQuestion("q", "twice", (APPROVAL[0], APPROVAL[0]))), "choices of"),
        (motion_of(PaperQuestion("q", "none", APPROVAL, picks_max=0)), "picks_max"),
        (PaperMotion("title", approvals(1), CLOSE_MS, b"short"), "digest"),
        (PaperMotion("two\nlines", approvals(1), CLOSE_MS, bytes(32)), "title"),
    ],
)
def test_a_motion_that_cannot_be_printed_is_refused_by_name(motion: PaperMotion, named: str) -> None:
    with pytest.raises(PaperRefused) as caught:
        check_motion(motion)
    assert caught.value.fault is PaperFault.CONTENT_MALFORMED
    assert named in caught.value.message
