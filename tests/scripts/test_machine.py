"""machine.py: whoever waits for apt-get reads how far it is, and nothing that apt-get says gets lost."""

from __future__ import annotations

import pytest

import machine

UPDATE = ["Get:1 http://mirror.example bookworm InRelease\n", "Fetched 9,123 kB in 2s\n", "Reading package lists...\n"]
INSTALL = [
    "0 upgraded, 6 newly installed, 0 to remove and 4 not upgraded.\n",
    "Need to get 11.9 MB of archives.\n",
    *(f"Unpacking package-{number} (1.0) ...\n" for number in range(6)),
    *(f"Setting up package-{number} (1.0) ...\n" for number in range(6)),
]


@pytest.mark.parametrize("lines", [UPDATE, INSTALL, []])
def test_every_line_is_handed_on(lines: list[str]) -> None:
    assert list(machine.tell_progress(lines)) == lines


def test_an_installation_is_told_in_thirds(capsys: pytest.CaptureFixture[str]) -> None:
    list(machine.tell_progress(INSTALL))
    said = [line.strip() for line in capsys.readouterr().out.splitlines()]
    thirds = [f"{word} package {number} of 6" for word in ("unpacking", "setting up") for number in (2, 4, 6)]
    assert said == ["fetching 11.9 MB", *thirds]


def test_new_package_lists_are_no_installation(capsys: pytest.CaptureFixture[str]) -> None:
    list(machine.tell_progress(UPDATE))
    assert capsys.readouterr().out == ""


def test_nothing_to_install_is_no_progress(capsys: pytest.CaptureFixture[str]) -> None:
    list(machine.tell_progress(["0 upgraded, 0 newly installed, 0 to remove.\n", "Setting up stray (1.0) ...\n"]))
    assert capsys.readouterr().out == ""
