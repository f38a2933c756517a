"""The Merkle tree against RFC 9162's recursive definitions, vectors made by others, and garbage."""

import json
from base64 import b64decode
from collections.abc import Sequence
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.ledger.merkle import (
    EMPTY_ROOT,
    Frontier,
    ProofError,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    root_of,
    verify_consistency,
    verify_inclusion,
)
from tests.vector_files import vector_cases

SIZE_MAX = 130
LEAVES = [leaf_hash(b"leaf %d" % number) for number in range(SIZE_MAX)]


# ---------------------------------------------------------------- the recursive definitions, written again


def split(size: int) -> int:
    k = 1
    while k * 2 < size:
        k *= 2
    return k


@cache
def mth(begin: int, end: int) -> bytes:
    """RFC 9162 2.1.1, over LEAVES[begin:end]."""
    if begin == end:
        return sha256(b"").digest()
    if end - begin == 1:
        return LEAVES[begin]
    middle = begin + split(end - begin)
    return sha256(b"\x01" + mth(begin, middle) + mth(middle, end)).digest()


def path(index: int, begin: int, end: int) -> list[bytes]:
    """RFC 9162 2.1.3.1."""
    if end - begin == 1:
        return []
    middle = begin + split(end - begin)
    if index < middle:
        return [*path(index, begin, middle), mth(middle, end)]
    return [*path(index, middle, end), mth(begin, middle)]


def subproof(size: int, begin: int, end: int, whole: bool) -> list[bytes]:
    """RFC 9162 2.1.4.1; `size` counts from 0."""
    if size == end:
        return [] if whole else [mth(begin, end)]
    middle = begin + split(end - begin)
    if size <= middle:
        return [*subproof(size, begin, middle, whole), mth(middle, end)]
    return [*subproof(size, middle, end, False), mth(begin, middle)]


def read(level: int, index: int) -> bytes:
    return mth(index << level, (index + 1) << level)


# ---------------------------------------------------------------- roots and proofs


def test_the_frontier_has_the_root_of_every_size() -> None:
    tree = Frontier()
    for size in range(SIZE_MAX):
        assert (tree.size, tree.root()) == (size, mth(0, size))
        tree.append(LEAVES[size])


def test_appending_returns_every_perfect_node_exactly_once() -> None:
    tree = Frontier()
    nodes = [node for leaf in LEAVES for node in tree.append(leaf)]
    assert len({(level, index) for level, index, _ in nodes}) == len(nodes) == sum(SIZE_MAX >> k for k in range(8))
    assert all(read(level, index) == node for level, index, node in nodes)


def test_a_copy_of_a_frontier_grows_alone() -> None:
    tree = Frontier()
    tree.append(LEAVES[0])
    tree.copy().append(LEAVES[1])
    assert (tree.size, tree.root()) == (1, LEAVES[0])


def test_inclusion_proofs_are_those_of_the_definition_and_hold() -> None:
    for size in range(1, SIZE_MAX + 1):
        for index in range(size):
            proof = inclusion_proof(index, size, read)
            assert proof == path(index, 0, size)
            verify_inclusion(LEAVES[index], index, size, proof, mth(0, size))


def test_consistency_proofs_are_those_of_the_definition_and_hold() -> None:
    for size2 in range(1, SIZE_MAX + 1):
        for size1 in range(1, size2 + 1):
            proof = consistency_proof(size1, size2, read)
            assert proof == subproof(size1, 0, size2, True)
            verify_consistency(size1, size2, proof, mth(0, size1), mth(0, size2))


def test_an_empty_tree_is_a_prefix_of_every_tree_without_a_proof() -> None:
    for size in range(SIZE_MAX):
        verify_consistency(0, size, [], EMPTY_ROOT, mth(0, size))
        for proof, root in (([LEAVES[0]], EMPTY_ROOT), ([], LEAVES[0])):
            with pytest.raises(ProofError):
                verify_consistency(0, size, proof, root, mth(0, size))


def test_root_of_hashes_the_entries_as_leaves() -> None:
    assert root_of([]) == EMPTY_ROOT
    assert root_of([b"leaf %d" % number for number in range(7)]) == mth(0, 7)


@given(st.integers(1, 40), st.data())
def test_no_other_place_leaf_or_step_is_proven(size: int, chance: st.DataObject) -> None:
    index = chance.draw(st.integers(0, size - 1))
    proof, root = path(index, 0, size), mth(0, size)
    other = chance.draw(st.integers(0, size - 1).filter(lambda place: place != index)) if size > 1 else size
    bit = chance.draw(st.integers(0, 255))
    with pytest.raises(ProofError):
        verify_inclusion(LEAVES[index], other, size, proof, root)
    with pytest.raises(ProofError):
        verify_inclusion(bent(LEAVES[index], bit), index, size, proof, root)
    for place in range(len(proof)):
        with pytest.raises(ProofError):
            verify_inclusion(
                LEAVES[index], index, size, [*proof[:place], bent(proof[place], bit), *proof[place + 1 :]], root
            )


