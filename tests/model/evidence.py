"""Who is to blame for two commit certificates of one height: by the transcript rule, and by the naive one.

The transcript rule is consensus.md 1.3, Fix A, with E1 and E3 of 1.4: written from there, as an auditor would apply it
who holds two certificates and the NEW-VIEWs of their voters. It must not know who the liars are.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import NamedTuple

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


def is_amnesia(commit: Vote, view: int, change: Change) -> bool:
    """E3: after COMMIT a VIEW-CHANGE to a later view that tells of nothing committed, nor prepared in that view on."""
    reported = change.prepared.view if change.prepared else -1
    return view > commit.view and change.committed is None and reported < commit.view


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
            if member in low.signers and is_amnesia(low.vote, high.vote.view, change)
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


def framed(state: State, member: int, node: Node) -> str:
    """What would be evidence against an honest member, by its own signatures alone; empty while there is nothing."""
    votes = dict.fromkeys(node.prepares + node.commits)
    if len(dict.fromkeys(vote.view for vote in votes)) < len(votes):
        return f"E1: member {member} voted for two blocks in one view"
    if any(is_amnesia(commit, view, change) for commit in node.commits for view, change in node.changes):
        return f"E3: member {member} committed, and reported nothing of it"
    return ""
