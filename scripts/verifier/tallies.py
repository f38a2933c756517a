"""The tallies of closed motions, counted anew: from the openings where they are at hand, else as far as ballots show.

A ballot is public in its head, and so in its weight; its choice is in an opening, which only the nodes and the voter
have. Without openings the sums by heads and area must be those of the ballots, and each choice's area must be that of
some ballots; which choice a ballot made is then NOT CHECKED.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import accumulate
from typing import Any

from verifier.ballots import Ballots
from verifier.encoding import Rejected, b64u, is_count, members, parse_canonical, sha256, unb64u
from verifier.law import ABSTAIN, Count, result_of, with_silent
from verifier.merkle import root_of
from verifier.motions import Ballot, Motion, Question
from verifier.report import Result
from verifier.seen import TALLY_KIND, Seen

SALT_BYTES = 16
OPENING_BYTES_MAX = 4_096


def parse_openings(text: str) -> dict[str, bytes]:
    """Openings by commitment, from a text with one in base64url a line; Rejected when a line is none."""
    openings: dict[str, bytes] = {}
    for number, line in enumerate(text.split(), 1):
        try:
            opening = unb64u(line, "openings")
        except Rejected as error:
            raise Rejected("openings", f"opening {number}: {error.detail}") from None
        if not SALT_BYTES < len(opening) <= OPENING_BYTES_MAX:
            raise Rejected("openings", f"opening {number} is no salt and value")
        openings[b64u(sha256(b"\x02", opening))] = opening
    return openings


class Tallies:
    """Every tally gives the totals of the ballots that counted; the result by law follows from it."""

    def __init__(self, ballots: Ballots, openings: Mapping[str, bytes]) -> None:
        self._ballots, self._openings = ballots, openings
        self._results: list[str] = []
        self._counted = self._opened = 0

    def see(self, seen: Seen) -> None:
        """Look at the next entry."""
        if seen.record is not None or seen.kind != TALLY_KIND:
            return
        motion = self._ballots.motions[seen.entry.system["key"]]  # else `ballots` has failed, and this with it
        said = seen.body("", "", "questions")["questions"]
        if len(said) != len(motion.questions):
            raise seen.reject(f"a tally of {len(said)} questions, the motion asks {len(motion.questions)}")
        for value, question in zip(said, motion.questions.values(), strict=True):
            try:
                self._check(value, motion, question, seen.entry.index)
            except Rejected as error:
                raise seen.reject(f"tally of {motion.id}, question {question.id}: {error.detail}") from None

    def conclude(self) -> tuple[Result, str]:
        """The result at the end."""
        if not self._results:
            return Result.OK, "no tallies in this log"
        said = f"{len(self._results)} questions counted, sums by heads and area are those of {self._counted} ballots"
        results = "".join(f"\n{result}" for result in self._results)
        if self._opened == self._counted:
            return Result.OK, f"{said}, choices recounted from all openings{results}"
        missing = self._counted - self._opened
        why = "openings are private: give those that you may see with --openings"
        return Result.NOT_CHECKED, f"{said}; the choices of {missing} ballots NOT CHECKED: {why}{results}"

    def _check(self, value: Any, motion: Motion, question: Question, index: int) -> None:
        totals, part, void, root = _parse_totals(value, question)
        silent = _check_silent(value, motion, question)
        ballots = [question.ballots[position] for position in sorted(question.ballots)]
        _compare_sums(part, void, ballots)
        _check_part(question, totals, part)
        opened = [ballot for ballot in ballots if ballot.commitment in self._openings]
        recounted, recounted_void = self._recount(question, opened)
        if len(opened) == len(ballots):
            _compare(totals | {"void": void}, recounted | {"void": recounted_void})
            if root != b64u(root_of(self._openings[ballot.commitment] for ballot in ballots)):
                raise Rejected("log", "the openings lead to another openings_root")
        else:
            _check_bounds(totals | {"void": void}, recounted | {"void": recounted_void}, opened, ballots)
        self._counted, self._opened = self._counted + len(ballots), self._opened + len(opened)
        electorate = Count(len(motion.roll.heads), motion.roll.area_cm2)
        result = result_of(motion.matter, electorate, totals, part, question.seats)
        shares = "; ".join(f"{choice} {total}" for choice, total in (totals | {"void": void}).items())
        said = f"entry {index}, question {question.id}: {result} by law, of {electorate}: {shares}"
        if motion.silence != "absent":
            silence = "participates" if question.seats else motion.silence
            deemed, deemed_part = with_silent(silence, totals, part, silent)
            result = result_of(motion.matter, electorate, deemed, deemed_part, question.seats)
            said += f"; with {silent} served and silent: {result}"
        self._results.append(said)

    def _recount(self, question: Question, opened: list[Ballot]) -> tuple[dict[str, Count], Count]:
        totals, void = dict.fromkeys(question.choices, Count()), Count()
        for ballot in opened:
            picked, weight = _picked(question, self._openings[ballot.commitment]), Count(1, ballot.area_cm2)
            if not picked:
                void = void.plus(weight)
            for choice in picked:
                totals[choice] = totals[choice].plus(weight)
        return totals, void


def _parse_totals(value: Any, question: Question) -> tuple[dict[str, Count], Count, Count, str]:
    said = members(value, "choices openings_root part question silent void", "log")
    if said["question"] != question.id or not isinstance(said["choices"], list):
        raise Rejected("log", "another question")
    choices = [members(one, "area_cm2 choice heads", "log") for one in said["choices"]]
    if [one["choice"] for one in choices] != question.choices:
        raise Rejected("log", "other choices than the motion's")
    part, void = (members(said[name], "area_cm2 heads", "log") for name in ("part", "void"))
    if not all(is_count(one[name]) for one in [*choices, part, void] for name in ("area_cm2", "heads")):
        raise Rejected("log", "a total is no count")
    totals = {one["choice"]: Count(one["heads"], one["area_cm2"]) for one in choices}
    counts = [Count(one["heads"], one["area_cm2"]) for one in (part, void)]
    return totals, counts[0], counts[1], str(said["openings_root"])


def _check_silent(value: Any, motion: Motion, question: Question) -> Count:
    """Who was served, with proof, and cast no ballot; nobody where silence counts as nothing."""
    said = members(value["silent"], "area_cm2 heads", "log")
    served = motion.served - question.ballots.keys() if motion.silence != "absent" else set()
    silent = Count(len(served), sum(motion.roll.heads[position].area_cm2 for position in served))
    if Count(said["heads"], said["area_cm2"]) != silent:
        raise Rejected("log", f"it says {said['heads']} heads were served and silent; the log says {silent}")
    return silent


def _compare_sums(part: Count, void: Count, ballots: list[Ballot]) -> None:
    said = part.plus(void)
    counted = Count(len(ballots), sum(ballot.area_cm2 for ballot in ballots))
    if said != counted:
        raise Rejected("log", f"it counts {said}; the ballots are {counted}")


def _check_part(question: Question, totals: dict[str, Count], part: Count) -> None:
    """Who took part is under one choice; in an election under as many as there are seats at most."""
    total = Count(sum(one.heads for one in totals.values()), sum(one.area_cm2 for one in totals.values()))
    times = max(1, question.seats)
    fits = part.heads <= total.heads <= times * part.heads and part.area_cm2 <= total.area_cm2 <= times * part.area_cm2
    if not fits or any(one.heads > part.heads or one.area_cm2 > part.area_cm2 for one in totals.values()):
        raise Rejected("log", f"the choices come to {total}, and {part} took part")


def _compare(said: dict[str, Count], counted: dict[str, Count]) -> None:
    for choice, total in said.items():
        if total != counted[choice]:
            raise Rejected("log", f"{choice}: it says {total}, the openings say {counted[choice]}")


def _check_bounds(said: dict[str, Count], known: dict[str, Count], opened: list[Ballot], ballots: list[Ballot]) -> None:
    """No choice has fewer than its opened ballots; the rest of its area is that of so many unopened ballots."""
    names = {ballot.record for ballot in opened}
    areas = sorted(ballot.area_cm2 for ballot in ballots if ballot.record not in names)
    least, most = list(accumulate(areas, initial=0)), list(accumulate(reversed(areas), initial=0))
    for choice, total in said.items():
        heads, area = total.heads - known[choice].heads, total.area_cm2 - known[choice].area_cm2
        if not 0 <= heads <= len(areas) or not least[heads] <= area <= most[heads]:
            raise Rejected("log", f"{choice}: no ballots come to {total}")


def _picked(question: Question, opening: bytes) -> list[str]:
    """What an opening picks of its question; nothing when it cannot be read or picks too much: the ballot is void."""
    try:
        value = parse_canonical(opening[SALT_BYTES:], "openings")
    except Rejected:
        return []
    most = max(1, question.seats)
    if not isinstance(value, list) or not 0 < len(value) <= most or len(value) != len(set(map(str, value))):
        return []
    allowed = [one for one in question.choices if one != ABSTAIN or len(value) == 1]
    return value if all(isinstance(one, str) and one in allowed for one in value) else []
