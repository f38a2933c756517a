"""One height of the protocol as a transition system: what honest members may do, whatever some liars sign.

Written from the design (consensus.md 2.4, 2.5), not from the replica; only what decides is the replica's own: `select`,
`Quorum` and `primary_of`. It knows no bytes, time, disks or batches. A message once sent may arrive at any time or
never, so a state is just what the honest members have signed. The liars have signed every vote already, hide what they
have prepared, and as primaries propose two blocks and show everyone the NEW-VIEW they like: any that validates.
SUSPECT changes no state of its sender, so any member may have suspected every view that it has been in.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, combinations, product
from typing import NamedTuple

from server.consensus.quorum import Mode, Quorum, primary_of
from server.consensus.select import Claim, Selection, select


class Vote(NamedTuple):
    """A PREPARE or COMMIT for a block in a view."""

    view: int
    block: str


class Change(NamedTuple):
    """What a VIEW-CHANGE reports of the height: the block committed there, or else the vote last prepared."""

    committed: Vote | None = None
    prepared: Vote | None = None

    @property
    def claim(self) -> Claim:
        """As the replica's `select` reads it."""
        if self.committed:
            return Claim(1)
        return Claim(0, self.prepared.view, self.prepared.block) if self.prepared else Claim(0)


Changes = tuple[tuple[int, Change], ...]
"""Who reported what, in a NEW-VIEW."""


class NewView(NamedTuple):
    """A NEW-VIEW: what was selected, from which VIEW-CHANGEs (left out when nobody will be blamed)."""

    base: int
    block: str
    committed: tuple[str, ...]
    """Blocks of the commit certificates that it brings."""
    changes: Changes = ()


class Node(NamedTuple):
    """What an honest member has signed and accepted: votes in the order of their views, one place a view."""

    view: int = 0
    prepares: tuple[Vote, ...] = ()
    commits: tuple[Vote, ...] = ()
    """A COMMIT is signed when its block is prepared: the last one is the prepared block."""
    committed: Vote | None = None
    changes: tuple[tuple[int, Change], ...] = ()
    installed: tuple[tuple[int, NewView], ...] = ()

    def has_been_in(self, view: int) -> bool:
        """Whether it left for this view, or was shown its NEW-VIEW."""
        return view == 0 or any(each == view for each, _ in self.changes + self.installed)

    @property
    def new_view(self) -> NewView | None:
        """The NEW-VIEW of its view; None while it waits for it."""
        if self.view == 0:
            return NewView(0, "", ())
        return self.installed[-1][1] if self.installed and self.installed[-1][0] == self.view else None


State = tuple[Node | None, ...]
"""The members in their order; None for a liar, who is everywhere."""


@dataclass(frozen=True)
class Rules:
    """The rules that mutants break; as they stand here they are the protocol's."""

    select: Callable[[Iterable[Claim]], Selection] = select
    quorum: Callable[[Quorum], int] = lambda quorum: quorum.quorum
    reports_prepared: bool = True
    """A VIEW-CHANGE tells what its sender had prepared."""
    proves_prepared: bool = True
    """What a VIEW-CHANGE says to be prepared has a certificate."""
    distinct_senders: bool = True
    """The VIEW-CHANGEs of a NEW-VIEW come from different members."""
    recomputes: bool = True
    """A backup selects anew from the VIEW-CHANGEs that a NEW-VIEW brings."""
    checks_base: bool = True
    """Nobody votes at or below the base of the NEW-VIEW."""
    votes_once: bool = True
    """One vote in a view."""
    keeps_to_view: bool = True
    """Nobody votes in a view that it has left."""
    trusts_primaries: bool = True
    """An honest primary proposes one block and announces one NEW-VIEW in its view; agreement must not rest on it."""


