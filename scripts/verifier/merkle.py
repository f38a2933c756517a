"""The Merkle tree of RFC 9162: leaf and node hashes, the root of a growing tree, inclusion."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from verifier.encoding import HASH_BYTES, Rejected, sha256


def leaf_hash(entry: bytes) -> bytes:
    """RFC 9162 2.1.1."""
    return sha256(b"\x00", entry)


def node_hash(left: bytes, right: bytes) -> bytes:
    """RFC 9162 2.1.1."""
    return sha256(b"\x01", left, right)


class Tree:
    """Mutable. A growing tree, of which only the perfect subtrees on the right edge are kept as (leaves, hash)."""

    def __init__(self) -> None:
        self.size = 0
        self._edge: list[tuple[int, bytes]] = []

    def append(self, leaf: bytes) -> None:
        """Add a leaf hash."""
        self.size += 1
        count, node = 1, leaf
        while self._edge and self._edge[-1][0] == count:
            node = node_hash(self._edge.pop()[1], node)
            count *= 2
        self._edge.append((count, node))

    def root(self) -> bytes:
        """The root over all leaves so far (RFC 9162 2.1.1)."""
        if not self._edge:
            return sha256()
        _, root = self._edge[-1]
        for _, left in reversed(self._edge[:-1]):
            root = node_hash(left, root)
        return root


def root_of(entries: Iterable[bytes]) -> bytes:
    """Root of the tree whose leaves are `entries`."""
    tree = Tree()
    for entry in entries:
        tree.append(leaf_hash(entry))
    return tree.root()


def check_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> None:
    """RFC 9162 2.1.3.2; Rejected with fault `not_in_tree`."""
    if index >= size or any(len(step) != HASH_BYTES for step in path):
        raise Rejected("not_in_tree", "the index is not in the tree, or a hash is not 32 bytes")
    position, last, node = index, size - 1, leaf
    for step in path:
        if last == 0:
            raise Rejected("not_in_tree", "the proof is too long")
        if position % 2 or position == last:
            node = node_hash(step, node)
            while position % 2 == 0 and position:
                position, last = position // 2, last // 2
        else:
            node = node_hash(node, step)
        position, last = position // 2, last // 2
    if last:
        raise Rejected("not_in_tree", "the proof is too short")
    if node != root:
        raise Rejected("not_in_tree", "the proof leads to another root")
