"""What stands on paper: a motion's questions, an estate, ballots. Plain values; knows neither fonts nor places.

Everything is checked here once, so that printing cannot fail in the middle of a batch.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum

DIGEST_BYTES = 32
FINGERPRINT = re.compile(r"[0-9A-Za-z_-]{16}")
SERIAL = re.compile(r"[0-9A-Z]{4,10}")
"""Upper case and digits keep QR codes small; ten fit a corner code of version 1."""
VOTING_CODE = re.compile(r"[23456789ABCDEFGHJKMNPQRSTUVWXYZ]{10}")
"""No 0 and O, 1, I and L: what a neighbour reads to somebody over the phone must not be ambiguous (decisions 20)."""
QUESTIONS_MAX = 20
CHOICES_MAX = 12
BALLOTS_MAX = 1_000
"""Of one file: half a minute of work, some 30 MB. Larger estates are printed building by building."""
TEXT_MAX = 1_000
LINE_MAX = 200
CHINA = timezone(timedelta(hours=8))
"""The law's days end by this clock, wherever the machine stands; China has no summer time."""


class PaperFault(StrEnum):
    """Why something cannot be printed: a stable code."""

    CONTENT_MALFORMED = "paper_content_malformed"
    """A text, number or code is not of its form; the message names it."""
    CHOICES_TOO_LONG = "paper_choices_too_long"
    """The choices of one question do not fit one page, and must not be torn apart."""
    CHARACTER_MISSING = "paper_character_missing"
    """The font has no such character; the message names those it lacks."""
    FONT_MISSING = "paper_font_missing"
    """No Noto Sans CJK on this machine; the message says how it is installed."""


class PaperRefused(Exception):
    """Something that is not printed: `fault` says why in a word, the message in a sentence."""

    def __init__(self, fault: PaperFault, message: str) -> None:
        super().__init__(fault, message)
        self.fault = fault
        self.message = message

    def __str__(self) -> str:
        return f"{self.fault}: {self.message}"


@dataclass(frozen=True, slots=True)
class PaperChoice:
    """What a voter can mark. A choice that stands `alone`, as abstaining does, goes with no other."""

    id: str
    text: str
    alone: bool = False


@dataclass(frozen=True, slots=True)
class PaperQuestion:
    """One question; at most `picks_max` choices may be marked. `people` says that they are candidates (人, not 项)."""

    id: str
    text: str
    choices: tuple[PaperChoice, ...]
    picks_max: int = 1
    people: bool = False


@dataclass(frozen=True, slots=True)
class PaperMotion:
    """A motion as it is printed. `digest` (32 bytes) names the motion with its questions; `close_ms` is UTC."""

    title: str
    questions: tuple[PaperQuestion, ...]
    close_ms: int
    digest: bytes


@dataclass(frozen=True, slots=True)
class PaperEstate:
    """Whose ballots these are. `fingerprint`: 16 characters of the genesis fingerprint (decisions 25)."""

    name: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class PaperBallot:
    """One printed ballot: for the head at `position` of the frozen roll, whose areas sum up to `area_cm2`.

    `unit` is the home it is brought to. `voting_code` is printed by `slips`, never on the ballot itself; empty: none.
    """

    serial: str
    unit: str
    names: tuple[str, ...]
    area_cm2: int
    position: int
    voting_code: str = ""


def check_motion(motion: PaperMotion) -> None:
    """Raises PaperRefused unless every text, id and number of the motion can be printed and read back."""
    _check_line(motion.title, "title")
    _demand(len(motion.digest) == DIGEST_BYTES, "digest: 32 bytes")
    _demand(0 < motion.close_ms < 2**53, "close_ms: milliseconds of UTC")
    _demand(1 <= len(motion.questions) <= QUESTIONS_MAX, f"questions: 1 to {QUESTIONS_MAX}")
    _check_unique([question.id for question in motion.questions], "question ids")
    for question in motion.questions:
        _check_question(question)


def check_estate(estate: PaperEstate) -> None:
    """Raises PaperRefused unless the estate has a name of one line and a fingerprint of 16 characters."""
    _check_line(estate.name, "estate name")
    _demand(FINGERPRINT.fullmatch(estate.fingerprint) is not None, "fingerprint: 16 characters of base64url")


def check_ballots(ballots: tuple[PaperBallot, ...]) -> None:
    """Raises PaperRefused unless there are 1 to BALLOTS_MAX ballots, of different serials."""
    _demand(1 <= len(ballots) <= BALLOTS_MAX, f"ballots: 1 to {BALLOTS_MAX} in one file")
    for ballot in ballots:
        _demand(SERIAL.fullmatch(ballot.serial) is not None, f"serial {ballot.serial!r}: 4 to 10 of 0-9, A-Z")
        _check_line(ballot.unit, f"unit of {ballot.serial}")
        _demand(bool(ballot.names), f"names of {ballot.serial}: at least one")
        for name in ballot.names:
            _check_line(name, f"name on {ballot.serial}")
        _demand(ballot.area_cm2 >= 0 and ballot.position >= 0, f"area and position of {ballot.serial}: not negative")
        fits = not ballot.voting_code or VOTING_CODE.fullmatch(ballot.voting_code) is not None
        _demand(fits, f"voting code of {ballot.serial}: 10 characters without 0, O, 1, I, L")
    _check_unique([ballot.serial for ballot in ballots], "serials")


def format_area(area_cm2: int) -> str:
    """An area in square metres, exact, with at least two decimals: 983500 -> '98.35 平方米'."""
    metres, rest = divmod(area_cm2, 10_000)
    decimals = f"{rest:04d}".rstrip("0").ljust(2, "0")
    return f"{metres}.{decimals} 平方米"


def format_time(time_ms: int) -> str:
    """A time as people in China read it: '2026年12月8日 18:00'."""
    local = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=time_ms)).astimezone(CHINA)
    return f"{local.year}年{local.month}月{local.day}日 {local:%H:%M}"


def group_by_four(text: str) -> str:
    """'ABCDEFGH' -> 'ABCD EFGH'."""
    return " ".join(text[start : start + 4] for start in range(0, len(text), 4))


def _check_question(question: PaperQuestion) -> None:
    name = f"question {question.id!r}"
    _demand(bool(question.id), "question ids: not empty")
    _demand(0 < len(question.text.strip()) <= TEXT_MAX, f"{name}: a text of 1 to {TEXT_MAX} characters")
    _demand(all(letter == "\n" or letter.isprintable() for letter in question.text), f"{name}: a control character")
    _demand(2 <= len(question.choices) <= CHOICES_MAX, f"{name}: 2 to {CHOICES_MAX} choices")
    _demand(1 <= question.picks_max <= len(question.choices), f"{name}: picks_max fits the choices")
    _check_unique([choice.id for choice in question.choices], f"choices of {name}")
    for choice in question.choices:
        _demand(bool(choice.id), f"{name}: ids are not empty")
        _check_line(choice.text, f"choice {choice.id!r} of {name}")


def _check_line(text: str, name: str) -> None:
    _demand(0 < len(text.strip()) <= LINE_MAX and text.isprintable(), f"{name}: one line of 1 to {LINE_MAX} characters")


def _check_unique(values: list[str], name: str) -> None:
    _demand(len(set(values)) == len(values), f"{name}: each once")


def _demand(holds: bool, message: str) -> None:
    if not holds:
        raise PaperRefused(PaperFault.CONTENT_MALFORMED, message)
