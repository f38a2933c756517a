"""A resolved fork: the block that carries it is the first of the next epoch, alone, and on the tip that was kept."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import msgspec
import pytest

from server.consensus.evidence import accuse_of_split
from server.consensus.guilt import culprit_finder
from server.consensus.messages import Cosign
from server.domain.agenda import SealWait
from server.domain.check import BatchInvalid, check_batch
from server.domain.evidence import Barred
from server.domain.execute import Executed, execute_block
from server.domain.membership import IN_FORCE, BeginEpoch, EpochBegun, EpochInForce, epoch_of_row
from server.domain.resolution import ForkResolved, ResolveFork, disputed_by, refuse_work, resolution_item
from server.ledger.checkpoint import cosign_line
from server.ledger.genesis import OPERATOR
from server.ledger.membership import Disputed
from server.ledger.resolution import Branch, Resolution, SignedResolution, records_summary, sign_resolution
from server.record.canonical import b64u_encode, encode
from server.record.rows import Key
from tests.domain.test_membership import adding, order, rotating, standing
from tests.domain.world import World, make_genesis, organisation_key

ORIGIN = make_genesis().origin
KEPT, CULPRIT, LOST = "owners", "property", "street"


@pytest.fixture
def world() -> World:
    made = World(genesis=make_genesis(has_operators=True))
    made.bind("li")
    made.bind("wang")
    return made


def evidence_against(node: str) -> bytes:
    lines = []
    for root in (bytes(32), b"1" * 32):
        line = cosign_line(organisation_key(node, "cosign"), ORIGIN, node, 9, root, 1_750_000_000)
        lines.append(Cosign(line=line, member=node, root=b64u_encode(root), size=9))
    found = accuse_of_split(*lines)
    assert found is not None
    return found.packed


def resolution_of(world: World, **fields: Any) -> SignedResolution:
    """The last block is the only one above the fork; the culprit leaves, and street takes new keys."""
    packed, size = evidence_against(CULPRIT), world.tree.size
    renewed = rotating(world, LOST).members
    kept = Branch(
        block_id=world.tip, first=world.tip, height=world.height, held_by=(KEPT,),
        root=b64u_encode(world.tree.root()), size=size,
    )  # fmt: skip
    lost = Branch(
        block_id="B" * 42 + "A", first="C" * 42 + "A", height=world.height, held_by=(LOST,), root="D" * 42 + "A",
        size=size,
    )  # fmt: skip
    content: dict[str, Any] = {
        "abandoned": (lost,),
        "culprits": (CULPRIT,),
        "epoch": standing(world).number,
        "evidence": (b64u_encode(sha256(packed).digest()),),
        "fork_height": world.height,
        "fork_size": size - 2,
        "kept": kept,
        "members": tuple(encode(member).decode() for member in renewed if member.id != CULPRIT),
        "records": records_summary(["A" * 43]),
    }
    resolution = Resolution(**(content | fields))
    signed = SignedResolution(evidence=(b64u_encode(packed),), resolution=resolution, signatures=())
    for node in (KEPT, LOST):
        signed = sign_resolution(organisation_key(node, OPERATOR), node, world.cluster_id, signed)
    return signed


def block_of(world: World, signed: SignedResolution, *others: bytes, **header: Any) -> Executed:
    """Check and execute the block with which the next epoch begins."""
    items = [encode(resolution_item(signed)), *others]
    time_ms = world.time_ms + 1_000
    made = world.header_of(items, time_ms)
    made = msgspec.structs.replace(made, **({"epoch": world.epoch + 1} | header))
    works, rows = world.plan(items)
    check_batch(made, items, works, rows, world.due(time_ms), world.rules)
    return execute_block(made, works, rows, world.tree, world.trust, world.rules)


def refused(world: World, signed: SignedResolution, size: int = 0) -> str | None:
    _, rows = world.plan([encode(resolution_item(signed))])
    rule = ResolveFork(evidence=signed.evidence, resolution=signed.resolution, signatures=signed.signatures)
    end = (size or world.tree.size, world.tree.root())
    return refuse_work(rule, rows, end, world.cluster_id, culprit_finder(ORIGIN, world.cluster_id))


# ---------------------------------------------------------------- what it does


def test_the_next_epoch_begins_with_the_block_that_carries_it(world: World) -> None:
    signed, size, height = resolution_of(world), world.tree.size, world.height
    assert refused(world, signed) is None
    world.keep(block_of(world, signed))
    assert (standing(world).number, standing(world).first_height) == (1, height + 1)
    assert standing(world).epoch.ids == (KEPT, LOST)
    fork = world.get(ForkResolved, "1")
    assert fork is not None
    assert (fork.index, fork.culprits, fork.records, fork.held_by) == (size, (CULPRIT,), 1, (KEPT,))
    assert world.bind("zhao", nodes=(KEPT, LOST)), "the new members order on, in their epoch"


def test_its_members_sign_the_trees_that_hold_it_and_those_before_stay_the_old_ones(world: World) -> None:
    size = world.tree.size
    world.keep(block_of(world, resolution_of(world)))
    begun, fork = world.get(EpochBegun, "1"), world.get(ForkResolved, "1")
    assert begun is not None
    epoch = epoch_of_row(begun, size, disputed_by(fork))
    assert (epoch.first_size, epoch.change_index) == (size + 1, size)
    assert epoch.disputed == Disputed(size - 1, (KEPT,))


def test_the_culprit_is_named_for_ever(world: World) -> None:
    world.keep(block_of(world, resolution_of(world)))
    barred = world.get(Barred, CULPRIT)
    assert barred is not None
    assert barred.offence == "fork"


def test_who_was_named_before_stays_named_as_it_was(world: World) -> None:
    row = Barred(CULPRIT, "the first evidence", "double_vote", 1)
    world.rows[Key(row.table, row.id)] = row
    world.keep(block_of(world, resolution_of(world)))
    assert world.get(Barred, CULPRIT) == row


def test_a_change_of_members_that_waited_for_its_seal_is_void(world: World) -> None:
    order(world, adding(world))
    world.keep(block_of(world, resolution_of(world)))
    assert standing(world).pending == ""
    waiting = world.get(SealWait, BeginEpoch.kind, "1")
    assert waiting is not None
    assert waiting.done
    world.block(seals=True)
    assert (standing(world).number, standing(world).epoch.ids) == (1, (KEPT, LOST))


# ---------------------------------------------------------------- what no replica votes for


def test_it_stands_on_the_tip_that_was_kept(world: World) -> None:
    signed = resolution_of(world)
    with pytest.raises(BatchInvalid, match="tip that was kept"):
        block_of(world, signed, prev="E" * 42 + "A")
    world.bind("zhao")
    with pytest.raises(BatchInvalid, match="tip that was kept"):
        block_of(world, signed)


def test_it_begins_the_next_epoch_and_no_other(world: World) -> None:
    for epoch in (0, 2):
        with pytest.raises(BatchInvalid, match="epoch in force"):
            block_of(world, resolution_of(world), epoch=epoch)


def test_it_stands_alone_in_its_block(world: World) -> None:
    record = world.record("zhao", "device.bind", world.bind_body("zhao")).encode()
    with pytest.raises(BatchInvalid, match="nothing else"):
        block_of(world, resolution_of(world), record)
    with pytest.raises(BatchInvalid, match="one of its kind"):
        block_of(world, resolution_of(world), encode(resolution_item(resolution_of(world))))


def test_a_log_of_another_root_or_size_is_not_the_kept_branch(world: World) -> None:
    signed = resolution_of(world)
    assert refused(world, signed, size=world.tree.size + 1) == "the log is not the kept branch"
    kept = msgspec.structs.replace(signed.resolution.kept, root="D" * 42 + "A")
    assert refused(world, resolution_of(world, kept=kept)) == "the log is not the kept branch"


def test_what_operators_did_not_all_sign_is_refused_with_its_word(world: World) -> None:
    signed = resolution_of(world)
    assert refused(world, msgspec.structs.replace(signed, signatures=signed.signatures[:1])) == "signatures"
    old = tuple(encode(member).decode() for member in standing(world).epoch.members if member.id != CULPRIT)
    assert refused(world, resolution_of(world, members=old)) == "keys_not_renewed"
    assert refused(world, resolution_of(world, epoch=1)) == "epoch_passed"


def test_members_without_operators_have_no_way_out() -> None:
    world = World()
    world.bind("li")
    with_operators = World(genesis=make_genesis(has_operators=True))
    with_operators.bind("li")
    assert refused(world, resolution_of(with_operators)) == "the members have no operators"
    assert world.get(EpochInForce, IN_FORCE) is None
