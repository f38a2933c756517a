"""Length-prefixed byte strings: how frames, certificates and journal entries hold their parts. It knows no message."""

from __future__ import annotations

from collections.abc import Sequence

from server.record.canonical import Malformed

_PREFIX = 4


def pack(parts: Sequence[bytes]) -> bytes:
    """Each part behind its length as an unsigned 32-bit big-endian integer."""
    return b"".join([len(part).to_bytes(_PREFIX, "big") + part for part in parts])


def unpack(data: bytes, count: int | None = None, most: int = 1_100) -> list[bytes]:
    """The parts that `pack` joined: exactly `count` where given, at most `most`. Raises Malformed for anything else."""
    parts: list[bytes] = []
    position, end = 0, len(data)
    while position < end:
        start = position + _PREFIX
        if start > end or len(parts) >= most:
            raise Malformed("a part is cut short, or there are too many")
        position = start + int.from_bytes(data[position:start], "big")
        if position > end:
            raise Malformed("a part is cut short")
        parts.append(data[start:position])
    if count is not None and len(parts) != count:
        raise Malformed(f"{len(parts)} parts instead of {count}")
    return parts
