"""A node does with a resolution what it says about its own branch, and nothing with one that does not hold."""

from __future__ import annotations

from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from server.consensus.evidence import accuse_of_split
from server.consensus.messages import Cosign
from server.domain.genesis_rows import trust_of
from server.ledger.checkpoint import cosign_line
from server.ledger.genesis import Genesis, estate_of
from server.ledger.resolution import Branch, Resolution, SignedResolution, records_summary, sign_resolution
from server.node.forks import FOLDER, ForkDesk, pins_of, read_given
from server.node.standing import StartRefused
from server.record.canonical import b64u_encode, encode
from server.record.signature import NodeSigner
from server.storage.database import Database
from server.storage.ledger import Ledger
from server.storage.replay import open_ledger
from server.storage.rewinding import BranchArchive
from server.storage.vault import Vault
from tests.storage.estate import NODES, VAULT_KEY, Estate, make_genesis
from tests.storage.test_rewinding import begin_files

CULPRIT, ME, OTHER = NODES
"""committee signed both; owners is this node, property the other honest one."""
FORK = 2


def key_of(node: str, role: str) -> NodeSigner:
    return NodeSigner(sha256(f"{role} {node}".encode()).digest())


def founded() -> tuple[Genesis, bytes]:
    """The estate of storage's tests, whose members have operators."""
    genesis, _ = make_genesis()
    members = tuple(
        msgspec.structs.replace(member, operator_key=b64u_encode(key_of(member.id, "operator").public))
        for member in genesis.members
    )
    genesis = msgspec.structs.replace(genesis, members=members)
    return genesis, sha256(encode(genesis)).digest()


GENESIS, CLUSTER_ID = founded()


class Place:
    """Mutable. A node's folders and its ledger of three blocks."""

    def __init__(self, folder: Path, ledger: Ledger) -> None:
        self.data, self.keys, self.ledger = folder / "data", folder / "keys", ledger
        begin_files(self.data)
        self.keys.mkdir()
        (self.keys / "log.key").write_text(b64u_encode(sha256(f"log {ME}".encode()).digest()))

    @property
    def desk(self) -> ForkDesk:
        return ForkDesk(ME, self.keys, self.data, GENESIS, CLUSTER_ID, self.ledger)

    def give(self, signed: SignedResolution, name: str = "0.json") -> None:
        (self.data / FOLDER).mkdir(exist_ok=True)
        (self.data / FOLDER / name).write_bytes(encode(signed))

    async def settle(self, signed: SignedResolution) -> bool:
        self.give(signed)
        return await self.desk.settle(read_given(self.data))

    async def branch(self, *held_by: str) -> Branch:
        """The one on which this node stands."""
        first = await self.ledger.block(FORK)
        assert first is not None
        tip = self.ledger.tip
        return Branch(
            block_id=tip.block_id, first=first.block_id, height=tip.height, held_by=held_by,
            root=b64u_encode(tip.root), size=tip.size,
        )  # fmt: skip


@pytest_asyncio.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    async with await Database.open(f"sqlite://{tmp_path / 'node.db'}") as database:
        ledger = await Ledger.open(database, GENESIS, CLUSTER_ID, Vault(VAULT_KEY))
        estate = Estate(ledger)
        estate.genesis, estate.cluster_id = GENESIS, CLUSTER_ID
        estate.estate, estate.trust = estate_of(GENESIS, CLUSTER_ID), trust_of(GENESIS, CLUSTER_ID)
        for number in range(3):
            body = {"member": f"m-{number}", "organisation": ME, "role": "auditor"}
            await estate.add(estate.sign(NODES.index(ME), f"officer-{ME}", "role.grant", body))
        yield Place(tmp_path, ledger)


def elsewhere(*held_by: str) -> Branch:
    """A branch that this node has never seen."""
    return Branch(block_id="B" * 42 + "A", first="C" * 42 + "A", height=4, held_by=held_by, root="D" * 42 + "A", size=9)


def evidence() -> bytes:
    lines = []
    for root in (bytes(32), b"1" * 32):
        line = cosign_line(key_of(CULPRIT, "cosign"), GENESIS.origin, CULPRIT, 9, root, 1_800_000_000)
        lines.append(Cosign(line=line, member=CULPRIT, root=b64u_encode(root), size=9))
    found = accuse_of_split(*lines)
    assert found is not None
    return found.packed


def agreed(kept: Branch, lost: Branch, **fields: Any) -> SignedResolution:
    """Signed by both honest operators; who holds the lost branch takes new keys."""
    packed = evidence()
    members = [member for member in GENESIS.members if member.id != CULPRIT]
    renewed = {f"{role}_key": b64u_encode(key_of("new", role).public) for role in ("consensus", "cosign")}
    after = [msgspec.structs.replace(one, **renewed) if one.id in lost.held_by else one for one in members]
    content: dict[str, Any] = {
        "abandoned": (lost,), "culprits": (CULPRIT,), "epoch": 0, "fork_height": FORK, "fork_size": 2, "kept": kept,
        "evidence": (b64u_encode(sha256(packed).digest()),),
        "members": tuple(encode(member).decode() for member in after), "records": records_summary([]),
    }  # fmt: skip
    resolution = Resolution(**(content | fields))
    signed = SignedResolution(evidence=(b64u_encode(packed),), resolution=resolution, signatures=())
    for node in (ME, OTHER):
        signed = sign_resolution(key_of(node, "operator"), node, CLUSTER_ID, signed)
    return signed


