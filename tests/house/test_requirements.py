"""The lists of packages: exact, hashed, in agreement with what is asked for and with each other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

import environment
from tests.house.sources import ROOT

LISTS = ("requirements", "requirements-dev", "requirements-node")
PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^]]*])?==(\S+)(.*(?:\n    .*)*)", re.MULTILINE)


def plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def read_pins(name: str) -> dict[str, set[Version]]:
    """Each package's versions; several where they differ by platform."""
    pins: dict[str, set[Version]] = {}
    for package, version, _ in PIN.findall((ROOT / f"{name}.txt").read_text()):
        pins.setdefault(plain(package), set()).add(Version(version))
    return pins


def read_wishes(name: str) -> list[Requirement]:
    lines = (line.partition("#")[0].strip() for line in (ROOT / f"{name}.in").read_text().splitlines())
    return [Requirement(line) for line in lines if line and not line.startswith("-")]


@pytest.mark.parametrize("name", LISTS)
def test_every_wish_is_pinned_to_a_version_that_fulfils_it(name: str) -> None:
    pins = read_pins(name)
    for wish in read_wishes(name):
        assert pins.get(plain(wish.name)), f"{wish.name} is not in {name}.txt: python3 scripts/check.py --lock"
        assert all(version in wish.specifier for version in pins[plain(wish.name)])


@pytest.mark.parametrize("name", LISTS)
def test_every_package_is_held_by_its_hash(name: str) -> None:
    entries = PIN.findall((ROOT / f"{name}.txt").read_text())
    assert entries
    assert not [package for package, _, rest in entries if "--hash=sha256:" not in rest]


def test_the_tools_run_on_the_very_packages_of_a_node() -> None:
    runtime, everything = read_pins("requirements"), read_pins("requirements-dev")
    assert {name: everything.get(name) for name in runtime} == runtime


@pytest.mark.parametrize("name", LISTS)
def test_no_list_names_an_index(name: str) -> None:
    for suffix in (".in", ".txt"):
        text = (ROOT / f"{name}{suffix}").read_text()
        assert not re.search(r"index-url|find-links|https?://", text)


def test_every_wish_has_an_upper_bound_and_a_node_needs_a_reason_for_it() -> None:
    for name in LISTS:
        for wish in read_wishes(name):
            assert {"<", "=="} & {part.operator for part in wish.specifier}, wish
    lines = [line for line in (ROOT / "requirements.in").read_text().splitlines() if line and not line.startswith("#")]
    assert not [line for line in lines if "#" not in line]


def test_the_list_is_found_where_the_environment_looks_for_it() -> None:
    assert {Path(name).stem for name in environment.LISTS.values()} == set(LISTS)
