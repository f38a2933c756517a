"""What a rule pack says, and by which clause. Data, no rules.

A pack in use never changes: a changed law is a new version. Texts are the statute's own words where they were at hand;
a text that only gives its sense says so, and what no statute says is our own choice and marked so.
"""

from __future__ import annotations

import enum
from typing import Generic, TypeVar

import msgspec

from server.domain.law.majority import Majority
from server.domain.law.share import Rounding

T = TypeVar("T")


class Source(enum.Enum):
    """How sure a citation is."""

    LAW = "law"
    """The text of the statute was read."""
    QUOTED = "quoted"
    """A page that quotes it."""
    MEMORY = "memory"
    """Not looked up."""
    DESIGN = "design"
    """No statute says it; we had to choose."""


class Clause(msgspec.Struct, frozen=True):
    """A citation: the article, and its words or their sense."""

    article: str
    text: str
    is_quoted: bool = True
    source: Source = Source.LAW


class Cited(msgspec.Struct, Generic[T], frozen=True):
    """A value, and the clause that it comes from."""

    value: T
    clause: Clause


class Electorate(enum.Enum):
    """Whose heads and area are counted against."""

    ESTATE = "estate"
    """All owners of the estate."""
    PART = "part"
    """The owners who share a part: one building, one lift (Shanghai art. 69)."""
    INTERESTED = "interested"
    """The owners with an interest, those of the same building at least (Civil Code 279; interpretation art. 11)."""


class Matter(msgspec.Struct, frozen=True):
    """A kind of decision, and the clause that governs it."""

    id: str
    name_zh: str
    name_en: str
    majority: Majority
    clause: Clause
    electorate: Electorate = Electorate.ESTATE
    free_choices: bool = False
    """May the question offer its own options (always with `abstain`) instead of for, against and abstain?"""
    is_election: bool = False
    """May the question have seats, for which voters approve of candidates?"""
    documents: tuple[str, ...] = ()
    """What owners should be shown before they decide: budget, contract, quotes."""


class Window(msgspec.Struct, frozen=True):
    """How long voting may be open, in days; 0: the law says nothing."""

    days_min: int = 0
    days_max: int = 0


class Proxies(msgspec.Struct, frozen=True):
    """Mandates: how many one person may hold at most (0: the law says nothing, the rules of procedure do)."""

    held_max: int = 0
    staff_banned: bool = False


class Electronic(enum.Enum):
    """Voting by phone."""

    AGREED = "agreed"
    """The rules of procedure must allow it (Electronic signature law art. 3)."""
    CITY_SYSTEM = "city_system"
    """Only the city's own system counts: what is voted here must be carried over to it."""
    DEFAULT = "default"
    """It is the usual way; paper on request."""


class RulePack(msgspec.Struct, frozen=True):
    """The rules of one jurisdiction, as of `version` (a date)."""

    id: str
    version: str
    name_zh: str
    name_en: str
    quorum: Clause
    ordinary: Clause
    special: Clause
    matters: tuple[Matter, ...]
    notice_days: Cited[int]
    window: Cited[Window]
    proxies: Cited[Proxies]
    electronic: Cited[Electronic]
    silence: Clause
    garages: Clause
    publication_days: Cited[int]
    objection_days_min: Cited[int]
    keeping: Clause
    committee: Clause
    change_over: Clause
    emergencies: Cited[tuple[str, ...]]
    rounding: Cited[Rounding]
    void_takes_part: Cited[bool]
    is_binding: bool = True
    """A rehearsal has no legal effect, and needs no rules of procedure."""

    @property
    def reference(self) -> str:
        """What a motion names: `shanghai@2020-12-30`."""
        return f"{self.id}@{self.version}"

    def matter(self, matter_id: str) -> Matter | None:
        """The matter with this id."""
        return next((matter for matter in self.matters if matter.id == matter_id), None)
