"""The Merkle tree of RFC 6962 / RFC 9162 with SHA-256: roots, a growing frontier, proofs and their verification.

It knows bytes and indexes only: not what a leaf says.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import sha256

EMPTY_ROOT = sha256(b"").digest()
"""RFC 9162 2.1.1: the hash of an empty list."""
_HASH_BYTES = 32


class ProofError(ValueError):
    """A proof does not hold, or its input is not of the right form."""


def leaf_hash(entry: bytes) -> bytes:
    """RFC 9162 2.1.1: SHA-256(0x00 || entry)."""
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """RFC 9162 2.1.1: SHA-256(0x01 || left || right)."""
    return sha256(b"\x01" + left + right).digest()


def root_of(entries: Sequence[bytes]) -> bytes:
    """Root of the tree whose leaves are `entries`."""
    tree = Frontier()
    for entry in entries:
        tree.append(leaf_hash(entry))
    return tree.root()


class Frontier:
    """Mutable. The right edge of a growing tree: all that is needed to append a leaf and to know the root.

    `peaks` are the roots of the perfect subtrees, largest first, one for each bit of the size.
    """

    __slots__ = ("peaks", "size")

    def __init__(self, size: int = 0, peaks: Sequence[bytes] = ()) -> None:
        assert len(peaks) == size.bit_count()
        self.size = size
        self.peaks = list(peaks)

    def copy(self) -> Frontier:
        """An independent frontier of the same tree."""
        return Frontier(self.size, self.peaks)

    def append(self, leaf: bytes) -> list[tuple[int, int, bytes]]:
        """Append a leaf hash. Returns the perfect nodes it completes as (level, index, hash), the leaf first."""
        made = [(0, self.size, leaf)]
        level, index, node = 0, self.size, leaf
        while index & 1:
            node = node_hash(self.peaks.pop(), node)
            level, index = level + 1, index >> 1
            made.append((level, index, node))
        self.peaks.append(node)
        self.size += 1
        return made

    def root(self) -> bytes:
        """The root over all leaves appended so far."""
        if not self.peaks:
            return EMPTY_ROOT
        root = self.peaks[-1]
        for peak in reversed(self.peaks[:-1]):
            root = node_hash(peak, root)
        return root


NodeReader = Callable[[int, int], bytes]
"""(level, index) -> hash of a perfect subtree of 2^level leaves, counted from the left."""


def inclusion_nodes(index: int, size: int) -> list[list[tuple[int, int]]]:
    """The path of leaf `index` in a tree of `size` leaves (RFC 9162 2.1.3.1), from the leaf up.

    Each step is a list of perfect nodes whose fold from the right is the sibling's hash: one node, or, for the ragged
    right edge, several.
    """
    assert 0 <= index < size
    path: list[list[tuple[int, int]]] = []
    begin, end = 0, size
    while end - begin > 1:
        middle = begin + _split(end - begin)
        if index < middle:
            path.append(perfect_nodes(middle, end))
            end = middle
        else:
            path.append(perfect_nodes(begin, middle))
            begin = middle
    path.reverse()
    return path


def perfect_nodes(begin: int, end: int) -> list[tuple[int, int]]:
    """The perfect subtrees (level, index) that cover leaves [begin, end), left to right; `begin` aligned to them."""
    nodes = []
    while begin < end:
        level = (end - begin).bit_length() - 1
        if begin:
            level = min(level, (begin & -begin).bit_length() - 1)
        nodes.append((level, begin >> level))
        begin += 1 << level
    return nodes


def fold(nodes: Sequence[tuple[int, int]], read: NodeReader) -> bytes:
    """The hash over adjacent perfect subtrees, as RFC 9162's MTH joins them: from the right."""
    hashes = [read(level, index) for level, index in nodes]
    result = hashes[-1]
    for left in reversed(hashes[:-1]):
        result = node_hash(left, result)
    return result


def inclusion_proof(index: int, size: int, read: NodeReader) -> list[bytes]:
    """RFC 9162 2.1.3.1: the sibling hashes from the leaf to the root."""
    return [fold(step, read) for step in inclusion_nodes(index, size)]


