"""Merkle trees: roots, inclusion and consistency, on trees small enough to be checked by hand."""

from typing import Any

from samples import seed
from server.ledger.merkle import EMPTY_ROOT, consistency_proof, inclusion_proof, leaf_hash, node_hash, root_of
from vector_cases.case import Case, bad, good, vector_file

ENTRIES = [f"entry {number}".encode() for number in range(13)]
LEAVES = [leaf_hash(entry) for entry in ENTRIES]
SIZES = (1, 2, 3, 5, 8, 13)


def files() -> dict[str, dict[str, Any]]:
    """This family's files by name."""
    text = "of RFC 9162 with SHA-256 in hexadecimal; the leaves are the texts `entry 0`, `entry 1`, ..."
    return {
        "merkle_roots.json": vector_file(f"Roots {text}", _roots()),
        "merkle_inclusion.json": vector_file(f"Inclusion proofs {text}", [*_inclusion(), *_far(), *_bad_inclusion()]),
        "merkle_consistency.json": vector_file(f"Consistency proofs {text}", [*_consistency(), *_bad_consistency()]),
    }


def _read(level: int, index: int) -> bytes:
    """The hash of a perfect subtree."""
    return LEAVES[index] if level == 0 else node_hash(_read(level - 1, 2 * index), _read(level - 1, 2 * index + 1))


def _root(size: int) -> bytes:
    return root_of(ENTRIES[:size])


def _roots() -> list[Case]:
    return [good(f"{size} leaves", size=size, root=_root(size).hex()) for size in range(len(ENTRIES) + 1)]


def _inclusion_members(index: int, size: int, **changes: Any) -> dict[str, Any]:
    proof = [step.hex() for step in inclusion_proof(index, size, _read)]
    return {
        "leaf_hash": LEAVES[index].hex(),
        "index": index,
        "size": size,
        "proof": proof,
        "root": _root(size).hex(),
        **changes,
    }


def _inclusion() -> list[Case]:
    return [
        good(f"leaf {index} of {size}", **_inclusion_members(index, size)) for size in SIZES for index in range(size)
    ]


def _far() -> list[Case]:
    """Leaves of trees so large that 32 bits do not count them; the hashes are made up, the root follows from them."""
    places = ((2**31 - 1, 2**31), (2**31, 2**31 + 1), (2**32 + 4, 2**32 + 5), (7, 2**40 + 3), (2**53 - 2, 2**53 - 1))
    return [_far_case(index, size) for index, size in places]


def _far_case(index: int, size: int) -> Case:
    def made_up(level: int, place: int) -> bytes:
        return leaf_hash(b"%d/%d" % (level, place))

    proof = inclusion_proof(index, size, made_up)
    root, position, last = made_up(0, index), index, size - 1
    for step in proof:
        while position == last and not position & 1:
            position, last = position >> 1, last >> 1
        root = node_hash(step, root) if position & 1 else node_hash(root, step)
        position, last = position >> 1, last >> 1
    members = {"leaf_hash": made_up(0, index).hex(), "index": index, "size": size}
    return good(f"leaf {index} of {size}", **members, proof=[step.hex() for step in proof], root=root.hex())


def _bad_inclusion() -> list[Case]:
    members = _inclusion_members(3, 13)
    proof, other = members["proof"], seed("other").hex()
    changes: dict[str, dict[str, Any]] = {
        "a step too many": {"proof": [*proof, other]},
        "a step too few": {"proof": proof[:-1]},
        "no steps": {"proof": []},
        "two steps exchanged": {"proof": [proof[1], proof[0], *proof[2:]]},
        "another step": {"proof": [other, *proof[1:]]},
        "a step of 31 bytes": {"proof": [proof[0][:-2], *proof[1:]]},
        "a step of 33 bytes": {"proof": [proof[0] + "00", *proof[1:]]},
        "an empty step": {"proof": ["", *proof[1:]]},
        "another leaf": {"leaf_hash": LEAVES[4].hex()},
        "another index": {"index": 2},
        "the index is the size": {"index": 13},
        "the index is beyond the size": {"index": 14},
        "a size with a shorter path": {"size": 8},
        "a size with a longer path": {"size": 17},
        "a size of nothing": {"index": 0, "size": 0, "proof": [], "root": EMPTY_ROOT.hex()},
        "another root": {"root": other},
        "an empty root": {"root": ""},
        "an empty leaf": {"leaf_hash": ""},
        "an entry passed off as the tree of one leaf": {"size": 1, "index": 0, "proof": [], "leaf_hash": other},
    }
    return [bad(name, "not_in_tree", **{**members, **change}) for name, change in changes.items()]


def _consistency_members(size1: int, size2: int, **changes: Any) -> dict[str, Any]:
    proof = [step.hex() for step in consistency_proof(size1, size2, _read)]
    roots = {"root1": _root(size1).hex(), "root2": _root(size2).hex()}
    return {"size1": size1, "size2": size2, "proof": proof, **roots, **changes}


def _consistency() -> list[Case]:
    return [
        good(f"{size1} to {size2}", **_consistency_members(size1, size2))
        for size2 in SIZES
        for size1 in range(1, size2 + 1)
    ]


def _bad_consistency() -> list[Case]:
    members, whole = _consistency_members(6, 13), _consistency_members(8, 13)
    proof, other = members["proof"], seed("other").hex()
    changes: dict[str, dict[str, Any]] = {
        "a step too many": {"proof": [*proof, other]},
        "a step too few": {"proof": proof[:-1]},
        "no steps": {"proof": []},
        "another step": {"proof": [*proof[:-1], other]},
        "a step of 31 bytes": {"proof": [proof[0][:-2], *proof[1:]]},
        "another older root": {"root1": other},
        "another newer root": {"root2": other},
        "roots exchanged": {"root1": members["root2"], "root2": members["root1"]},
        "sizes exchanged": {"size1": 13, "size2": 6},
        "another older size": {"size1": 5},
        "a newer size with a shorter path": {"size2": 8},
        "a fork of the same size": {"size1": 13, "proof": [], "root1": other},
        "a proof between equal trees": {"size1": 13, "root1": members["root2"]},
        "an empty tree with another root": {"size1": 0, "proof": [], "root1": other},
        "steps from an empty tree": {"size1": 0, "root1": EMPTY_ROOT.hex()},
    }
    cases = [bad(name, "not_a_prefix", **{**members, **change}) for name, change in changes.items()]
    repeated = {**whole, "proof": [whole["root1"], *whole["proof"]]}
    return [*cases, bad("the older root stands in the proof of a perfect tree", "not_a_prefix", **repeated)]
