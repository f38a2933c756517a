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


def next_character(character: str) -> str:
    """The next character of base64url: as the last one of a text, another spelling of the same bytes."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return alphabet[alphabet.index(character) + 1]


def respelled(text: str) -> str:
    """The same bytes with a trailing bit that is not zero; base64 with padding or base64url without."""
    bare = text.rstrip("=")
    return bare[:-1] + next_character(bare[-1]) + text[len(bare) :]


def changed(text: str, old: str, new: str) -> str:
    """The text with one `old`, which must be there, as `new`."""
    assert old in text, old
    return text.replace(old, new, 1)


def vector_file(description: str, cases: Sequence[Case], **shared: Any) -> dict[str, Any]:
    """A file of vectors; `shared` is what several cases refer to. Raises ValueError when a name stands twice."""
    names = [case["name"] for case in cases]
    if len(set(names)) != len(names):
        raise ValueError(f"two cases of one name: {sorted(name for name in names if names.count(name) > 1)}")
    return {"description": description, **shared, "cases": list(cases)}
