"""demo.py: it loses nobody's files, says what is in its way, is made whole or anew, and leaves no process behind."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import demo
import demo_estate
from cluster import find_port_base
from demo_processes import PORT_BASES, Obstacle, find_taken_ports, require_free_ports
from server.gateway.photo_cleaning import clean_photo
from server.gateway.roster import read_roster

SCRIPTS = Path(demo.__file__).parent


def free_base() -> int:
    """A first port such that all of a demo's are free."""
    return next(base for base in iter(find_port_base, None) if not find_taken_ports(base))


def processes_of(data: Path) -> list[str]:
    """Command lines of live processes that name the folder."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except (OSError, UnicodeDecodeError):
            continue
        if str(data) in command:
            found.append(command)
    return found


@pytest.fixture
def listener() -> Iterator[int]:
    """A port of this machine that is in use, the second one of a demo."""
    base = free_base()
    with socket.socket() as server:
        server.bind(("127.0.0.1", base + 1))
        server.listen()
        yield base


def test_the_own_roster_has_no_bad_line_and_enough_people() -> None:
    roster = read_roster(demo_estate.OWN_ROSTER.read_bytes(), demo_estate.today())
    assert not roster.bad
    estate = demo_estate.DemoEstate.__new__(demo_estate.DemoEstate)
    estate.roster = roster
    assert len(estate.owners()) >= 3 + len(demo_estate.ROLES) + 60
    assert max(demo_estate.born(line) for line in estate.owners()) < demo_estate.today().year - 18


def test_a_port_in_use_is_named_with_a_command_that_works(listener: int, tmp_path: Path) -> None:
    assert find_taken_ports(listener) == [listener + 1]
    with pytest.raises(Obstacle, match=rf"port {listener + 1} of this machine") as caught:
        require_free_ports(tmp_path / "demo", listener)
    offered = int(str(caught.value).rpartition(" ")[2])
    assert offered in PORT_BASES and not find_taken_ports(offered)


def test_a_demo_never_takes_a_folder_with_other_files(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("precious")
    with pytest.raises(Obstacle, match="no demo"):
        demo.discard_unfinished(tmp_path)
    assert (tmp_path / "letter.txt").read_text() == "precious"


def test_an_unfinished_demo_is_removed_and_a_finished_one_is_kept(tmp_path: Path) -> None:
    (tmp_path / "owners").mkdir()
    for name in ("cluster.json", "logins.json"):
        (tmp_path / name).write_text('{"nodes": [{"id": "owners", "port": 20000, "peer_port": 21000}]}')
    demo.discard_unfinished(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"owners", "cluster.json", "logins.json"}
    (tmp_path / demo.UNFINISHED).touch()
    demo.discard_unfinished(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [demo.UNFINISHED]


def test_the_ports_of_a_demo_never_change(tmp_path: Path) -> None:
    assert demo.choose_port_base(tmp_path, None) == demo.PORT_BASE
    assert demo.choose_port_base(tmp_path, 20_500) == 20_500
    (tmp_path / "cluster.json").write_text('{"nodes": [{"id": "owners", "port": 20000, "peer_port": 21000}]}')
    assert demo.choose_port_base(tmp_path, None) == demo.choose_port_base(tmp_path, 20_000) == 20_000
    with pytest.raises(Obstacle, match="has the ports from 20000"):
        demo.choose_port_base(tmp_path, 20_500)


@pytest.mark.parametrize("port", ["0", "63535", "http", "-1", "8101.5"])
def test_a_port_that_is_none_is_refused_in_a_sentence(port: str, tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPTS / "demo.py"), "--data", str(tmp_path), f"--port-base={port}"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert f"a number from {PORT_BASES.start} to {PORT_BASES.stop - 1} is needed" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.cluster
@pytest.mark.xdist_group("cluster")
@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_demo_leaves_no_process_and_is_known_to_be_unfinished(
    ending: signal.Signals, tmp_path: Path
) -> None:
    data = tmp_path / "香山 苑"
    # Whoever runs the tests beside something else may have them ignore SIGINT, which a new process inherits.
    command = ["env", "--default-signal", sys.executable, str(SCRIPTS / "demo.py")]
    command += ["--data", str(data), f"--port-base={free_base()}"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    begun: list[str] = []
    while "Loading the demo estate" not in "".join(begun[-1:]):
        begun.append(process.stderr.readline())
        if not begun[-1]:
            process.communicate()
            pytest.fail("the demo ended: " + "".join(begun))
    running = processes_of(data)
    process.send_signal(ending)
    _, said = process.communicate(timeout=60)
    assert len(running) >= 4
    assert process.returncode == 128 + ending
    assert "Traceback" not in said
    assert (data / demo.UNFINISHED).exists()
    assert not processes_of(data)
    port_base = demo.read_port_base(data)
    assert port_base is not None
    assert not find_taken_ports(port_base)


def test_no_two_photos_of_the_demo_are_the_same_picture() -> None:
    """A photo belongs to the ticket that named it first: a second ticket with the same one could not show it."""
    pictures = [clean_photo(demo_estate.sample_photo()) for _ in range(3)]
    assert len({picture.sha256 for picture in pictures}) == 3