def consistency_proof(size1: int, size2: int, read: NodeReader) -> list[bytes]:
    """RFC 9162 2.1.4.1: the hashes that show the first `size1` leaves to be a prefix of `size2`."""
    assert 0 < size1 <= size2
    proof: list[bytes] = []
    begin, end, whole = 0, size2, True
    while size1 != end:
        middle = begin + _split(end - begin)
        if size1 <= middle:
            proof.append(fold(perfect_nodes(middle, end), read))
            end = middle
        else:
            proof.append(fold(perfect_nodes(begin, middle), read))
            begin, whole = middle, False
    if not whole:
        proof.append(fold(perfect_nodes(begin, end), read))
    proof.reverse()
    return proof


def verify_inclusion(leaf_hash: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """RFC 9162 2.1.3.2. Raises ProofError when the proof does not hold, whatever is wrong with the input.

    Args: leaf hash, proof steps and root of 32 bytes each; 0 <= index < size.
    """
    _check_hashes([leaf_hash, root], proof)
    if not (_is_count(index) and _is_count(size) and index < size):
        raise ProofError("the index is not in the tree")
    position, last, result = index, size - 1, leaf_hash
    for step in proof:
        if last == 0:
            raise ProofError("the proof is too long")
        if position & 1 or position == last:
            result = node_hash(step, result)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            result = node_hash(result, step)
        position, last = position >> 1, last >> 1
    if last:
        raise ProofError("the proof is too short")
    if result != root:
        raise ProofError("the proof leads to another root")


def verify_consistency(size1: int, size2: int, proof: Sequence[bytes], root1: bytes, root2: bytes) -> None:
    """RFC 9162 2.1.4.2. Raises ProofError unless the tree (size1, root1) is a prefix of (size2, root2).

    An empty first tree is a prefix of every tree; its proof is empty (as in transparency-dev's vectors).
    """
    _check_hashes([root1, root2], proof)
    if not (_is_count(size1) and _is_count(size2) and size1 <= size2):
        raise ProofError("the sizes are not in order")
    if size1 == size2 or size1 == 0:
        _verify_trivial(size1, size2, proof, root1, root2)
        return
    steps = list(proof)
    if size1 & (size1 - 1) == 0:
        steps.insert(0, root1)
    if not steps:
        raise ProofError("the proof is empty")
    older, newer = _walk_consistency(size1, size2, steps)
    if older != root1 or newer != root2:
        raise ProofError("the older tree is not a prefix of the newer one")


def _verify_trivial(size1: int, size2: int, proof: Sequence[bytes], root1: bytes, root2: bytes) -> None:
    if proof:
        raise ProofError("the proof is too long")
    if size1 == size2 and root1 != root2:
        raise ProofError("two roots for one size")
    if size1 == 0 and root1 != EMPTY_ROOT:
        raise ProofError("the older root is not that of an empty tree")


def _walk_consistency(size1: int, size2: int, steps: Sequence[bytes]) -> tuple[bytes, bytes]:
    position, last = size1 - 1, size2 - 1
    while position & 1:
        position, last = position >> 1, last >> 1
    older = newer = steps[0]
    for step in steps[1:]:
        if last == 0:
            raise ProofError("the proof is too long")
        if position & 1 or position == last:
            older, newer = node_hash(step, older), node_hash(step, newer)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            newer = node_hash(newer, step)
        position, last = position >> 1, last >> 1
    if last:
        raise ProofError("the proof is too short")
    return older, newer


def _split(size: int) -> int:
    """The largest power of two smaller than `size` (RFC 9162 2.1.1)."""
    return 1 << ((size - 1).bit_length() - 1)


def _is_count(value: object) -> bool:
    return type(value) is int and value >= 0


def _check_hashes(single: Sequence[object], proof: object) -> None:
    if not isinstance(proof, Sequence) or isinstance(proof, bytes | str):
        raise ProofError("the proof is not a list of hashes")
    for value in (*single, *proof):
        if not isinstance(value, bytes) or len(value) != _HASH_BYTES:
            raise ProofError("a hash is not 32 bytes")
