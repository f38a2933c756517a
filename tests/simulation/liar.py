"""A primary that lies about batches: it proposes what no honest node would, in every way that `check` must notice."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from random import Random

from server.consensus.effects import PublishCheckpoint
from server.domain.agenda import Timer, due_item, due_order
from server.domain.motion import TALLY
from server.domain.state_root import TellStateRoot
from server.domain.tally import FinalizeWithout
from server.ledger.block import Derived, Header
from server.record.canonical import b64u_encode, encode
from tests.simulation.application import SignedCheckpoints
from tests.simulation.domain import DomainApplication
from tests.simulation.estate import Neighbourhood
from tests.simulation.phones import Phones

LIES = 0.8
"""How often a batch is a lie."""
HALF = 0.5


class LyingApplication(DomainApplication):
    """Mutable. Behaves like any node, but for what it builds; and it finds every proposal good."""

    def __init__(
        self, home: Neighbourhood, genesis_digest: str, address: str, held: Mapping[str, bytes], phones: Phones
    ) -> None:
        super().__init__(home, genesis_digest, address, held)
        self._phones = phones
        self._random = Random(f"{address} lies")
        self._time_ms = 0
        self._signed = SignedCheckpoints(None, None)

    def check(self, header: Header, items: Sequence[bytes]) -> bool:
        """A liar votes for everything."""
        return True

    def build(self, time_ms: int, pending: Iterable[bytes], signed: SignedCheckpoints) -> list[bytes]:
        """An honest batch, or a lie about it."""
        items, self._signed = super().build(time_ms, pending, signed), signed
        if self._random.random() >= LIES:
            return items
        self._time_ms = time_ms
        if any(map(_is_tally, items)):
            return self._random.choice((self._miscount, self._leave_out_timers))(items)
        if any(map(_is_state_root, items)):
            return self._random.choice((self._tell_another_state, self._leave_out_state))(items)
        return self._random.choice(_LIES)(self, items)

    def _leave_out_state(self, items: list[bytes]) -> list[bytes]:
        return [item for item in items if not _is_state_root(item)]

    def _tell_another_state(self, items: list[bytes]) -> list[bytes]:
        """A state with a row more."""
        told = [json.loads(item) if _is_state_root(item) else item for item in items]
        for item in told:
            if isinstance(item, dict):
                item["body"]["rows"] += 1
        return [encode(item) if isinstance(item, dict) else item for item in told]

    def _add_forgery(self, items: list[bytes]) -> list[bytes]:
        return [*items, *self._random.sample(self._phones.forged, min(1, len(self._phones.forged)))]

    def _order_again(self, items: list[bytes]) -> list[bytes]:
        past = [record for record in self._phones.records if self.record_id(record) in self.ledger.done]
        return [*items, *self._random.sample(past, min(2, len(past)))]

    def _repeat(self, items: list[bytes]) -> list[bytes]:
        return [*items, *items[-1:]]

    def _turn_round(self, items: list[bytes]) -> list[bytes]:
        return items[::-1]

    def _leave_out_timers(self, items: list[bytes]) -> list[bytes]:
        return [item for item in items if not _is_timer(item)]

    def _ring_early(self, items: list[bytes]) -> list[bytes]:
        """Put a timer into the batch that is not due yet, as a tally before the close, or that has rung."""
        coming = [row for row in self.ledger.all(Timer) if isinstance(row, Timer) and row.due_ms > self._time_ms]
        rung = [row for row in self.ledger.all(Timer) if isinstance(row, Timer) and row.done]
        wrong = [*sorted(coming, key=due_order), *rung]
        known = [timer for timer in wrong if timer.kind != TALLY or self._can_count(timer.key)]
        records = [item for item in items if not item.startswith(b"{")]
        derived = [item for item in items if item.startswith(b"{")]
        return [*derived, *[due_item(timer, self._body(timer)) for timer in known[:1]], *records]

    def _can_count(self, motion: str) -> bool:
        return all(name in self._held for name in self._commitments(motion))

    def _miscount(self, items: list[bytes]) -> list[bytes]:
        """One vote more for the first choice of every tally."""
        told = [json.loads(item) if _is_tally(item) else item for item in items]
        for item in told:
            if isinstance(item, dict):
                item["body"]["questions"][0]["choices"][0]["heads"] += 1
        return [encode(item) if isinstance(item, dict) else item for item in told]

    def _seal_more(self, items: list[bytes]) -> list[bytes]:
        """A seal of everything, with the lines of an older one, or lines that nobody signed."""
        size = self.ledger.frontier.size
        root = self.ledger.frontier.root()
        lines = tuple((member, f"1 {'00' * 16}") for member in self._home.organisations)
        forged = self._seal(PublishCheckpoint(size, root, lines, sealed=True), other_content=True)
        return [*forged, *[item for item in items if not item.startswith(b'{"body":{"root"')]]

    def _go_on_without(self, items: list[bytes]) -> list[bytes]:
        """A result is final now, without somebody: too early, or with lines that nobody signed."""
        waits, members, newest = self.ledger.waits(), self._members, self._signed.committed
        size, root = self.ledger.frontier.size, self.ledger.frontier.root()
        lines = dict.fromkeys(members, f"1 {'00' * 16}")
        if newest is not None and self._random.random() < HALF:
            size, root, lines = newest.size, newest.root, dict(newest.lines)
        absent = self._random.choice(members)
        signatures = ["" if member == absent else lines.get(member, "") for member in members]
        body = {"absent": [absent], "root": b64u_encode(root), "signatures": signatures, "size": size}
        forged = [encode(Derived(body, 0, wait.key, FinalizeWithout.kind)) for wait in waits if wait.without_ms]
        place = next((number for number, item in enumerate(items) if _is_timer(item) or item[:1] != b"{"), len(items))
        return [*items[:place], *forged, *items[place:]]


def _is_timer(item: bytes) -> bool:
    return item.startswith(b"{") and json.loads(item)["kind"] != "seal"


def _is_state_root(item: bytes) -> bool:
    return item.startswith(b"{") and bool(json.loads(item)["kind"] == TellStateRoot.kind)


def _is_tally(item: bytes) -> bool:
    return item.startswith(b"{") and json.loads(item)["kind"] == TALLY


_LIES: tuple[Callable[[LyingApplication, list[bytes]], list[bytes]], ...] = (
    LyingApplication._add_forgery,
    LyingApplication._order_again,
    LyingApplication._repeat,
    LyingApplication._turn_round,
    LyingApplication._leave_out_timers,
    LyingApplication._ring_early,
    LyingApplication._seal_more,
    LyingApplication._go_on_without,
)
