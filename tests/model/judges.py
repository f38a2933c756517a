"""What must hold in every state: agreement; or, where three members cannot have it, that liars alone are named."""

from __future__ import annotations

from tests.model.evidence import conflicts, culprits, offence_by
from tests.model.protocol import Model, State


def judge_agreement(model: Model, state: State) -> str:
    """No two blocks of one height have commit certificates, and what honest members committed is one block."""
    blocks = {vote.block: None for vote in model.certified(vote for node in state if node for vote in node.commits)}
    blocks |= {node.committed.block: None for node in state if node and node.committed}
    return f"fork: {' and '.join(sorted(blocks))} are committed" if len(blocks) > 1 else ""


class Attribution:
    """Mutable. Judges states with forks, and counts what it saw."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.forks = 0
        self.conflicts = 0
        self.naive_frames = 0
        """Conflicts in which an honest member signed both certificates, in different views."""
        self.unattributed = 0
        """Conflicts for which no honest member can show the NEW-VIEW."""

    def judge(self, state: State) -> str:
        """Nobody honest is ever named, and for every two certificates, 2q - n liars are."""
        for member, node in enumerate(state):
            offence = node and offence_by(node)
            if offence:
                return f"member {member} is honest, and its own signatures are evidence: {offence}"
        seen = self.conflicts
        complaint = self._judge_conflicts(state)
        self.forks += self.conflicts > seen
        return complaint

    def _judge_conflicts(self, state: State) -> str:
        liars = frozenset(self.model.liars)
        for low, high in conflicts(self.model, state):
            self.conflicts += 1
            self.naive_frames += low.vote.view < high.vote.view and not low.signers & high.signers <= liars
            found = list(culprits(self.model, state, low, high))
            self.unattributed += not found
            for named in found:
                if not named <= liars:
                    return f"an honest member of {sorted(named)} is named for {low.vote} and {high.vote}"
                if len(named) < 2 * self.model.quorum - self.model.n:
                    return f"only {sorted(named)} are named for {low.vote} and {high.vote}"
        return ""
