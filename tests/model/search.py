"""Every reachable state of a model, each judged once. It knows nothing of the protocol."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from tests.model.protocol import Model, Node, State

Judge = Callable[[State], str]
"""What is wrong with a state, or nothing."""
Order = Literal["breadth first", "depth first"]
Progress = Callable[[int, int], None]
Place = tuple[int, ...]
"""A state, each honest node by its number."""
PROGRESS_EVERY = 100_000


@dataclass(frozen=True, slots=True)
class Found:
    """What a search saw. `story` leads from the start to the first state that was found wrong."""

    states: int
    steps: int
    complaint: str = ""
    story: tuple[State, ...] = ()


class Search:
    """Mutable. States by numbers: each member's node has one, so that a state is a small tuple."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self._numbers: dict[Node, int] = {}
        self._nodes: list[Node] = []

    def run(self, judge: Judge, order: Order = "breadth first", progress: Progress | None = None) -> Found:
        """Look at every state until one is found wrong. Depth first finds sooner, breadth first tells a short story.

        `progress` is told, now and then, how many states were seen and how many of them wait.
        """
        start = self._place(self.model.start)
        before: dict[Place, Place | None] = {start: None}
        waiting = deque([start])
        take = waiting.popleft if order == "breadth first" else waiting.pop
        steps = 0
        while waiting:
            place = take()
            state = self._state(place)
            complaint = judge(state)
            if complaint:
                return Found(len(before), steps, complaint, self._story(before, place))
            for moved in self.model.successors(state):
                steps += 1
                after = self._place(moved)
                if after not in before:
                    before[after] = place
                    waiting.append(after)
                    if progress and len(before) % PROGRESS_EVERY == 0:
                        progress(len(before), len(waiting))
        return Found(len(before), steps)

    def _place(self, state: State) -> Place:
        """The numbers of the nodes; where honest members are alike, in order: who is which makes no difference."""
        honest = [self._number(node) for node in state if node]
        if self.model.is_symmetric:
            honest.sort()
        numbers = iter(honest)
        return tuple(-1 if node is None else next(numbers) for node in state)

    def _state(self, place: Place) -> State:
        return tuple(None if number < 0 else self._nodes[number] for number in place)

    def _number(self, node: Node) -> int:
        number = self._numbers.setdefault(node, len(self._nodes))
        if number == len(self._nodes):
            self._nodes.append(node)
        return number

    def _story(self, before: dict[Place, Place | None], last: Place) -> tuple[State, ...]:
        places = []
        place: Place | None = last
        while place is not None:
            places.append(place)
            place = before[place]
        return tuple(map(self._state, reversed(places)))
