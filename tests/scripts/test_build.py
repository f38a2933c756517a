"""build.py: a build is repeated when, and only when, something that it reads has changed."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

import build
import environment
from environment import SetupError

BUILD = (
    "import sys, build; from pathlib import Path; build.ROOT = Path(sys.argv[1]);"
    "build.MINIAPP = build.ROOT / 'miniapp'; build.build('web')"
)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A mini-app without packages whose build writes down what it read, and how often it ran."""
    for folder in ("miniapp/src", "miniapp/node_modules", "schemas"):
        (tmp_path / folder).mkdir(parents=True)
    run = "mkdir -p dist/web && cat src/app.json >> dist/web/built"
    package = {"name": "sample", "version": "1.0.0", "scripts": {"build:web": run, "build:weapp": "exit 7"}}
    lock = {"name": "sample", "version": "1.0.0", "lockfileVersion": 3, "packages": {"": {"name": "sample"}}}
    (tmp_path / "miniapp/package.json").write_text(json.dumps(package))
    (tmp_path / "miniapp/package-lock.json").write_text(json.dumps(lock))
    (tmp_path / "miniapp/tsconfig.json").write_text("{}")
    (tmp_path / "miniapp/src/app.json").write_text("one.")
    monkeypatch.setattr(build, "ROOT", tmp_path)
    monkeypatch.setattr(build, "MINIAPP", tmp_path / "miniapp")
    return tmp_path


def test_a_build_is_repeated_only_when_a_source_changed(project: Path) -> None:
    built = build.build("web") / "built"
    build.build("web")
    assert built.read_text() == "one."
    (project / "miniapp/src/app.json").write_text("two.")
    build.build("web")
    assert built.read_text() == "one.two."
    (project / "schemas/openapi.json").write_text("{}")
    build.build("web")
    assert built.read_text() == "one.two.two."
    build.build("web", force=True)
    assert built.read_text() == "one.two.two.two."


def test_a_build_that_fails_says_so_and_is_tried_again(project: Path) -> None:
    for _ in range(2):
        with pytest.raises(SetupError, match="build:weapp"):
            build.build("weapp")


def test_the_wechat_build_is_made_anew_for_another_estate(project: Path) -> None:
    package = json.loads((project / "miniapp/package.json").read_text())
    package["scripts"]["build:weapp"] = "mkdir -p dist/weapp && sh -c 'cat \"$2\" >> dist/weapp/built' build"
    (project / "miniapp/package.json").write_text(json.dumps(package))
    estate = project / "estate.json"
    for text in ("one.", "one.", "two."):
        estate.write_text(text)
        built = build.build("weapp", estate=estate) / "built"
    assert built.read_text() == "one.two."
    with pytest.raises(SetupError, match="There is no"):
        build.build("weapp", estate=project / "nowhere.json")


def test_a_wechat_build_without_an_estate_says_where_to_get_one(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["build.py", "weapp"])
    with pytest.raises(SystemExit, match="2"):
        build.main()
    assert "--estate FILE" in capsys.readouterr().err


def test_two_builds_at_once_are_one(project: Path) -> None:
    command = [sys.executable, "-c", BUILD, str(project)]
    processes = [subprocess.Popen(command, cwd=Path(build.__file__).parent, stderr=subprocess.PIPE) for _ in range(2)]
    for process in processes:
        process.communicate(timeout=60)
    assert [process.returncode for process in processes] == [0, 0]
    assert (project / "miniapp/dist/web/built").read_text() == "one."


def test_a_build_goes_on_alone_when_its_maker_is_killed(project: Path) -> None:
    """npm outlives a killed program: who comes next waits for it, since two of them in one folder spoil each other."""
    package = json.loads((project / "miniapp/package.json").read_text())
    package["scripts"]["build:web"] = "sleep 1; mkdir -p dist/web && echo done >> dist/web/built"
    (project / "miniapp/package.json").write_text(json.dumps(package))
    command = [sys.executable, "-c", BUILD, str(project)]
    with subprocess.Popen(command, cwd=Path(build.__file__).parent, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "Building" in line:
                break
        time.sleep(0.5)  # npm starts
        process.kill()
    with environment.held(project / "miniapp", "testing"):
        assert (project / "miniapp/dist/web/built").read_text() == "done\n"
