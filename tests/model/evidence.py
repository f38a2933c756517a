"""Who is to blame for two commit certificates of one height: by the transcript rule, and by the naive one.

The transcript rule is consensus.md 1.3, Fix A, as an auditor would apply it who holds two certificates and the
NEW-VIEWs of their voters. Which two statements of one member are evidence (1.4) is the replica's own decision:
`offence_of`. It must not know who the liars are.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import combinations
from typing import NamedTuple

from server.consensus import messages
from server.consensus.evidence import Offence, offence_of
from tests.model.protocol import Change, Model, NewView, Node, State, Vote


class Certificate(NamedTuple):
    """A quorum's signatures under PREPAREs or COMMITs of one view."""

    vote: Vote
    signers: frozenset[int]


def certificates(model: Model, state: State, vote: Vote, of_commits: bool) -> Iterator[Certificate]:
    """Every certificate that someone may hold for this vote: the liars sign all."""
    signers = [
        member
        for member, node in enumerate(state)
        if node is None or vote in (node.commits if of_commits else node.prepares)
    ]
    for quorum in combinations(signers, model.quorum):
        yield Certificate(vote, frozenset(quorum))


def conflicts(model: Model, state: State) -> Iterator[tuple[Certificate, Certificate]]:
    """Every two commit certificates for different blocks that may be held in this state, the earlier view first."""
    committed = model.certified(vote for node in state if node for vote in node.commits)
    for first, second in combinations(committed, 2):
        if first.block != second.block:
            for low in certificates(model, state, first, of_commits=True):
                for high in certificates(model, state, second, of_commits=True):
                    yield low, high


@cache
def hides(commit: Vote, view: int, change: Change) -> bool:
    """E3: is this COMMIT evidence together with this VIEW-CHANGE to `view`?"""
    return offence_of(_commit(commit), _view_change(view, change)) == "hidden_vote"


def _prepare(vote: Vote) -> messages.Prepare:
    return messages.Prepare(block_id=vote.block, epoch=0, height=1, sender="k", view=vote.view)


def _commit(vote: Vote) -> messages.Commit:
    return messages.Commit(block_id=vote.block, epoch=0, height=1, new_view="", sender="k", view=vote.view)


def _view_change(view: int, change: Change) -> messages.ViewChange:
    prepared = change.prepared or Vote(0, "")
    return messages.ViewChange(
        epoch=0,
        last_block=change.committed.block if change.committed else "",
        last_height=1 if change.committed else 0,
        prepared_block=prepared.block,
        prepared_view=prepared.view,
        sender="k",
        view=view,
    )


def culprits(model: Model, state: State, low: Certificate, high: Certificate) -> Iterator[frozenset[int]]:
    """Whom the transcript rule names: once for each way in which the evidence may have been kept.

    In one view: who signed both (E1). Otherwise, of the NEW-VIEW in which the later block was voted for: who committed
    the earlier block and did not report it (E3); if that NEW-VIEW goes back to a certificate of an own view, that too
    is held against the earlier block.
    """
    if low.vote.view == high.vote.view:
        yield low.signers & high.signers
        return
    for new_view in transcripts(state, high):
        named = frozenset(
            member
            for member, change in new_view.changes
            if member in low.signers and hides(low.vote, high.vote.view, change)
        )
        origin = max((change.prepared for _, change in new_view.changes if change.prepared), default=None)
        if origin is None or origin.view < low.vote.view:
            yield named
            continue
        for certificate in certificates(model, state, origin, of_commits=False):
            for more in culprits(model, state, low, certificate):
                yield named | more


def transcripts(state: State, certificate: Certificate) -> dict[NewView, None]:
    """The NEW-VIEWs that honest signers of a certificate accepted for its view; none if no signer is honest."""
    nodes = [state[member] for member in sorted(certificate.signers)]
    return {
        new_view: None
        for node in nodes
        if node is not None
        for view, new_view in node.installed
        if view == certificate.vote.view
    }


@cache
def offence_by(node: Node) -> Offence | None:
    """What would be evidence against an honest member, by its own signatures alone; None while there is nothing."""
    statements: list[messages.SignedBody] = [_prepare(vote) for vote in node.prepares]
    statements += [_commit(vote) for vote in node.commits]
    statements += [_view_change(view, change) for view, change in node.changes]
    found = (offence_of(first, second) for first, second in combinations(statements, 2))
    return next((offence for offence in found if offence), None)
