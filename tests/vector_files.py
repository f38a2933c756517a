"""The committed vectors of schemas/vectors, as parameters of tests."""

import json
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).resolve().parents[1] / "schemas" / "vectors"


def read_vectors(name: str) -> dict[str, Any]:
    """A vector file."""
    content: dict[str, Any] = json.loads((FOLDER / name).read_text("utf-8"))
    return content


def vector_cases(name: str, valid: bool | None = None) -> list[Any]:
    """The cases of a file, all or only the valid or invalid ones, each under its name."""
    cases = read_vectors(name)["cases"]
    return [pytest.param(case, id=case["name"]) for case in cases if valid in (None, case["valid"])]
