"""What befalls bytes: bits flip, pieces are cut, doubled, put elsewhere, or overwritten by what breaks parsers."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

SPITE = (
    b"\x00", b"\xff", b"\xff\xff\xff\xff", b"\x80\x00\x00\x00", b"\n", b"\n\n", b"\r\n", b" ", b'"', b"{", b"[[[[",
    b"\\ud800", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"-0", b"1e999", b"1.0", b"null", b"9007199254740992", b"9" * 400,
    b"=", b"\xc2\xb2", b"\xe2\x80\x94 ", b"\xd9\xa1", b"_", b".", b"..", b"%00", b"\x1a", b"0x", b"00",
)  # fmt: skip
"""Ends of ranges, second spellings, half characters, digits of other scripts: whatever some parser has tripped over."""


@st.composite
def changed(draw: st.DrawFn, samples: Sequence[bytes]) -> bytes:
    """A sample after one to four changes."""
    data = draw(st.sampled_from(samples))
    for _ in range(draw(st.integers(1, 4))):
        data = _change(draw, data)
    return data


def _change(draw: st.DrawFn, data: bytes) -> bytes:
    begin = draw(st.integers(0, len(data)))
    end = min(len(data), begin + draw(st.integers(0, 9)))
    kind = draw(st.sampled_from(["flip", "cut", "end", "overwrite", "insert", "double"]))
    if kind == "flip" and begin < len(data):
        return data[:begin] + bytes([data[begin] ^ (1 << draw(st.integers(0, 7)))]) + data[begin + 1 :]
    if kind == "cut":
        return data[:begin] + data[end:]
    if kind == "end":
        return data[:begin]
    if kind == "double":
        return data[:end] + data[begin:]
    spite = draw(st.sampled_from(SPITE))
    return data[:begin] + spite + (data[begin + len(spite) :] if kind == "overwrite" else data[begin:])
