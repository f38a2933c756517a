"""Which of our two languages a reader wants, by Accept-Language (RFC 9110 12.5.4)."""

from __future__ import annotations

LANGUAGE_ZH = "zh-CN"
LANGUAGE_EN = "en"
_RANGES_MAX = 20
"""Longer lists are cut: no browser sends more."""


def choose_language(header: str) -> str:
    """`zh-CN` or `en`: the one with the higher weight, Chinese where neither is asked for."""
    best, best_weight = LANGUAGE_ZH, 0.0
    for part in header.split(",")[:_RANGES_MAX]:
        tag, _, parameters = part.strip().partition(";")
        language = _ours(tag.strip().lower())
        weight = _weight(parameters)
        if language and weight > best_weight:
            best, best_weight = language, weight
    return best


def _ours(tag: str) -> str:
    if tag == "en" or tag.startswith("en-"):
        return LANGUAGE_EN
    if tag in ("zh", "*") or tag.startswith("zh-"):
        return LANGUAGE_ZH
    return ""


def _weight(parameters: str) -> float:
    name, _, value = parameters.strip().partition("=")
    if name.strip().lower() != "q":
        return 1.0
    value = value.strip()
    return (
        float(value)
        if len(value) <= 5 and value.replace(".", "", 1).isascii() and value.replace(".", "", 1).isdigit()
        else 0.0
    )
