"""Valid random bodies of any shape, from an integer seed: the workload of the simulator, and of tests.

Everything follows from the declared types, so a new kind needs nothing here. It knows no kind; the same seed gives the
same body on every machine. Not for keys or salts of real records: nothing here is secret.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from hashlib import sha256
from typing import Any, TypeVar

import msgspec
from msgspec import inspect

from server.limits import INTEGER_MAX
from server.record.kind import RecordKind, private_fields_of
from server.record.shape import SALT_BYTES, seal

T = TypeVar("T")
_ALPHABET = "".join(map(chr, range(0x20, 0x7F))) + "\n邻里业主表决同意维修加装电梯é€😀"
"""Characters that free text is drawn from: ASCII, a line break, Chinese, and what needs two and four bytes."""
_ITEMS_MAX = 3
"""Items of a list whose shape sets no bound below."""
_TEXT_MAX = 40
"""Characters of a repetition, unless the pattern wants more."""


class Sample(msgspec.Struct, frozen=True):
    """A body as it stands in a payload, and the openings of its private fields by commitment."""

    body: dict[str, Any]
    openings: dict[str, bytes]


class Draw:
    """Mutable. A stream of numbers from a seed: SHA-256 in counter mode."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._count = 0

    def block(self) -> bytes:
        """The next 32 bytes."""
        self._count += 1
        return sha256(f"linli/sample\n{self._seed}\n{self._count}".encode()).digest()

    def integer(self, low: int, high: int) -> int:
        """A number from `low` to `high`, both included; evenly but for a bias below 2^-128."""
        assert low <= high
        return low + int.from_bytes(self.block()) % (high - low + 1)

    def pick(self, values: Sequence[T]) -> T:
        """One of the values."""
        return values[self.integer(0, len(values) - 1)]


def sample_record(kind: type[RecordKind], seed: int, fixed: Mapping[str, Any] | None = None) -> Sample:
    """A body of a kind with true commitments to private values. `fixed`: public fields that are given.

    For private fields `fixed` gives the private value.
    """
    draw, given = Draw(seed), dict(fixed or {})
    private = private_fields_of(kind)
    body = sample_body(kind, draw.integer(0, INTEGER_MAX), given)
    openings: dict[str, bytes] = {}
    for name, value_type in private.items():
        value = given[name] if name in given else sample_value(value_type, draw)
        commitment, opening = seal(value, draw.block()[:SALT_BYTES])
        body[name] = commitment
        openings[commitment] = opening
    return Sample(body, openings)


def sample_body(shape: type[msgspec.Struct], seed: int, fixed: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A value that `shape` accepts, as plain objects; `fixed` gives some of its members."""
    drawn = sample_value(shape, Draw(seed))
    assert isinstance(drawn, dict)
    return {**drawn, **(fixed or {})}


def sample_value(value_type: Any, draw: Draw) -> Any:
    """A value of a declared type. Raises TypeError for a type that records cannot hold."""
    return _sample(inspect.type_info(value_type), draw)


def _sample(info: inspect.Type, draw: Draw) -> Any:
    while isinstance(info, inspect.Metadata):
        info = info.type
    for known, sample in _SAMPLERS:
        if isinstance(info, known):
            return sample(info, draw)
    raise TypeError(f"records hold no {info}")


def _sample_struct(info: inspect.StructType, draw: Draw) -> dict[str, Any]:
    return {field.encode_name: _sample(field.type, draw) for field in info.fields}


def _sample_integer(info: inspect.IntType, draw: Draw) -> int:
    low = info.ge if info.ge is not None else (info.gt + 1 if info.gt is not None else 0)
    high = info.le if info.le is not None else (info.lt - 1 if info.lt is not None else INTEGER_MAX)
    # The bounds themselves, small numbers, and anything: where mistakes are.
    return draw.integer(low, draw.pick((low, min(high, low + 10), high)))


def _sample_text(info: inspect.StrType, draw: Draw) -> str:
    if info.pattern is not None:
        return "".join(_repeat(part, draw) for part in pattern_parts(info.pattern))
    length = draw.integer(info.min_length or 0, info.max_length or _TEXT_MAX)
    return "".join(draw.pick(_ALPHABET) for _ in range(length))


def _sample_list(info: inspect.VarTupleType | inspect.ListType, draw: Draw) -> list[Any]:
    low = info.min_length or 0
    high = min(low + _ITEMS_MAX, info.max_length) if info.max_length is not None else low + _ITEMS_MAX
    return [_sample(info.item_type, draw) for _ in range(draw.integer(low, high))]


_SAMPLERS: tuple[tuple[Any, Callable[[Any, Draw], Any]], ...] = (
    (inspect.StructType, _sample_struct),
    (inspect.IntType, _sample_integer),
    (inspect.StrType, _sample_text),
    (inspect.BoolType, lambda info, draw: draw.pick((False, True))),
    (inspect.LiteralType, lambda info, draw: draw.pick(tuple(info.values))),
    ((inspect.VarTupleType, inspect.ListType), _sample_list),
)


class PatternPart(msgspec.Struct, frozen=True):
    """A repeated piece of a pattern: characters to draw from, or parts in a group."""

    characters: str
    parts: tuple[PatternPart, ...]
    least: int
    most: int


_PIECE = re.compile(
    r"(?P<set>\[\^?(?:\\.|[^\]\\])+\])|(?P<group>\((?!\?)(?P<inner>[^()]*)\))|(?P<char>\\.|[^\\\[\](){}?*+|^$])"
)
_TIMES = re.compile(r"\{(\d+)(?:,(\d+))?\}|(\?)")


@lru_cache(maxsize=256)
def pattern_parts(pattern: str) -> tuple[PatternPart, ...]:
    r"""The parts of a pattern of ours: `^`, sets, characters and flat groups with `{m}`, `{m,n}` or `?`, `$(?!\n)`.

    Raises ValueError for any other pattern: a shape whose patterns cannot be sampled would go untested.
    """
    text = pattern.removeprefix("^").removesuffix(r"(?!\n)").removesuffix("$")
    parts, at = [], 0
    while at < len(text):
        piece = _PIECE.match(text, at)
        if piece is None:
            raise ValueError(f"cannot sample the pattern {pattern} from {text[at:]}")
        times = _TIMES.match(text, piece.end())
        parts.append(_part(piece, times))
        at = times.end() if times else piece.end()
    return tuple(parts)


def _part(piece: re.Match[str], times: re.Match[str] | None) -> PatternPart:
    least, most = 1, 1
    if times is not None:
        least = 0 if times[3] else int(times[1])
        most = 1 if times[3] else int(times[2] or times[1])
    if piece["group"] is not None:
        return PatternPart("", pattern_parts(piece["inner"]), least, most)
    allowed = re.compile(piece["set"] or piece["char"])
    characters = "".join(character for character in _ALPHABET if allowed.fullmatch(character))
    return PatternPart(characters, (), least, most)


def _repeat(part: PatternPart, draw: Draw) -> str:
    most = min(part.most, part.least + _TEXT_MAX)
    times = draw.integer(part.least, draw.pick((part.least, most)))
    if part.parts:
        return "".join("".join(_repeat(inner, draw) for inner in part.parts) for _ in range(times))
    return "".join(draw.pick(part.characters) for _ in range(times))