# ---------------------------------------------------------------- what becomes of its branch


async def test_a_node_on_the_kept_branch_leaves_everything_as_it_is(place: Place) -> None:
    tip, journal = place.ledger.tip, (place.data / "journal").read_bytes()
    signed = agreed(await place.branch(ME), elsewhere(OTHER))
    assert not await place.settle(signed)
    assert (place.ledger.tip, (place.data / "journal").read_bytes()) == (tip, journal)
    assert not (place.data / "abandoned").exists()


async def test_a_node_on_an_abandoned_branch_archives_it_and_goes_back_below_the_fork(place: Place) -> None:
    signed = agreed(elsewhere(OTHER), await place.branch(ME))
    assert await place.settle(signed)
    archive = BranchArchive(place.data, 1)
    assert archive.is_done
    assert {path.name for path in archive.folder.iterdir()} >= {"genesis.json", "policy.txt", "succession.json"}
    place.ledger = await open_ledger(place.ledger.database, GENESIS, CLUSTER_ID, Vault(VAULT_KEY))
    assert place.ledger.tip.height == FORK - 1
    assert not await place.settle(signed), "once"


async def test_a_node_below_the_fork_only_has_to_catch_up(place: Place) -> None:
    lost, kept = elsewhere(ME), elsewhere(OTHER)
    kept = msgspec.structs.replace(kept, first="E" * 42 + "A", block_id="F" * 42 + "A", height=9)
    lost = msgspec.structs.replace(lost, height=9)
    assert not await place.settle(agreed(kept, lost, fork_height=7))


# ---------------------------------------------------------------- what is refused at the start


async def refused(place: Place, signed: SignedResolution, words: str) -> None:
    tip = place.ledger.tip
    with pytest.raises(StartRefused, match=words):
        await place.settle(signed)
    assert place.ledger.tip == tip
    assert not (place.data / "abandoned").exists(), "a document that does not hold changes nothing"


async def test_a_document_without_all_signatures_changes_nothing(place: Place) -> None:
    signed = agreed(elsewhere(OTHER), await place.branch(ME))
    await refused(place, msgspec.structs.replace(signed, signatures=signed.signatures[:1]), "signatures")


async def test_a_document_with_other_evidence_changes_nothing(place: Place) -> None:
    signed = agreed(elsewhere(OTHER), await place.branch(ME), evidence=("A" * 43,))
    await refused(place, signed, "not the evidence that was signed for")


async def test_old_keys_are_refused_in_words(place: Place) -> None:
    old = tuple(encode(member).decode() for member in GENESIS.members if member.id != CULPRIT)
    await refused(place, agreed(elsewhere(OTHER), await place.branch(ME), members=old), "need a new consensus key")


async def test_a_third_branch_must_be_named(place: Place) -> None:
    other = msgspec.structs.replace(elsewhere(OTHER), first="E" * 42 + "A", block_id="F" * 42 + "A")
    await refused(place, agreed(other, elsewhere(ME)), "stands on none of the branches")


async def test_who_is_said_to_hold_the_kept_branch_must_hold_it(place: Place) -> None:
    mine = await place.branch(OTHER)
    await refused(place, agreed(elsewhere(ME), mine), "but it holds another one")


async def test_a_ledger_that_has_gone_on_needs_another_document(place: Place) -> None:
    base = await place.ledger.block(FORK)
    assert base is not None
    kept = msgspec.structs.replace(await place.branch(ME), height=FORK, block_id=base.block_id, size=base.size)
    await refused(place, agreed(kept, elsewhere(OTHER)), "goes on above block 2")


def test_files_that_are_no_resolutions_stop_the_start(tmp_path: Path) -> None:
    (tmp_path / FOLDER).mkdir()
    (tmp_path / FOLDER / "0.json").write_text("{}")
    with pytest.raises(StartRefused, match="not the resolution of a fork"):
        read_given(tmp_path)


async def test_two_documents_of_one_fork_stop_the_start(place: Place) -> None:
    place.give(agreed(await place.branch(ME), elsewhere(OTHER)))
    place.give(agreed(elsewhere(OTHER), await place.branch(ME)), "other.json")
    with pytest.raises(StartRefused, match="two resolutions of one fork"):
        read_given(place.data)


async def test_what_operators_decided_is_known_for_ever(place: Place) -> None:
    mine = await place.branch(ME)
    place.give(agreed(mine, elsewhere(OTHER)))
    assert pins_of(read_given(place.data)) == ((FORK, mine.first), (mine.height, mine.block_id))
