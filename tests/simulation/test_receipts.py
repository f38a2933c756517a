"""What phones accept, checked by the verifier of the auditors, is what honest ledgers hold at the end."""

import pytest

from tests.simulation.options import days
from tests.simulation.receipts import ReceiptPhones, sign_for_real
from tests.simulation.rules import DomainScene
from tests.simulation.world import World
from verifier.policy import Policy


def run(nodes: int, seed: int, *, twins: bool) -> ReceiptPhones:
    """One run with phones that ask for receipts."""
    world = World(days(nodes, seed, twins), make_scene=DomainScene)
    world.phones = ReceiptPhones(world)
    assert world.run().failures == ()
    assert world.phones.conclude() == []
    return world.phones


@pytest.mark.parametrize(("nodes", "twins"), [(3, False), (3, True), (4, True)])
def test_what_a_phone_holds_a_sealed_receipt_for_is_in_every_honest_ledger(
    nodes: int, twins: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign_for_real(monkeypatch)
    found = [run(nodes, seed, twins=twins) for seed in range(1, 5)]
    assert sum(len(phones.sealed) for phones in found) > 10
    assert all(phones.committed for phones in found)
    assert twins == any(phones.refused for phones in found)


def test_a_verifier_that_believes_any_line_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oracle is worth something: lies are told, and one that was accepted shows."""
    sign_for_real(monkeypatch)
    monkeypatch.setattr(Policy, "grade", lambda self, signers: "sealed")
    world = World(days(4, 2, True), make_scene=DomainScene)
    world.phones = ReceiptPhones(world)
    assert world.run().failures == ()
    assert any("sealed receipt" in each for each in world.phones.conclude())
