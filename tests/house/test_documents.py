"""Documents hold true: commands exist with the options that are shown, links lead somewhere, settings are all there."""

from __future__ import annotations

import functools
import re
import shlex
import subprocess
import sys
import types
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from server.config import Config
from tests.house.sources import ROOT, name_of, project_files, python_files

PAGES = [path for path in project_files() if path.suffix == ".md"]
READMES = ("README.md", "README.zh-CN.md")
COMMAND = re.compile(r"python3? (?:scripts/[\w/]+\.py|-m server)[^`|\n]*")
LINK = re.compile(r"\]\(([^)\s]+)\)")
HELP_SECONDS_MAX = 60


def commands_of(page: Path) -> list[str]:
    """Every command line of ours that a page shows, in code blocks and between backticks."""
    return [found.strip() for found in COMMAND.findall(page.read_text("utf-8"))]


COMMANDS = sorted({(name_of(page), command) for page in PAGES for command in commands_of(page)})


@functools.cache
def help_of(*program: str) -> str:
    """What the program says about itself; it must do so without a network, a database or a configuration."""
    command = [sys.executable, *program, "--help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=HELP_SECONDS_MAX)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


@pytest.mark.parametrize(("page", "command"), COMMANDS)
def test_a_command_that_a_page_shows_exists_with_these_options(page: str, command: str) -> None:
    words = shlex.split(command, comments=True)[1:]
    length = 2 if words[0] == "-m" else 1
    program, rest = words[:length], words[length:]
    options = [word.partition("=")[0].strip("[]") for word in rest if word.strip("[").startswith("--")]
    text = help_of(*program)
    if rest and re.search(rf"[{{,]{re.escape(rest[0])}[,}}]", text):
        text += help_of(*program, rest[0])
    missing = [option for option in options if not re.search(rf"(?<![\w-]){option}(?![\w-])", text)]
    assert not missing, f"{page} shows {missing}, which `{' '.join(program)} --help` does not know"


def test_every_program_is_shown_in_both_languages() -> None:
    programs = {name_of(path) for path in python_files("scripts") if '__name__ == "__main__"' in path.read_text()}
    for readme in READMES:
        shown = {word for command in commands_of(ROOT / readme) for word in command.split()}
        assert programs <= shown, f"{readme} does not show {sorted(programs - shown)}"


def test_both_languages_show_the_same_commands() -> None:
    english, chinese = (set(commands_of(ROOT / name)) for name in READMES)
    assert english == chinese


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_a_link_leads_to_a_file_and_to_a_heading(page: Path) -> None:
    for target in LINK.findall(page.read_text("utf-8")):
        if "://" in target or target.startswith("mailto:"):
            continue
        name, _, heading = target.partition("#")
        file = page.parent / name if name else page
        assert file.exists(), f"{name_of(page)} links to {target}"
        assert not heading or heading in anchors_of(file), f"{name_of(page)} links to {target}"


def anchors_of(page: Path) -> set[str]:
    """The anchors that a page's headings get."""
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_setting_is_documented_with_its_default() -> None:
    expected = "\n".join(rows_of(Config))
    heading = "| setting | default | meaning |\n|---|---|---|\n"
    table = (ROOT / "README.md").read_text("utf-8").partition(heading)[2].partition("\n\n")[0]
    assert table == expected, f"README.md, Settings of a node, should read:\n{heading}{expected}"


def rows_of(shape: type[msgspec.Struct], prefix: str = "") -> Iterator[str]:
    """A table row for each setting; tables of settings are walked into."""
    for field in msgspec.structs.fields(shape):
        name = f"{prefix}{field.encode_name}"
        nested, label = _nested(field.type, name)
        if nested is not None:
            yield from rows_of(nested, f"{label}.")
            continue
        description = _description(field.type)
        assert description, f"the setting {name} says nothing about itself"
        default = (
            "required" if field.default is msgspec.NODEFAULT else f"`{msgspec.json.encode(field.default).decode()}`"
        )
        yield f"| `{name}` | {default} | {description} |"


def _nested(kind: object, name: str) -> tuple[type[msgspec.Struct] | None, str]:
    if isinstance(kind, types.GenericAlias) and kind.__origin__ is dict:
        return kind.__args__[1], f"{name}.<name>"
    return (kind, name) if isinstance(kind, type) and issubclass(kind, msgspec.Struct) else (None, name)


def _description(kind: object) -> str:
    notes = [note for note in getattr(kind, "__metadata__", ()) if isinstance(note, msgspec.Meta)]
    return next((note.description for note in reversed(notes) if note.description), "")
