"""A reader of transparency logs as an outsider would write it: from the C2SP pages and RFC 6962, and nothing of ours.

It knows no code of this project: only the standard library and Ed25519. Sources: c2sp.org/tlog-tiles, tlog-checkpoint,
signed-note, tlog-cosignature, tlog-policy; RFC 6962 2.1 for the tree, by its recursive definition.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

WIDTH = 256
HASH_BYTES = 32
Fetch = Callable[[str], bytes]
"""The body at a path below the log's prefix; raises when there is none."""


@dataclass(frozen=True)
class Head:
    """What a checkpoint says, and whose signatures under it held: names of vkeys with their type byte."""

    origin: str
    size: int
    root: bytes
    signers: frozenset[tuple[str, int]]


def read_checkpoint(note: str, vkeys: list[str]) -> Head:
    """A checkpoint with the signatures of these keys; lines of others are ignored (signed-note)."""
    text, _, signatures = note.rpartition("\n\n")
    text += "\n"
    origin, size, root = text.split("\n")[:3]
    assert size == str(int(size)), "tlog-checkpoint: ASCII decimal without leading zeroes"
    keys = {split_vkey(vkey)[:2]: split_vkey(vkey)[2] for vkey in vkeys}
    signers = set()
    for line in signatures.splitlines():
        dash, name, blob = line.split(" ")
        assert dash == "\N{EM DASH}"
        data = base64.b64decode(blob, validate=True)
        typed = keys.get((name, data[:4]))
        if typed is not None and holds(typed, text, data[4:]):
            signers.add((name, typed[0]))
    return Head(origin, int(size), base64.b64decode(root, validate=True), frozenset(signers))


def split_vkey(vkey: str) -> tuple[str, bytes, bytes]:
    """(name, key id, type byte and key) of `<name>+<id>+<key>`; the id must fit (signed-note)."""
    name, identity, encoded = vkey.split("+", 2)
    typed = base64.b64decode(encoded, validate=True)
    assert hashlib.sha256(name.encode() + b"\n" + typed).digest()[:4].hex() == identity
    return name, bytes.fromhex(identity), typed


def holds(typed: bytes, text: str, rest: bytes) -> bool:
    """Type 1 signs the text (signed-note), type 4 a header with a time and the text (tlog-cosignature)."""
    message, signature = text.encode(), rest
    if typed[0] == 4:
        time, signature = int.from_bytes(rest[:8], "big"), rest[8:]
        message = b"cosignature/v1\ntime %d\n" % time + message
    try:
        Ed25519PublicKey.from_public_bytes(typed[1:]).verify(signature, message)
    except InvalidSignature:
        return False
    return True


def policy_keys(policy: str) -> list[str]:
    """The vkeys of `log` and `witness` lines (tlog-policy)."""
    lines = [line.split() for line in policy.splitlines() if line.strip() and not line.startswith("#")]
    return [line[1] if line[0] == "log" else line[2] for line in lines if line[0] in ("log", "witness")]


def tile_path(level: int | str, number: int, width: int = WIDTH) -> str:
    """tlog-tiles: /tile/<L>/<N>[.p/<W>], N in elements of three digits, all but the last with an x."""
    elements = [f"{number % 1000:03d}"]
    while number >= 1000:
        number //= 1000
        elements.insert(0, f"x{number % 1000:03d}")
    suffix = "" if width == WIDTH else f".p/{width}"
    return f"/tile/{level}/{'/'.join(elements)}{suffix}"


def tiles_of(size: int, level: int) -> Iterator[tuple[int, int]]:
    """(number, width) of the tiles of a level in a tree of this size; an empty one is never served."""
    count = size // WIDTH**level
    for number in range(count // WIDTH):
        yield number, WIDTH
    if count % WIDTH:
        yield count // WIDTH, count % WIDTH


def read_hashes(fetch: Fetch, size: int, level: int) -> list[bytes]:
    """All hashes of a level, from its tiles."""
    hashes: list[bytes] = []
    for number, width in tiles_of(size, level):
        data = fetch(tile_path(level, number, width))
        assert len(data) == width * HASH_BYTES
        hashes += [data[begin : begin + HASH_BYTES] for begin in range(0, len(data), HASH_BYTES)]
    return hashes


def read_entries(fetch: Fetch, size: int) -> list[bytes]:
    """All entries, from their bundles: big-endian u16 lengths."""
    entries: list[bytes] = []
    for number, width in tiles_of(size, 0):
        data = fetch(tile_path("entries", number, width))
        before = len(entries)
        while data:
            length = int.from_bytes(data[:2], "big")
            entries.append(data[2 : 2 + length])
            assert len(entries[-1]) == length
            data = data[2 + length :]
        assert len(entries) - before == width
    return entries


def root_from_edge(fetch: Fetch, size: int) -> bytes:
    """The root from as few tiles as can be: the right edge, one partial tile a level (tlog-tiles, Partial Tiles)."""
    edges: list[bytes] = []
    level = 0
    while size >> (8 * level):
        width = (size >> (8 * level)) % WIDTH
        if width:
            data = fetch(tile_path(level, (size >> (8 * level)) // WIDTH, width))
            hashes = [data[begin : begin + HASH_BYTES] for begin in range(0, len(data), HASH_BYTES)]
            edges.append(b"".join(hashes))
        else:
            edges.append(b"")
        level += 1
    return _join(edges)


def _join(edges: list[bytes]) -> bytes:
    """Perfect subtrees of falling size, the largest first, joined from the right as MTH splits them."""
    peaks: list[bytes] = []
    for edge in reversed(edges):
        hashes = [edge[begin : begin + HASH_BYTES] for begin in range(0, len(edge), HASH_BYTES)]
        while hashes:
            whole = 1 << (len(hashes).bit_length() - 1)
            peaks.append(tree_hash(hashes[:whole]))
            hashes = hashes[whole:]
    root = peaks[-1]
    for peak in reversed(peaks[:-1]):
        root = hashlib.sha256(b"\x01" + peak + root).digest()
    return root


def leaf_hash(entry: bytes) -> bytes:
    """RFC 6962 2.1."""
    return hashlib.sha256(b"\x00" + entry).digest()


def tree_hash(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962 2.1 over leaf hashes."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1 << ((len(leaves) - 1).bit_length() - 1)
    return hashlib.sha256(b"\x01" + tree_hash(leaves[:split]) + tree_hash(leaves[split:])).digest()
