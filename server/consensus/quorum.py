"""The only arithmetic on n (consensus.md 1.1): quorums and the rotation of primaries. It must not know messages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Mode = Literal["available", "strict"]


@dataclass(frozen=True, slots=True)
class Quorum:
    """How many of `n` distinct members decide.

    n=3: quorum 2, weak quorum 2, no liar tolerated; n=4: 3 and 2, one liar; n=7: 5 and 3, two liars. `strict` asks for
    everybody: it stops rather than forks, whoever lies.
    """

    n: int
    mode: Mode = "available"

    @property
    def f(self) -> int:
        """Liars among whom agreement still holds: PBFT 1, n >= 3f+1."""
        return (self.n - 1) // 3

    @property
    def quorum(self) -> int:
        """Members whose signatures prepare, commit, suspect or change a view. Two quorums share 2q-n > f members."""
        return self.n if self.mode == "strict" else (self.n + self.f) // 2 + 1

    @property
    def weak(self) -> int:
        """n-q+1: at least one member of every quorum. It stands where papers write f+1, which is 1 at n=3."""
        return self.n - self.quorum + 1


def primary_of(members: Sequence[str], view: int, barred: Sequence[str] = ()) -> str:
    """The primary of a view: members in their order, by view (PBFT 4: p = v mod n); a barred one's turn is the next's.

    When all are barred, none is.
    """
    turns = [members[(view + turn) % len(members)] for turn in range(len(members))]
    return next((member for member in turns if member not in barred), turns[0])
