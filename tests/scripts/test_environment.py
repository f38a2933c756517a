"""`.venv`: made once from hashed lists, brought up to date when they change, and clear about what is wrong."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

import environment
from environment import Environment, SetupError

SCRIPTS = Path(environment.__file__).parent
UPDATE = (
    "import sys; from pathlib import Path; from environment import *; Environment(Path(sys.argv[1])).update('runtime')"
)


def write_wheel(folder: Path, version: str) -> str:
    """A package of one module, as a wheel; returns its line in a list."""
    path = folder / f"linli_sample-{version}-py3-none-any.whl"
    information = f"linli_sample-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("linli_sample.py", f"VERSION = {version!r}\n")
        wheel.writestr(f"{information}/METADATA", f"Metadata-Version: 2.1\nName: linli-sample\nVersion: {version}\n")
        wheel.writestr(f"{information}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{information}/RECORD", "")
    return f"linli-sample=={version} \\\n    --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose list holds one package; its environment is made by the first test that needs it."""
    folder = tmp_path_factory.mktemp("project")
    for name in environment.LISTS.values():
        (folder / name).write_text("")
    return folder


@pytest.fixture
def offline(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Packages come from the project's folder alone."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(project))


def version_in(project: Path) -> str:
    code = "import linli_sample, sys; print(linli_sample.VERSION, sys.prefix)"
    done = subprocess.run([str(project / ".venv/bin/python"), "-c", code], capture_output=True, text=True, check=True)
    version, prefix = done.stdout.split()
    assert Path(prefix) == project / ".venv"
    return version


@pytest.mark.usefixtures("offline")
def test_two_processes_at_once_make_one_environment(project: Path) -> None:
    (project / "requirements.txt").write_text(write_wheel(project, "1.0"))
    command = [sys.executable, "-c", UPDATE, str(project)]
    processes = [
        subprocess.Popen(command, cwd=SCRIPTS, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = [process.communicate(timeout=100)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said
    assert sum("Making" in text for text in said) == 1
    assert version_in(project) == "1.0"
    assert Environment(project).is_current("runtime")
    assert not Environment(project).is_current("dev")


@pytest.mark.usefixtures("offline")
def test_a_changed_list_is_installed(project: Path) -> None:
    Environment(project).update("runtime")
    (project / "requirements.txt").write_text(write_wheel(project, "2.0"))
    assert not Environment(project).is_current("runtime")
    Environment(project).update("runtime")
    assert version_in(project) == "2.0"


@pytest.mark.usefixtures("offline")
def test_a_current_environment_is_left_alone(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Environment(project).update("runtime")
    capsys.readouterr()
    before = (project / ".venv/linli.json").stat().st_mtime_ns
    Environment(project).update("runtime")
    assert capsys.readouterr().err == ""
    assert (project / ".venv/linli.json").stat().st_mtime_ns == before


@pytest.mark.usefixtures("offline")
def test_an_environment_whose_python_is_gone_is_made_anew(project: Path) -> None:
    (project / "requirements.txt").write_text(write_wheel(project, "1.0"))
    Environment(project).update("runtime")
    (project / ".venv/bin/python").unlink()
    assert not Environment(project).is_current("runtime")
    Environment(project).update("runtime")
    assert version_in(project)


@pytest.mark.usefixtures("offline")
def test_a_package_that_was_altered_is_refused(project: Path) -> None:
    (project / "requirements.txt").write_text(
        write_wheel(project, "3.0").replace("sha256:", "sha256:" + "0" * 64)[:-65]
    )
    with pytest.raises(SetupError, match="not the one that was recorded"):
        Environment(project).update("runtime")
    assert not Environment(project).is_current("runtime")


def test_an_index_that_does_not_answer_is_named_as_the_reason(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    (project / "requirements.txt").write_text("linli-absent==1.0 --hash=sha256:" + "0" * 64)
    with pytest.raises(SetupError, match="The package index did not answer"):
        Environment(project).update("runtime")


def test_a_full_disk_is_said_before_anything_is_installed(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(environment.FREE_BYTES_MIN, "runtime", 1 << 60)
    (project / "requirements.txt").write_text("# another list\n")
    with pytest.raises(SetupError, match="MiB free"):
        Environment(project).update("runtime")


def test_an_old_python_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 9, 18))
    with pytest.raises(SetupError, match=r"Python 3\.11 or newer is needed"):
        environment.ensure("runtime")


def test_a_script_continues_inside_the_environment() -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import environment; environment.reexec_in_environment('dev');"
        "import server.limits; print(sys.prefix, sys.argv[2:])"
    )
    outside = Path(sys.base_prefix) / "bin" / "python3"
    done = subprocess.run([outside, "-c", code, SCRIPTS, "a b"], cwd="/", capture_output=True, text=True)
    assert done.stdout.split(maxsplit=1) == [str(environment.ROOT / ".venv"), "['a b']\n"], done.stderr


@pytest.mark.parametrize("wish", [{"browser": True}, {"database": True}])
def test_what_a_machine_lacks_is_demanded_in_ci_and_said_elsewhere(
    wish: dict[str, bool], lacking_machine: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(SetupError, match="CI needs everything: a program that does not exist"):
        environment.ensure("dev", **wish)
    monkeypatch.delenv("CI")
    environment.ensure("dev", **wish)
    said = capsys.readouterr()
    assert "sudo apt-get update && sudo apt-get install --yes no-such-package" in said.out
    assert "Going on without" in said.err


def test_one_command_brings_all_that_a_machine_lacks(
    lacking_machine: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    absent = environment.machine.Program("Python's venv module", "no-venv-package", lambda: None)
    monkeypatch.setattr(environment.machine, "VENV_MODULE", absent)
    fresh = Environment(tmp_path)
    monkeypatch.setattr(environment, "Environment", lambda: fresh)
    with pytest.raises(SetupError, match="first run the command above"):
        environment.ensure("dev", database=True)
    assert (
        "sudo apt-get update && sudo apt-get install --yes no-venv-package no-such-package" in capsys.readouterr().out
    )


@pytest.fixture
def lacking_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which a program is missing, used by somebody who may not install it."""
    absent = environment.machine.Program("a program that does not exist", "no-such-package", lambda: None)
    find: Callable[[], int] = lambda: 1_000  # noqa: E731
    monkeypatch.setattr(environment.machine, "BROWSERS", (absent,))
    monkeypatch.setattr(environment.machine, "DATABASES", (absent,))
    monkeypatch.setattr(environment.machine, "os", SimpleNamespace(geteuid=find))
