"""One spelling for what people type: full-width signs, odd spaces, dashes and dots. Pure; knows nothing of rosters.

NFKC first (Unicode annex 15), because Chinese input methods and spreadsheets mix full-width and half-width forms of
one sign; then what NFKC leaves apart although no reader could tell it apart.
"""

import re
import unicodedata

_LETTERS_THAT_SHOW_NOTHING = frozenset("\u115f\u1160\u3164\uffa0\u2800")
"""Hangul fillers and the braille blank: letters to Unicode, empty to a reader."""
_SLASHES = str.maketrans({"\u2044": "/", "\u2215": "/", "\u29f8": "/"})
_MINUS = "\u2212"
_DOTS = "\u2022\u2027\u30fb\u2219\u22c5\u16eb"
EAST_ASIAN = "\u2e80-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_STOP_BETWEEN_CHARACTERS = re.compile(rf"(?<=[{EAST_ASIAN}])\.(?=[{EAST_ASIAN}])")
_NEEDLESS_SPACE = re.compile(rf" ?([{EAST_ASIAN}·()]) ?")


def fold(text: str) -> str:
    """Return `text` in NFKC, every kind of space as U+0020, slashes as "/", without signs that show nothing."""
    if text.isascii() and text.isprintable():
        return text.strip()  # most cells; nothing to fold
    signs = unicodedata.normalize("NFKC", text).translate(_SLASHES)
    return _compose("".join(_fold_sign(sign) for sign in signs)).strip()


def fold_tight(text: str) -> str:
    """Return `fold(text)` without any space: for numbers, codes and headings."""
    return _compose(fold(text).replace(" ", ""))


def fold_dashes(text: str) -> str:
    """Return `text` with every dash and minus sign as "-"."""
    return "".join("-" if sign == _MINUS or unicodedata.category(sign) == "Pd" else sign for sign in text)


def fold_name(text: str) -> str:
    """Return a person's or company's name in the one spelling in which names are compared.

    The separating dot of names such as 阿依古丽·买买提 becomes U+00B7 whichever dot was typed; spaces stay only between
    words of letters ("John Smith"), not between or beside Chinese characters.
    """
    name = re.sub(f"[{_DOTS}]", "·", fold(text))
    name = _STOP_BETWEEN_CHARACTERS.sub("·", name)
    return _compose(_NEEDLESS_SPACE.sub(r"\1", re.sub(r" +", " ", name)))


def _compose(text: str) -> str:
    """Return NFKC again: a mark may have come to stand beside its letter when what was between them went."""
    return unicodedata.normalize("NFKC", text)


def _fold_sign(sign: str) -> str:
    if sign.isspace():
        return " "
    if sign in _LETTERS_THAT_SHOW_NOTHING or _is_variation_selector(sign):
        return ""
    # Cf are format signs: zero-width space, byte order mark, bidirectional marks. Control signs stay, to be refused.
    return "" if unicodedata.category(sign) == "Cf" else sign


def _is_variation_selector(sign: str) -> bool:
    # They choose a drawing of the same character; two drawings of a name are one name.
    return "\ufe00" <= sign <= "\ufe0f" or "\U000e0100" <= sign <= "\U000e01ef"