def bent(digest: bytes, bit: int) -> bytes:
    return (int.from_bytes(digest) ^ (1 << bit)).to_bytes(32)


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 255))
def test_no_fork_is_proven_consistent(one: int, other: int, bit: int) -> None:
    size1, size2 = sorted((one, other))
    proof, root1, root2 = subproof(size1, 0, size2, True), mth(0, size1), mth(0, size2)
    for changed in ((bent(root1, bit), root2), (root1, bent(root2, bit))):
        with pytest.raises(ProofError):
            verify_consistency(size1, size2, proof, *changed)
    for place in range(len(proof)):
        changed_proof = [*proof[:place], bent(proof[place], bit), *proof[place + 1 :]]
        with pytest.raises(ProofError):
            verify_consistency(size1, size2, changed_proof, root1, root2)


# ---------------------------------------------------------------- vectors


def hashes_of(values: Sequence[str] | None) -> list[bytes]:
    return [b64decode(value) for value in values or ()]


def test_the_vectors_of_transparency_dev_are_decided_as_they_say(shared_data: Path) -> None:
    vectors = json.loads((shared_data / "vectors" / "merkle.json").read_text())
    assert len(vectors["inclusion"]) > 40
    assert len(vectors["consistency"]) > 40
    for case in vectors["inclusion"]:
        leaf, root = hashes_of([case["leafHash"], case["root"]])
        arguments = (leaf, case["leafIdx"], case["treeSize"], hashes_of(case["proof"]), root)
        assert holds(verify_inclusion, *arguments) is not case["wantErr"], case["name"]
    for case in vectors["consistency"]:
        roots = hashes_of([case["root1"], case["root2"]])
        arguments = (case["size1"], case["size2"], hashes_of(case["proof"]), *roots)
        assert holds(verify_consistency, *arguments) is not case["wantErr"], case["name"]


def holds(verify: Any, *arguments: Any) -> bool:
    try:
        verify(*arguments)
    except ProofError:
        return False
    return True


def unhex(values: Sequence[str]) -> list[bytes]:
    return [bytes.fromhex(value) for value in values]


@pytest.mark.parametrize("case", vector_cases("merkle_inclusion.json"))
def test_inclusion_is_decided_as_the_vectors_say(case: dict[str, Any]) -> None:
    leaf, root = unhex([case["leaf_hash"], case["root"]])
    assert holds(verify_inclusion, leaf, case["index"], case["size"], unhex(case["proof"]), root) is case["valid"]


@pytest.mark.parametrize("case", vector_cases("merkle_consistency.json"))
def test_consistency_is_decided_as_the_vectors_say(case: dict[str, Any]) -> None:
    roots = unhex([case["root1"], case["root2"]])
    assert holds(verify_consistency, case["size1"], case["size2"], unhex(case["proof"]), *roots) is case["valid"]


@pytest.mark.parametrize("case", vector_cases("merkle_roots.json"))
def test_roots_are_those_of_the_vectors(case: dict[str, Any]) -> None:
    assert root_of([f"entry {number}".encode() for number in range(case["size"])]).hex() == case["root"]


# ---------------------------------------------------------------- garbage

GARBAGE = [
    None,
    -1,
    2**64,
    1.0,
    True,
    "text",
    "x" * 32,
    b"",
    b"x" * 31,
    bytearray(32),
    memoryview(bytes(32)),
    [],
    {},
    object(),
]
PROOFS = [
    *GARBAGE,
    [None],
    [b""],
    ["x" * 32],
    [bytearray(32)],
    [bytes(32)] * 100,
    (number for number in ()),
    iter([bytes(32)]),
]


@pytest.mark.parametrize("garbage", GARBAGE, ids=lambda value: type(value).__name__)
@pytest.mark.parametrize("place", [0, 1, 2, 4])
def test_garbage_for_an_inclusion_is_a_proof_error(place: int, garbage: Any) -> None:
    arguments: list[Any] = [LEAVES[3], 3, 7, path(3, 0, 7), mth(0, 7)]
    arguments[place] = garbage
    with pytest.raises(ProofError):
        verify_inclusion(*arguments)


@pytest.mark.parametrize("garbage", GARBAGE, ids=lambda value: type(value).__name__)
@pytest.mark.parametrize("place", [0, 1, 3, 4])
def test_garbage_for_a_consistency_is_a_proof_error(place: int, garbage: Any) -> None:
    arguments: list[Any] = [3, 7, subproof(3, 0, 7, True), mth(0, 3), mth(0, 7)]
    arguments[place] = garbage
    with pytest.raises(ProofError):
        verify_consistency(*arguments)


@pytest.mark.parametrize("proof", PROOFS, ids=lambda value: type(value).__name__)
def test_a_proof_that_is_no_list_of_hashes_is_a_proof_error(proof: Any) -> None:
    with pytest.raises(ProofError):
        verify_inclusion(LEAVES[3], 3, 7, proof, mth(0, 7))
    with pytest.raises(ProofError):
        verify_consistency(3, 7, proof, mth(0, 3), mth(0, 7))


@given(st.lists(st.binary(min_size=30, max_size=34), max_size=8), st.integers(-2, 2**70), st.integers(-2, 2**70))
def test_random_proofs_raise_proof_error_and_nothing_else(proof: list[bytes], first: int, second: int) -> None:
    with pytest.raises(ProofError):
        verify_inclusion(LEAVES[0], first, second, [*proof, LEAVES[1]], LEAVES[2])
    with pytest.raises(ProofError):
        verify_consistency(first, second, [*proof, LEAVES[1]], LEAVES[2], LEAVES[3])


def test_a_tuple_of_hashes_is_a_proof_too() -> None:
    verify_inclusion(LEAVES[3], 3, 7, tuple(path(3, 0, 7)), mth(0, 7))
