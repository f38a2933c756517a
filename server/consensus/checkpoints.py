"""Cosignatures: who signed which block boundary. A quorum makes it committed, all members make it sealed.

The table keeps, of each member, the newest lines only; a line at a size that is no boundary of the own chain waits
until it is one. It knows nothing of votes or views.
"""

from __future__ import annotations

from dataclasses import dataclass

from server.consensus.config import BOUNDARIES_KEPT_MAX, LINES_KEPT_MAX, Config
from server.consensus.effects import PublishCheckpoint
from server.consensus.events import Agenda
from server.consensus.restored import Boundary


@dataclass(frozen=True, slots=True)
class Line:
    """A member's verified cosignature of (size, root)."""

    size: int
    root: bytes
    text: str


class Checkpoints:
    """Mutable. Own boundaries and everybody's lines, both bounded."""

    __slots__ = ("_boundaries", "_config", "_lines", "_published", "agenda", "committed_size", "sealed_size")

    def __init__(self, config: Config) -> None:
        self._config = config
        self._boundaries: dict[int, Boundary] = {}
        self._lines: dict[str, dict[int, Line]] = {member: {} for member in config.members}
        self._published: dict[int, int] = {}
        self.committed_size = 0
        self.sealed_size = 0
        self.agenda = Agenda()
        """What the state waits for: it says whose signatures a seal does not need (decisions 21)."""

    def extend(self, boundary: Boundary) -> list[PublishCheckpoint]:
        """The own chain has a new boundary. Returns what is now to be published."""
        self._boundaries[boundary.size] = boundary
        if len(self._boundaries) > BOUNDARIES_KEPT_MAX:
            oldest = next(iter(self._boundaries))
            del self._boundaries[oldest]
            self._published.pop(oldest, None)
        return self._publish(boundary.size)

    def holds(self, member: str, size: int) -> bool:
        """Whether `member`'s line at this size is here, or it would not be kept."""
        lines = self._lines[member]
        return size in lines or (len(lines) >= LINES_KEPT_MAX and size < min(lines))

    def line(self, member: str, size: int) -> Line | None:
        """The member's line at this size, if it is kept."""
        return self._lines.get(member, {}).get(size)

    def note(self, member: str, line: Line) -> list[PublishCheckpoint]:
        """Keep a verified line. Returns what is now to be published."""
        lines = self._lines[member]
        lines[line.size] = line
        if len(lines) > LINES_KEPT_MAX:
            del lines[min(lines)]
        return self._publish(line.size)

    def newest(self, member: str) -> Line | None:
        """The member's line of the greatest size."""
        lines = self._lines[member]
        return lines[max(lines)] if lines else None

    @property
    def lines_kept(self) -> int:
        """How many lines are in memory."""
        return sum(map(len, self._lines.values()))

    def agreeing(self, size: int, root: bytes) -> list[str]:
        """Members whose line at `size` has this root, in order."""
        return [member for member, lines in self._lines.items() if size in lines and lines[size].root == root]

    def contradicted(self, size: int) -> bool:
        """Whether a quorum of others cosigned, at an own boundary, one root that is not the own."""
        boundary = self._boundaries.get(size)
        if boundary is None:
            return False
        others = [lines[size].root for lines in self._lines.values() if size in lines]
        return any(others.count(root) >= self._config.quorum for root in others if root != boundary.root)

    def is_own(self, size: int, root: bytes) -> bool:
        """Whether the own log had this root at this size, as far as its boundaries are remembered."""
        boundary = self._boundaries.get(size)
        return boundary is not None and boundary.root == root

    def height_of(self, size: int) -> int:
        """Height of the own block that ends at this size, or 0 when it is none or forgotten."""
        boundary = self._boundaries.get(size)
        return boundary.height if boundary else 0

    def _publish(self, size: int) -> list[PublishCheckpoint]:
        boundary = self._boundaries.get(size)
        if boundary is None or size < max(self.sealed_size, self._config.first_size):
            return []
        lines = tuple(
            (member, found[size].text)
            for member, found in self._lines.items()
            if size in found and found[size].root == boundary.root
        )
        if len(lines) < self._config.quorum or len(lines) <= self._published.get(size, 0):
            return []
        self._published[size] = len(lines)
        signed = {*dict(lines), *self.agenda.excused(size)}
        sealed = all(member in signed for member in self._config.members)
        self.committed_size = max(self.committed_size, size)
        if sealed:
            self.sealed_size = size
        return [PublishCheckpoint(size, boundary.root, lines, sealed)]
