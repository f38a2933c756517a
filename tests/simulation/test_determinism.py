"""A seed is the whole run: other processes with other hash seeds see the same events, and leave the same disks."""

from __future__ import annotations

import pytest

from tests.simulation.hash_seeds import differing_outputs

TRACE = """
from hashlib import sha256
from tests.simulation.options import days, swarm
from tests.simulation.rules import DomainScene
from tests.simulation.small import SmallScene
from tests.simulation.world import World

def trace_of(options, scene):
    trace = sha256()
    world = World(options, lambda now, who, what: trace.update(f"{now} {who} {what}\\n".encode()), scene)
    report = world.run()
    assert report.events > 500, report
    for node in world.nodes:
        trace.update(repr((node.address, node.disk.durable, node.disk.blocks, node.disk.signer)).encode())
    return trace.hexdigest(), report
"""
"""A hash of all that was noted in a run and of what the disks hold at its end, and what the oracles report."""


def program(nodes: int, seeds: tuple[int, ...], rules: bool) -> str:
    """Prints the trace of each seed: with the platform's rules, or with the small application."""
    run = f"days({nodes}, seed), DomainScene" if rules else f"swarm({nodes}, seed), SmallScene"
    return f"{TRACE}\nfor seed in {seeds}:\n    print(trace_of({run}))\n"


@pytest.mark.parametrize(("nodes", "seeds"), [(3, (100, 200, 300)), (4, (100, 200))])
def test_every_event_of_a_seed_is_the_same_in_another_process(nodes: int, seeds: tuple[int, ...]) -> None:
    assert len(differing_outputs(program(nodes, seeds, rules=False))) == 1


@pytest.mark.parametrize(("nodes", "seeds"), [(3, (100, 200)), (4, (100,))])
def test_every_event_of_a_seed_with_the_rules_is_the_same_in_another_process(
    nodes: int, seeds: tuple[int, ...]
) -> None:
    assert len(differing_outputs(program(nodes, seeds, rules=True))) == 1


def test_what_depends_on_the_order_of_a_set_is_noticed() -> None:
    assert len(differing_outputs("print(list({'owners', 'property', 'street', 'witness'}))")) > 1


def test_another_seed_is_another_run() -> None:
    """What is compared says something: two seeds never print the same."""
    (printed,) = differing_outputs(program(3, (100, 200), rules=False))
    assert len(dict.fromkeys(printed.splitlines())) == 2
