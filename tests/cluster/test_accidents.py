"""The accidents that operators rehearse come out as the design promises, and the screen says what is seen."""

from __future__ import annotations

from pathlib import Path

import pytest

from cluster import Cluster, find_port_base, init_cluster
from drills.accidents import ACCIDENTS, rehearse
from drills.fork import fork_and_forgive
from drills.rehearsal import rehearsal

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("cluster"), pytest.mark.timeout(240)]


async def show(accident: str, folder: Path, given: Path | None = None) -> str:
    """The screen of an accident that had no fault."""
    screen: list[str] = []
    faults = await rehearse(accident, folder / "cluster", given, screen.append)
    print(*screen, sep="\n")
    assert faults == []
    return "\n".join(screen)


async def test_a_node_that_ends_is_missed_by_sealed_alone_and_catches_up(tmp_path: Path) -> None:
    screen = await show("down", tmp_path)
    assert "owners    readyz: no answer" in screen
    assert "not signed: owners-" in screen
    assert screen.count("a record handed in at") == 4
    assert "All nodes hold the same log, signed by all" in screen


async def test_a_node_that_is_cut_off_says_so_and_keeps_what_it_is_handed(tmp_path: Path) -> None:
    screen = await show("partition", tmp_path)
    assert "street    readyz: 503 only 1 of 3 nodes are reached" in screen
    assert "street has no receipt for a record: 503 no_quorum" in screen
    assert "The record that it was handed meanwhile is in the log now" in screen


async def test_a_second_copy_and_its_original_stop_before_there_are_two_histories(tmp_path: Path) -> None:
    screen = await show("clone", tmp_path)
    assert "A node noticed the second copy" in screen
    assert "copy      readyz: 503 stopped: twin: another process that uses the keys of property is alive" in screen
    assert "two histories" not in screen
    assert "What to do: end the copy" in screen


async def test_a_node_does_not_vote_on_data_that_has_forgotten_its_votes(tmp_path: Path) -> None:
    screen = await show("restore", tmp_path)
    assert screen.count("the program of property has ended with exit code 3") >= 2
    assert "may have voted what it no longer knows" in screen
    assert "All nodes hold the same log, signed by all" in screen


async def test_a_fork_of_what_was_committed_is_resolved_and_every_record_stands_once(tmp_path: Path) -> None:
    screen = await show("fork", tmp_path)
    assert "two histories" in screen or "both give receipts that verify" in screen
    assert screen.count("stopped: fork: block") >= 2, "both honest nodes have stopped"
    assert "keys_not_renewed" in screen, "the honest member must not come back with its old keys"
    assert "this is the operator key of none of owners, street" in screen, "the culprit's operator is not asked"
    assert "3 records stand on abandoned branches only" in screen
    assert "receipt before the fork: verifies from genesis" in screen
    assert "receipt new: verifies from genesis" in screen
    assert "receipt given anew for an abandoned record: verifies from genesis" in screen
    assert "receipt of the abandoned branch: FAILED: abandoned" in screen
    assert "the phone's own verifier says the same of all" in screen
    assert "The log verifies, and so does the archive of the abandoned branch" in screen


async def test_the_organisation_whose_machine_was_copied_comes_back_with_new_keys(tmp_path: Path) -> None:
    screen: list[str] = []
    async with rehearsal(tmp_path / "cluster", None, screen.append) as stage:
        await fork_and_forgive(stage)
        print(*screen, sep="\n")
        assert stage.faults == []
    assert "* property 物业公司: proved to have signed both; signs with new keys" in "\n".join(screen)


async def test_a_drill_on_a_given_cluster_leaves_it_as_it_is(tmp_path: Path) -> None:
    given = tmp_path / "given"
    init_cluster(given, port_base=find_port_base())
    before = sorted(path.relative_to(given) for path in given.rglob("*"))
    await show("down", tmp_path, given)
    assert sorted(path.relative_to(given) for path in given.rglob("*")) == before
    assert not any(node.pid for node in Cluster(given).nodes)


async def test_a_drill_refuses_a_folder_without_a_cluster(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="holds no cluster"):
        await rehearse("down", tmp_path / "cluster", tmp_path / "nothing", print)


async def test_a_drill_refuses_a_cluster_whose_database_is_elsewhere(tmp_path: Path) -> None:
    given = tmp_path / "given"
    elsewhere = {"database": {"url": f"sqlite://{tmp_path / 'elsewhere.db'}"}}
    init_cluster(given, port_base=find_port_base(), settings=elsewhere)
    with pytest.raises(SystemExit, match="outside of"):
        await rehearse("down", tmp_path / "cluster", given, print)


def test_every_accident_is_a_command() -> None:
    from drill import ACCIDENT_WORDS

    assert ACCIDENT_WORDS.keys() == ACCIDENTS.keys()
