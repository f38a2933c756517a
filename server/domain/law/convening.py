"""When owners are called together: a fifth of them may ask for it (Shanghai art. 25; law.md V15)."""

from __future__ import annotations


def is_one_fifth(part: int, whole: int) -> bool:
    """百分之二十以上: 5 part >= whole."""
    return 5 * part >= whole


def petition_min(whole: int) -> int:
    """The fewest heads that are a fifth of `whole`."""
    return -(-whole // 5)
