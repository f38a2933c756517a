"""An entry of the log as the invariants see it, and what an invariant is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from verifier.encoding import Rejected, is_count, members
from verifier.record import ACCEPTED, Entry, Record
from verifier.report import Result

LEAF_KIND, SEAL_KIND, TALLY_KIND, EVIDENCE_KIND = "block.leaf", "seal", "motion.tally", "evidence"
RETIRED_KIND = "evidence.retired_key"
COMMON_REFUSALS = frozenset(
    {"nonce_conflict", "expired", "not_yet_valid", "device_unknown", "device_revoked", "role_missing"}
)
"""Refusals that come before a kind's own rule (decided by who signed and when)."""


@dataclass(frozen=True)
class Seen:
    """An entry of the log: its bytes, what they say, and the record for an entry that has one."""

    data: bytes
    entry: Entry
    record: Record | None

    @property
    def kind(self) -> str:
        """Kind of the record or of the derived entry."""
        return self.record.kind if self.record else str(self.entry.system["kind"])

    @property
    def is_leaf(self) -> bool:
        """Whether a block ends here."""
        return self.record is None and self.kind == LEAF_KIND

    @property
    def is_accepted(self) -> bool:
        """Whether a record stands here that took effect."""
        return self.record is not None and self.entry.outcome == ACCEPTED

    def reject(self, text: str) -> Rejected:
        """A violation at this entry."""
        return Rejected("log", f"entry {self.entry.index}: {text}")

    def body(self, texts: str, counts: str = "", lists: str = "") -> dict[str, Any]:
        """The body of the record or the derived entry: exactly these members, of these types; Rejected otherwise."""
        value = self.record.payload["body"] if self.record else self.entry.system["body"]
        try:
            members(value, f"{texts} {counts} {lists}", "log")
        except Rejected as error:
            raise self.reject(f"{self.kind}: {error.detail}") from None
        is_typed = all(isinstance(value[name], str) for name in texts.split())
        is_typed = is_typed and all(is_count(value[name]) for name in counts.split())
        if not (is_typed and all(isinstance(value[name], list) for name in lists.split())):
            raise self.reject(f"{self.kind}: a member has another type")
        return dict(value)


class Invariant(Protocol):
    """One thing that must hold."""

    def see(self, seen: Seen) -> None:
        """Look at the next entry; raise Rejected when it breaks the invariant."""

    def conclude(self) -> tuple[Result, str]:
        """The result at the end; may raise Rejected as well."""
