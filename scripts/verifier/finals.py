"""Results that became final without a member: not before their time, past a quorum's signatures, with the absent named.

What all members sign past is final by that; a result for which they were waited as long as the policy says goes on
with a quorum's lines (decisions 21). Evidence and seals are judged by `Seals`; here is kept what they mean for results.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from verifier.checkpoint import members_that_signed
from verifier.encoding import b64u, is_count
from verifier.report import Result
from verifier.seen import EVIDENCE_KIND, SEAL_KIND, TALLY_KIND, Seen
from verifier.succession import Era, era_of

if TYPE_CHECKING:
    from verifier.invariants import GrowingTree, Sample

FINAL_WITHOUT_KIND, MOTION_KIND = "motion.final_without", "motion.propose"


@dataclass
class Waiting:
    """Mutable. A motion that is not final: how long all are waited for, and where its tally stands."""

    patience_ms: int
    tally_index: int | None = None
    tally_ms: int = 0


class Finals:
    """Every result that is final without somebody waited as long as the policy at its opening says, and no shorter."""

    def __init__(self, eras: list[Era], tree: GrowingTree, sample: Sample) -> None:
        self._eras, self._tree, self._sample = eras, tree, sample
        self._waiting: dict[str, Waiting] = {}
        self._barred: set[str] = set()
        self._told: list[str] = []

    def see(self, seen: Seen) -> None:
        """Look at the next entry."""
        if seen.record is not None:
            if seen.kind == MOTION_KIND and seen.is_accepted:
                numbers = era_of(self._eras, seen.entry.index).genesis.numbers
                self._waiting[seen.record.id] = Waiting(numbers.final_without_ms)
        elif seen.kind == TALLY_KIND:
            self._tally(seen)
        elif seen.kind == EVIDENCE_KIND:
            self._barred.add(str(seen.entry.system["body"].get("culprit")))
        elif seen.kind == SEAL_KIND:
            self._seal(seen.entry.system["body"].get("size"))
        elif seen.kind == FINAL_WITHOUT_KIND:
            self._finish(seen)

    def _tally(self, seen: Seen) -> None:
        waiting = self._waiting.get(seen.entry.system["key"])
        if waiting is not None:  # else `ballots` has failed
            waiting.tally_index, waiting.tally_ms = seen.entry.index, seen.entry.time_ms

    def _seal(self, size: Any) -> None:
        for motion, waiting in list(self._waiting.items()):
            if waiting.tally_index is not None and is_count(size) and size > waiting.tally_index:
                del self._waiting[motion]

    def _finish(self, seen: Seen) -> None:
        body = seen.body("root", "size", "absent signatures")
        motion = seen.entry.system["key"]
        waiting, root = self._waiting.pop(motion, None), self._tree.roots.get(body["size"])
        if waiting is None or waiting.tally_index is None:
            raise seen.reject(f"motion {motion} is not tallied, or was final before")
        if body["size"] <= waiting.tally_index or seen.entry.time_ms < waiting.tally_ms + waiting.patience_ms:
            raise seen.reject(f"motion {motion} is final without somebody before its time")
        if root is None or body["root"] != b64u(root):
            raise seen.reject("under a root that the log never had")
        if not all(isinstance(one, str) for one in [*body["signatures"], *body["absent"]]):
            raise seen.reject("lines and the absent are texts")
        barred = frozenset(self._barred)
        self._sample.offer(lambda: self._check(seen, body, root, barred))
        self._told.append(f"motion {motion} is final without {', '.join(body['absent'])}")

    def _check(self, seen: Seen, body: dict[str, Any], root: bytes, barred: frozenset[str]) -> None:
        era = era_of(self._eras, body["size"])
        witnesses, given = era.policy.witnesses, [line for line in body["signatures"] if line]
        signed = members_that_signed(era.genesis.origin, body["size"], root, given, witnesses)
        quorum, _ = era.policy.groups["committed"]
        if len(signed) < quorum or len(signed) != len(given):
            raise seen.reject(f"final under the signatures of {', '.join(sorted(signed)) or 'nobody'} only")
        if set(body["absent"]) != witnesses.keys() - signed - barred:
            raise seen.reject("it names others than those who had not signed")

    def conclude(self) -> tuple[Result, str]:
        """The result at the end."""
        if not self._told:
            return Result.OK, "no result is final without a member"
        told = "".join(f"\n{one}" for one in self._told)
        return Result.OK, f"{self._sample.settle()} signed by a quorum after their time{told}"