class Model:
    """A configuration and its transitions.

    `transcripts` keeps whose VIEW-CHANGEs a NEW-VIEW brought and who prepared what: by them liars are found. `forgets`
    drops what no later step depends on; it makes some states equal and leaves the rest as it was.
    """

    def __init__(
        self,
        n: int,
        liars: tuple[int, ...],
        views: int,
        mode: Mode = "available",
        rules: Rules | None = None,
        transcripts: bool = False,
        forgets: bool = True,
    ) -> None:
        self.rules = rules or Rules()
        self.n, self.liars, self.views, self.transcripts = n, liars, views, transcripts
        self.forgets = forgets
        self.quorum = self.rules.quorum(Quorum(n, mode))
        assert len(liars) < self.quorum, "liars who are a quorum need nobody's vote, and so no model"
        self._names = [str(member) for member in range(n)]
        self.new_views = lru_cache(maxsize=None)(self._new_views)

    @property
    def start(self) -> State:
        """Nobody has said anything."""
        return tuple(None if member in self.liars else Node() for member in range(self.n))

    @property
    def is_symmetric(self) -> bool:
        """Whether honest members differ in nothing but what they have said."""
        return not self.rules.trusts_primaries and not self.transcripts

    def primary(self, view: int) -> int:
        """Who leads a view."""
        return int(primary_of(self._names, view))

    def _leader(self, state: State, view: int) -> Node | None:
        return state[self.primary(view)] if self.rules.trusts_primaries else None

    def certified(self, votes: Iterable[Vote]) -> list[Vote]:
        """What a quorum may have signed, given the honest votes."""
        counted = Counter(votes)
        return sorted(vote for vote, count in counted.items() if count + len(self.liars) >= self.quorum)

    def successors(self, state: State) -> Iterator[State]:
        """The state after every step of every honest member."""
        honest = [node for node in state if node]
        prepared = self.certified(vote for node in honest for vote in node.prepares)
        committed = self.certified(vote for node in honest for vote in node.commits)
        for member, node in enumerate(state):
            if node is None:
                continue
            for after in chain(
                self._votes(state, member, node),
                self._certificates(node, prepared, committed),
                self._view_changes(honest, node),
                self._installations(state, member, node, prepared, committed),
            ):
                moved = (*state[:member], after, *state[member + 1 :])
                yield self.forget(moved) if self.forgets else moved

    def forget(self, state: State) -> State:
        """The same state without what no step to come depends on, so that fewer states have to be looked at.

        That is: views that everybody has left who may still vote, but for the certificates in them; and in which view
        a block was committed. When all have committed, no step is left. A transcript of such a view is kept by whoever
        voted in it for a block that was prepared: nobody else's says anything about a certificate.
        """
        honest = [node for node in state if node]
        closed = _closed(honest, self.views)
        proven = self.certified(vote for node in honest for vote in node.prepares)
        final = self.certified(vote for node in honest for vote in node.commits)
        return tuple(node and self._without(node, closed, proven, final) for node in state)

    def _without(self, node: Node, closed: int, prepared: list[Vote], committed: list[Vote]) -> Node:
        if not closed and not node.committed:
            return node
        open_votes = tuple(vote for vote in node.prepares if vote.view >= closed)
        proven = [vote for vote in prepared if vote.view < closed and (not self.transcripts or vote in node.prepares)]
        witnessed = [vote.view for vote in proven] if self.transcripts else []
        last = () if node.committed else node.commits[-1:]
        return node._replace(
            view=max(node.view, closed - 1) if node.committed else node.view,
            prepares=(*proven, *open_votes),
            commits=tuple(vote for vote in node.commits if vote.view >= closed or vote in committed or vote in last),
            committed=_of_no_view(node.committed),
            changes=tuple(
                (view, change._replace(committed=_of_no_view(change.committed)))
                for view, change in node.changes
                if view >= closed
            ),
            installed=tuple(each for each in node.installed if each[0] >= closed or each[0] in witnessed),
        )

    def _votes(self, state: State, member: int, node: Node) -> Iterator[Node]:
        """PREPARE: for the block that the NEW-VIEW names, or else for one that the view's primary proposes."""
        for view, new_view in ((0, NewView(0, "", ())), *node.installed):
            if (view != node.view or node.new_view is None) and self.rules.keeps_to_view:
                continue
            if node.committed or (new_view.base and self.rules.checks_base):
                continue
            if self.rules.votes_once and any(vote.view == view for vote in node.prepares):
                continue
            for block in [new_view.block] if new_view.block else self._proposals(state, member, view):
                vote = Vote(view, block)
                if vote not in node.prepares:
                    yield node._replace(prepares=tuple(sorted((*node.prepares, vote))))

    def _proposals(self, state: State, member: int, view: int) -> list[str]:
        primary = self.primary(view)
        node = self._leader(state, view)
        if node is None:
            return [f"{view}a", f"{view}b"]
        if member == primary:
            return [f"{view}a"]
        return [vote.block for vote in node.prepares if vote.view == view]

    def _certificates(self, node: Node, prepared: list[Vote], committed: list[Vote]) -> Iterator[Node]:
        """COMMIT what a quorum prepared in the own view; take as committed what a quorum committed in any view."""
        if node.committed:
            return
        for vote in prepared:
            in_view = vote.view == node.view and node.new_view is not None
            if vote in node.prepares and vote not in node.commits and (in_view or not self.rules.keeps_to_view):
                yield node._replace(commits=tuple(sorted((*node.commits, vote))))
        for vote in committed:
            yield node._replace(committed=vote)

    def _view_changes(self, honest: list[Node], node: Node) -> Iterator[Node]:
        """Leave for a view when a quorum may have suspected the one before."""
        for view in range(node.view + 1, self.views):
            suspects = sum(each.has_been_in(view - 1) for each in honest) + len(self.liars)
            if view <= _closed(honest, self.views) or suspects >= self.quorum:
                change = Change(committed=node.committed)
                if not node.committed and node.commits and self.rules.reports_prepared:
                    change = Change(prepared=node.commits[-1])
                yield node._replace(view=view, changes=(*node.changes, (view, change)))

    def _installations(
        self, state: State, member: int, node: Node, prepared: list[Vote], committed: list[Vote]
    ) -> Iterator[Node]:
        """Install the NEW-VIEW of a later view, or of the own one while waiting for it."""
        for view in range(max(1, node.view), self.views):
            if view == node.view and node.new_view is not None:
                continue
            for new_view in self._offers(state, member, node, view, prepared, committed):
                if all(block == node.committed.block for block in new_view.committed if node.committed):
                    yield node._replace(view=view, installed=(*node.installed, (view, new_view)))

    def _offers(
        self, state: State, member: int, node: Node, view: int, prepared: list[Vote], committed: list[Vote]
    ) -> Iterable[NewView]:
        """NEW-VIEWs of a view that this member may see: a liar's are all that validate, an honest primary's is one."""
        primary = self.primary(view)
        leader = self._leader(state, view)
        if leader is not None and member != primary:
            return [new_view for each, new_view in leader.installed if each == view]
        if leader is not None and node.view != view:
            return ()
        said = tuple(
            (sender, change)
            for sender, each in enumerate(state)
            if each
            for later, change in each.changes
            if later == view
        )
        proofs = tuple(vote for vote in prepared if vote.view < view)
        found = self.new_views(view, said, self._lies(view, proofs, tuple(committed)), leader is None)
        if leader is None:
            return found
        return [each for each in found if not each.base or node.committed]

    def _lies(self, view: int, prepared: tuple[Vote, ...], committed: tuple[Vote, ...]) -> tuple[Change, ...]:
        """The VIEW-CHANGEs of a liar that validate: nothing, or whatever has a certificate."""
        if not self.rules.proves_prepared:
            prepared = tuple(Vote(earlier, f"{earlier}{which}") for earlier in range(view) for which in "ab")
        return (
            Change(),
            *(Change(prepared=vote) for vote in prepared),
            *(Change(committed=vote) for vote in committed),
        )

    def _new_views(self, view: int, said: Changes, lies: tuple[Change, ...], is_liar: bool) -> tuple[NewView, ...]:
        """Every NEW-VIEW that a quorum of these VIEW-CHANGEs gives. An honest primary's brings its own."""
        senders = [sender for sender, _ in said] + list(self.liars)
        if not self.rules.distinct_senders:
            senders += list(self.liars) * (self.quorum - 1)
        options: dict[int, tuple[Change, ...]] = {sender: (change,) for sender, change in said}
        options |= dict.fromkeys(self.liars, lies)
        found: dict[NewView, None] = {}
        for chosen in combinations(senders, self.quorum):
            if is_liar or self.primary(view) in chosen:
                for changes in product(*(options[sender] for sender in chosen)):
                    for new_view in self._selected(view, tuple(zip(chosen, changes, strict=True)), is_liar):
                        found[new_view] = None
        return tuple(found)

    def _selected(self, view: int, changes: Changes, is_liar: bool) -> list[NewView]:
        selection = self.rules.select(change.claim for _, change in changes)
        committed = tuple(sorted({change.committed.block: None for _, change in changes if change.committed}))
        kept = changes if self.transcripts and not selection.base_height else ()
        chosen = [selection.block_id]
        if is_liar and not self.rules.recomputes:
            chosen += ["", f"{view}a"]
        return [NewView(selection.base_height, block, committed, kept) for block in chosen]


def _closed(honest: list[Node], views: int) -> int:
    """Before this view nobody votes any more; so it has been entered, and the view before it suspected by a quorum."""
    return min((node.view for node in honest if not node.committed), default=views)


def _of_no_view(vote: Vote | None) -> Vote | None:
    return vote and Vote(0, vote.block)
