"""How a case and a file of vectors look."""

from collections.abc import Sequence
from typing import Any

Case = dict[str, Any]


def good(name: str, **members: Any) -> Case:
    """A case that every implementation accepts."""
    return {"name": name, **members, "valid": True}


def bad(name: str, reason: str, **members: Any) -> Case:
    """A case that every implementation refuses, with the reason's code."""
    return {"name": name, **members, "valid": False, "reason": reason}


def vector_file(description: str, cases: Sequence[Case], **shared: Any) -> dict[str, Any]:
    """A file of vectors; `shared` is what several cases refer to. Raises ValueError when a name stands twice."""
    names = [case["name"] for case in cases]
    if len(set(names)) != len(names):
        raise ValueError(f"two cases of one name: {sorted(name for name in names if names.count(name) > 1)}")
    return {"description": description, **shared, "cases": list(cases)}
