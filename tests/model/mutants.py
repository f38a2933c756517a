"""Broken protocols: each leaves out one rule. What a model check is worth is measured by what it catches."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from server.consensus.quorum import Quorum
from server.consensus.select import Claim, Selection, select
from tests.model.protocol import Model, Rules


@dataclass(frozen=True)
class Mutant:
    """A rule left out, in a cluster of four in which that shows: which member lies, and how many views."""

    name: str
    rules: Rules
    liar: int = 3
    views: int = 2

    @property
    def model(self) -> Model:
        """The broken protocol. Where views that were left still matter, none may be forgotten."""
        return Model(4, (self.liar,), self.views, rules=self.rules, forgets=self.rules.keeps_to_view)


def _quorum_minus_one(quorum: Quorum) -> int:
    return quorum.quorum - 1


def _ignores_prepared(claims: Iterable[Claim]) -> Selection:
    return replace(select(claims), block_id="")


def _ignores_base(claims: Iterable[Claim]) -> Selection:
    return select(replace(claim, last_height=0) for claim in claims)


def _lowest_view(claims: Iterable[Claim]) -> Selection:
    known = list(claims)
    prepared = [(claim.prepared_view, claim.prepared_block) for claim in known if claim.prepared_block]
    return replace(select(known), block_id=min(prepared)[1] if prepared else "")


MUTANTS = [
    Mutant("a quorum is one less", Rules(quorum=_quorum_minus_one)),
    Mutant("a new view ignores what was prepared", Rules(select=_ignores_prepared)),
    Mutant("a new view ignores what was committed", Rules(select=_ignores_base)),
    Mutant("a new view takes the block of the lowest view", Rules(select=_lowest_view), views=3),
    Mutant("a view change hides what was prepared", Rules(reports_prepared=False)),
    Mutant("a view change needs no prepared certificate", Rules(proves_prepared=False), liar=0),
    Mutant("a new view counts one sender twice", Rules(distinct_senders=False)),
    Mutant("a new view is believed without recomputing it", Rules(recomputes=False), liar=1),
    Mutant("a vote at the base of a new view", Rules(checks_base=False), liar=1),
    Mutant("two votes in one view", Rules(votes_once=False), liar=0),
    Mutant("votes in a view that was left", Rules(keeps_to_view=False)),
]
