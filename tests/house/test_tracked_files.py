"""What must never be committed: this machine's paths and names, and people's numbers."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable

import pytest

from tests.house.sources import ROOT, name_of, project_files, texts

PATHS = re.compile(r"(?<![\w./-])/(?:work|root|home/[a-z]\w*|Users/\w+|opt/wheels)(?:/|\b)")
SECRETS = re.compile("-----BEGIN (?:EC |RSA |OPENSSH |ENCRYPTED )?PRIVATE" + " KEY-----")
PHONE = re.compile(r"(?<![0-9A-Za-z_./+-])1[3-9]\d{9}(?![0-9A-Za-z_])")
DEMO_PHONE = re.compile(r"1380013800\d|1380000\d{4}")
"""13800138000 is every Chinese form's example; the demo estate's people have numbers of 1380000xxxx."""
IDENTITY = re.compile(
    r"(?<![0-9A-Za-z_])[1-9]\d{5}(?:18|19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\d{3}[\dXx](?!\w)"
)
NOBODYS_IDENTITY = "310000"
"""GB/T 2260 for Shanghai as a whole: cards name a district, so numbers that begin so, as in the demo, are nobody's."""
STANDARD_EXAMPLES = {"11010519491231002X", "440524188001010014"}
"""The two numbers that GB 11643-1999 itself prints."""
FILE_BYTES_MAX = 3_000_000


def is_identity_number(text: str) -> bool:
    """Whether the check character of GB 11643 fits."""
    total = sum(int(digit) * (2 ** (17 - place) % 11) for place, digit in enumerate(text[:17]))
    return "10X98765432"[total % 11] == text[17].upper()


def find_phones(text: str) -> list[str]:
    return [found for found in PHONE.findall(text) if not DEMO_PHONE.fullmatch(found)]


def find_identity_numbers(text: str) -> list[str]:
    found = IDENTITY.findall(text)
    real = [number for number in found if is_identity_number(number) and not number.startswith(NOBODYS_IDENTITY)]
    return [number for number in real if number.upper() not in STANDARD_EXAMPLES]


@pytest.mark.parametrize(
    ("find", "guilty", "innocent"),
    [
        (find_phones, "call 139" + "12345678 now", "time 1731912345678, hash a13912345678, 13800138000"),
        (
            find_identity_numbers,
            "id 110101199003" + "074610.",
            "11010519491231002X 110101199003074612 310000193807110021",
        ),
        (PATHS.findall, "see /wo" + "rk/main/x", "a/work/b, framework/, /workers"),
        (PATHS.findall, "in /ro" + "ot/.config", "the /rooted tree, https://host/home"),
    ],
)
def test_the_patterns_find_what_they_are_for(find: Callable[[str], list[str]], guilty: str, innocent: str) -> None:
    assert find(guilty)
    assert not find(innocent)


def test_no_file_names_a_place_on_the_machine_where_it_was_written() -> None:
    host = socket.gethostname()
    telling = len(host) > 4 and host not in ("localhost", "localhost.localdomain")
    found = {
        name_of(path): hits
        for path, text in texts()
        if (hits := [*PATHS.findall(text), *([host] if telling and host in text else [])])
    }
    assert not found


def test_no_file_outside_the_tests_holds_a_persons_number() -> None:
    found = {
        name_of(path): hits
        for path, text in texts()
        if ROOT / "tests" not in path.parents and (hits := find_phones(text) + find_identity_numbers(text))
    }
    assert not found


def test_no_file_holds_a_private_key() -> None:
    assert not [name_of(path) for path, text in texts() if SECRETS.search(text) and path.suffix != ".py"]


def test_no_file_is_large() -> None:
    assert not [name_of(path) for path in project_files() if path.stat().st_size > FILE_BYTES_MAX]
