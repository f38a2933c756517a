"""Which records a log may hold, in memory: most records are new, and to ask the database for each would cost a query.

A Bloom filter in layers: it never denies a record that was added, and claims one that was not in some 3 of 10,000
cases; then the database is asked. It must not know what a record is.
"""

from __future__ import annotations

import binascii

LAYER_BITS = 23
"""2^23 bits, one megabyte a layer."""
LAYER_RECORDS_MAX = 500_000
"""Records a layer takes: 16 bits each."""
_PROBES = 6
_ID_CHARACTERS = 24
"""18 of a digest's 32 bytes: six positions of 23 bits."""
_FROM_URL = bytes.maketrans(b"-_", b"+/")
_SHIFTS = tuple(LAYER_BITS * probe for probe in range(_PROBES))
_MASK = (1 << LAYER_BITS) - 1


class SeenRecords:
    """Mutable. Ids are SHA-256 in base64url, so their own bits choose the places."""

    __slots__ = ("_in_last", "_layers")

    def __init__(self) -> None:
        self._layers = [bytearray(1 << (LAYER_BITS - 3))]
        self._in_last = 0

    def add(self, record: str) -> None:
        """Remember a record."""
        if self._in_last == LAYER_RECORDS_MAX:
            self._layers.append(bytearray(1 << (LAYER_BITS - 3)))
            self._in_last = 0
        self._in_last += 1
        layer = self._layers[-1]
        bits = _bits(record)
        for shift in _SHIFTS:
            place = bits >> shift & _MASK
            layer[place >> 3] |= 1 << (place & 7)

    def may_hold(self, record: str) -> bool:
        """False only for a record that was never added."""
        bits = _bits(record)
        return any(_is_in(layer, bits) for layer in self._layers)


def _is_in(layer: bytearray, bits: int) -> bool:
    """Most records are new, and the first place says so."""
    for shift in _SHIFTS:
        place = bits >> shift & _MASK
        if not layer[place >> 3] >> (place & 7) & 1:
            return False
    return True


def _bits(record: str) -> int:
    return int.from_bytes(binascii.a2b_base64(record[:_ID_CHARACTERS].encode().translate(_FROM_URL)))
