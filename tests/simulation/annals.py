"""The epochs of one run as the first honest node to reach each of them saw it: what oracles count votes by.

Quorums are written down here, never computed (consensus.md 1.1).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

QUORUMS = {1: 1, 2: 2, 3: 2, 4: 3, 5: 4, 6: 4, 7: 5}


@dataclass(frozen=True, slots=True)
class Seen:
    """An epoch: the secret that each member signs with, and where it begins."""

    number: int
    secrets: Mapping[str, str]
    first_height: int = 1
    first_size: int = 0

    @property
    def members(self) -> tuple[str, ...]:
        """In their order."""
        return tuple(sorted(self.secrets))


class Annals:
    """Mutable. Grows by one epoch at a time."""

    def __init__(self, members: Sequence[str], *, strict: bool = False) -> None:
        self.epochs = [Seen(0, {member: member for member in members})]
        self._strict = strict

    def note(self, seen: Seen, *, at_one_place: bool = True) -> str:
        """An honest node has come to this epoch. Returns a complaint, if another one was here otherwise.

        Where the block that ends an epoch was forked it begins at two places, with the same members.
        """
        if seen.number == len(self.epochs):
            self.epochs.append(seen)
        known = self.epochs[seen.number] if seen.number < len(self.epochs) else None
        is_same = known == seen or (known is not None and not at_one_place and known.secrets == seen.secrets)
        return "" if is_same else f"epoch {seen.number} begins as {seen}, elsewhere as {known}"

    def was_member(self, member: str, before: int) -> bool:
        """Whether it was in any epoch before this one."""
        return any(member in seen.secrets for seen in self.epochs[:before])

    def secret(self, member: str, epoch: int) -> str | None:
        """What the member signs with; None for who is no member then."""
        return self.epochs[epoch].secrets.get(member) if 0 <= epoch < len(self.epochs) else None

    def of_size(self, size: int) -> Seen:
        """Whose members sign trees of this size."""
        return next(seen for seen in reversed(self.epochs) if seen.first_size <= size)

    def quorum(self, seen: Seen) -> int:
        """How many of its members decide."""
        return len(seen.secrets) if self._strict else QUORUMS[len(seen.secrets)]
