"""Rolls of owners as the log publishes them: heads in parts, their root, and the organisations that confirmed it.

A head's leaf is a salted hash of names and homes, which stay private: that the right people stand on a roll is what two
organisations sign, and not something that a log shows.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from verifier.encoding import HASH_BYTES, Rejected, b64u, canonical, is_count, members, unb64u
from verifier.genesis import Genesis
from verifier.merkle import Tree, leaf_hash
from verifier.report import Result
from verifier.seen import Seen

PUBLISH_KIND, CONFIRM_KIND = "roll.publish", "roll.confirm"


@dataclass(frozen=True)
class Head:
    """One head: the members who may cast its ballot, and its area."""

    members: tuple[str, ...]
    area_cm2: int
    data: bytes


@dataclass
class Roll:
    """Mutable. A roll in the making, or whole."""

    root: str
    parts: int
    parts_published: int = 0
    heads: list[Head] = field(default_factory=list)
    tree: Tree = field(default_factory=Tree)
    confirmed_by: set[str] = field(default_factory=set)

    @property
    def is_whole(self) -> bool:
        """Whether all parts are there."""
        return self.parts_published == self.parts

    @property
    def area_cm2(self) -> int:
        """The area of all heads."""
        return sum(head.area_cm2 for head in self.heads)


class Rolls:
    """Every part that was accepted continues its roll, a whole roll has the root that was confirmed."""

    def __init__(self, genesis: Genesis) -> None:
        self._genesis = genesis
        self._rolls: dict[str, Roll] = {}

    def see(self, seen: Seen) -> None:
        """Look at the next entry."""
        if seen.is_accepted and seen.kind == PUBLISH_KIND:
            self._publish(seen)
        elif seen.is_accepted and seen.kind == CONFIRM_KIND:
            self._confirm(seen)

    def conclude(self) -> tuple[Result, str]:
        """The result at the end."""
        rolls = [name for name in self._rolls if self.in_force(name)]
        heads = sum(len(self._rolls[name].heads) for name in rolls)
        return Result.OK, f"{len(rolls)} rolls in force with {heads} heads, each with the root that was confirmed"

    def find(self, name: str) -> Roll | None:
        """A roll by its name."""
        return self._rolls.get(name)

    def in_force(self, name: str) -> bool:
        """Whether as many organisations as genesis asks for have signed the roll's root."""
        roll = self._rolls.get(name)
        return roll is not None and roll.is_whole and len(roll.confirmed_by) >= self._genesis.numbers.approvals

    def _publish(self, seen: Seen) -> None:
        body = seen.body("roll root", "part parts position", "heads")
        roll = self._rolls.setdefault(body["roll"], Roll(body["root"], body["parts"]))
        if (body["root"], body["parts"]) != (roll.root, roll.parts) or roll.is_whole:
            raise seen.reject(f"another root or number of parts than roll {body['roll']} began with")
        if (body["part"], body["position"]) != (roll.parts_published, len(roll.heads)):
            raise seen.reject(f"part {roll.parts_published} of roll {body['roll']} was due")
        for head in heads_of(seen):
            roll.heads.append(head)
            roll.tree.append(leaf_hash(head.data))
        roll.parts_published += 1
        if roll.parts_published < roll.parts:
            return
        if b64u(roll.tree.root()) != roll.root:
            raise seen.reject(f"the heads of roll {body['roll']} lead to another root")
        roll.confirmed_by.add(self._organisation(seen))

    def _confirm(self, seen: Seen) -> None:
        body = seen.body("roll root")
        roll = self._rolls.get(body["roll"])
        if roll is None or not roll.is_whole or roll.root != body["root"]:
            raise seen.reject(f"confirms a root that roll {body['roll']} does not have")
        organisation = self._organisation(seen)
        if organisation in roll.confirmed_by:
            raise seen.reject(f"{organisation} confirmed roll {body['roll']} before")
        roll.confirmed_by.add(organisation)

    def _organisation(self, seen: Seen) -> str:
        author = seen.record.author if seen.record else ""
        if author not in self._genesis.organisations:
            raise seen.reject(f"{author} is no officer of an organisation")
        return self._genesis.organisations[author]


def heads_of(seen: Seen) -> list[Head]:
    """The heads of a published part; Rejected when one has another form."""
    return [_parse_head(value) for value in seen.body("roll root", "part parts position", "heads")["heads"]]


def _parse_head(value: Any) -> Head:
    head = members(value, "area_cm2 leaf members", "log")
    unb64u(head["leaf"], "log", HASH_BYTES)
    named = head["members"]
    if not isinstance(named, list) or not named or not all(isinstance(member, str) for member in named):
        raise Rejected("log", "a head without members")
    if not is_count(head["area_cm2"]):
        raise Rejected("log", "a head without an area")
    return Head(tuple(named), head["area_cm2"], canonical(head))
