"""What each member signed lately, so that a contradiction is seen whenever its second half turns up.

Bounded: of each member the votes of the last heights, and its last VIEW-CHANGEs and NEW-VIEWs. All in here is verified.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from server.consensus.evidence import Evidence, accuse
from server.consensus.messages import Commit, NewView, Prepare, Signed, SignedBody, ViewChange

VOTES_KEPT = 256
"""PREPAREs and COMMITs of one member: those of more than a hundred heights when views do not change."""
VIEWS_KEPT = 16
_Place = tuple[str, int, int]
"""Type, view, and height where the type has one: an honest member makes one statement for each."""


class Statements:
    """Mutable. The memory of one replica."""

    __slots__ = ("_changes", "_new_views", "_votes")

    def __init__(self, members: tuple[str, ...]) -> None:
        self._votes: dict[str, dict[_Place, Signed[Any]]] = {member: {} for member in members}
        self._changes: dict[str, dict[_Place, Signed[Any]]] = {member: {} for member in members}
        self._new_views: dict[str, dict[_Place, Signed[Any]]] = {member: {} for member in members}

    def __len__(self) -> int:
        tables = (self._votes, self._changes, self._new_views)
        return sum(len(kept) for table in tables for kept in table.values())

    def knows(self, statement: Signed[Any]) -> bool:
        """Whether this very statement was noted."""
        kept = self._table(statement.body)[statement.body.sender].get(place_of(statement.body))
        return kept is not None and kept.raw == statement.raw

    def note(self, statement: Signed[Any]) -> Evidence | None:
        """Keep a verified statement of a member; the evidence that it makes together with another one, if any."""
        body = statement.body
        kept = self._table(body)[body.sender]
        for other in self._related(body):
            evidence = accuse(statement, other)
            if evidence is not None:
                return evidence
        kept.setdefault(place_of(body), statement)
        if len(kept) > (VOTES_KEPT if isinstance(body, Prepare | Commit) else VIEWS_KEPT):
            del kept[next(iter(kept))]
        return None

    def _table(self, body: SignedBody) -> dict[str, dict[_Place, Signed[Any]]]:
        if isinstance(body, Prepare | Commit):
            return self._votes
        return self._changes if isinstance(body, ViewChange) else self._new_views

    def _related(self, body: SignedBody) -> Iterator[Signed[Any]]:
        """Statements of the sender that this one may contradict."""
        votes, sender = self._votes[body.sender], body.sender
        if isinstance(body, Prepare | Commit):
            places = [(shape.__name__, body.view, body.height) for shape in (Prepare, Commit)]
            yield from (votes[place] for place in places if place in votes)
        if isinstance(body, Commit):
            yield from self._changes[sender].values()
        if isinstance(body, ViewChange):
            yield from (vote for vote in votes.values() if isinstance(vote.body, Commit))
        if isinstance(body, NewView):
            place = place_of(body)
            yield from (kept[place] for kept in (self._new_views[sender],) if place in kept)


def place_of(body: Any) -> _Place:
    """Where a member may say one thing only."""
    return type(body).__name__, body.view, body.height if isinstance(body, Prepare | Commit) else 0
