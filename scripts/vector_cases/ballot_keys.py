"""Keys that a motion's ballots are sealed to, and whatever a node could show a phone in their place (D35)."""

from typing import Any

import msgspec

from samples import CLUSTER_ID, GENESIS, MEMBERS, node_signer, seed
from server.domain.ballot_keys import BallotKey, BallotKeys, KeyFault, ballot_key_bytes, find_key_fault
from server.domain.genesis_rows import trust_of
from server.record.box import box_key_of
from server.record.canonical import b64u_encode
from vector_cases.case import Case, bad, good, vector_file

_MOTION = b64u_encode(seed("motion"))
_ANOTHER = b64u_encode(seed("another motion"))
_SMALL_ORDER = {
    "zero": bytes(32),
    "one": (1).to_bytes(32, "little"),
    "order 8": bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
    "the other of order 8": bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
    "minus one": (2**255 - 20).to_bytes(32, "little"),
}


def files() -> dict[str, dict[str, Any]]:
    """This family's files by name."""
    members = [{"attest_key": b64u_encode(node_signer(member, "attest").public), "id": member} for member in MEMBERS]
    shared = {"cluster_id": b64u_encode(CLUSTER_ID), "members": members, "motion": _MOTION}
    text = "Keys that the ballots of `motion` are sealed to (DESIGN.md D35)."
    return {"ballot_keys.json": vector_file(text, _cases(), **shared)}


def _announce(
    member: str, key: bytes, motion: str = _MOTION, cluster_id: bytes = CLUSTER_ID, by: str = ""
) -> BallotKey:
    content = ballot_key_bytes(cluster_id, motion, member, key)
    signature = node_signer(by or member, "attest").sign(content)
    return BallotKey(key=b64u_encode(key), member=member, signature=b64u_encode(signature))


def _cases() -> list[Case]:
    keys = tuple(_announce(member, box_key_of(seed(f"{member} ballot key"))) for member in MEMBERS)
    first, rest, own = MEMBERS[0], keys[1:], box_key_of(seed("a key of the node's own making"))
    firsts = {
        **{f"a key of small order: {name}": _announce(first, key) for name, key in _SMALL_ORDER.items()},
        "a key of another spelling": _announce(first, (2**255 - 10).to_bytes(32, "little")),
        "a key with its top bit set": _announce(first, own[:31] + bytes([own[31] | 0x80])),
        "the key of another member": _announce(first, box_key_of(seed(f"{MEMBERS[1]} ballot key"))),
        "a key that another member signed": _announce(first, own, by=MEMBERS[1]),
        "a key for another motion": _announce(first, own, motion=_ANOTHER),
        "a key of another ledger": _announce(first, own, cluster_id=bytes(32)),
        "a key under the signature of another key": msgspec.structs.replace(keys[0], key=b64u_encode(own)),
        "a signature of zeros": msgspec.structs.replace(keys[0], signature=b64u_encode(bytes(64))),
    }
    lists = {name: (announced, *rest) for name, announced in firsts.items()} | {
        "a member too few": keys[:2],
        "a stranger among them": (*keys, _announce("bank", own)),
        "another order": (keys[1], keys[0], keys[2]),
        "one member twice": (keys[0], keys[0], keys[2]),
    }
    cases = [good("the keys that all announced", keys=_plain(keys))]
    return cases + [bad(name, _fault(listed).value, keys=_plain(listed)) for name, listed in lists.items()]


def _fault(keys: tuple[BallotKey, ...]) -> KeyFault:
    fault = find_key_fault(BallotKeys(keys=keys), _MOTION, trust_of(GENESIS, CLUSTER_ID))
    assert fault is not None
    return fault


def _plain(keys: tuple[BallotKey, ...]) -> Any:
    return msgspec.to_builtins(keys)
