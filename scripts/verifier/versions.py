"""Which version of the rules each block is of, and where this program's knowledge of them ends.

The log says it twice: officers of as many organisations as the policy in force asks for have signed that the next
version begins at a height, and every block's leaf names its version. What records mean under a version that is not
known here is NOT CHECKED, and never guessed: shape, chain, signatures and seals are the same in all of them.
"""

from __future__ import annotations

from verifier.offices import Offices
from verifier.report import Result
from verifier.seen import Seen

KNOWN = 1
"""The newest version whose rules this program knows."""
ACTIVATE_KIND = "rules.activate"


class Versions:
    """Every block is of the version that officers have had begin by then; no other."""

    def __init__(self, offices: Offices) -> None:
        """`offices`: has seen every entry before it is shown here."""
        self._offices = offices
        self._signed: dict[tuple[int, int], set[str]] = {}
        self._begins: list[int] = [1]
        """The first height of each version, from version 1 on."""
        self._is_lost = False
        """Officers have signed under rules that are not known here: which version follows cannot be told."""

    def see(self, seen: Seen) -> None:
        """Look at the next entry."""
        if seen.record is not None and seen.is_accepted and seen.kind == ACTIVATE_KIND:
            if self.at(seen) > KNOWN:
                self._is_lost = True
            else:
                self._note(seen, seen.record.author)
        elif seen.is_leaf and not self._is_lost:
            said, due = seen.body("block_id entries_root prev proposer state_digest", "epoch rules"), self.at(seen)
            if said["rules"] != due:
                raise seen.reject(f"block {seen.entry.height} is of rules {said['rules']}, rules {due} are in force")

    def at(self, seen: Seen) -> int:
        """The version in force at an entry's height, or a later one where that cannot be told."""
        return sum(begin <= seen.entry.height for begin in self._begins)

    def conclude(self) -> tuple[Result, str]:
        """The result at the end."""
        later = [f"rules {version} from block {begin} on" for version, begin in enumerate(self._begins, 1)][1:]
        said = ", ".join(["rules 1", *later])
        if self._is_lost:
            return Result.NOT_CHECKED, f"{said}; what officers signed under rules {len(self._begins)} is not known here"
        return Result.OK, said

    def _note(self, seen: Seen, author: str) -> None:
        """A signature of an officer; with enough organisations the version has a height."""
        body = seen.body("", "height version")
        height, version, organisation = body["height"], body["version"], self._offices.speaks_for(author)
        if not organisation:
            raise seen.reject("an activation that no officer of an organisation signed")
        if version != len(self._begins) + 1 or self._begins[-1] > seen.entry.height or height <= seen.entry.height:
            raise seen.reject(f"an activation of rules {version} at block {height} that had to be refused")
        signed = self._signed.setdefault((version, height), set())
        if organisation in signed:
            raise seen.reject(f"{organisation} has signed this activation before")
        signed.add(organisation)
        if len(signed) >= self._offices.approvals:
            self._begins.append(height)
