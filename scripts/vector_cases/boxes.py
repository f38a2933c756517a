"""Boxes of ballots: what an honest phone makes of a seed, and whatever else may stand in one (D35)."""

from dataclasses import replace
from typing import Any

from samples import CLUSTER_ID, seed
from server.record.box import BoxContext, box_bytes, box_key_of, seal_box
from server.record.canonical import b64u_encode
from server.record.shape import seal
from vector_cases.case import Case, bad, good, vector_file

SIZES = (1, 3, 4, 7)
_SALT = seed("salt of a ballot")[:16]
_COMMITMENT, _OPENING = seal("for", _SALT)
_MOTION = b64u_encode(seed("motion"))
_BOX_SEED = seed("seed of a box")


def files() -> dict[str, dict[str, Any]]:
    """This family's files by name."""
    text = "Boxes of ballots (DESIGN.md D35). Keys, seeds and boxes in hexadecimal; private keys by number."
    return {"boxes.json": vector_file(text, [*_good_boxes(), *_bad_boxes()])}


def _private_key(number: int) -> bytes:
    return seed(f"box key {number}")


def _context(members: int, commitment: str = _COMMITMENT) -> BoxContext:
    keys = tuple(box_key_of(_private_key(number)) for number in range(members))
    return BoxContext(CLUSTER_ID, commitment, keys, _MOTION, 7, "lift")


def _members(context: BoxContext, box: bytes, numbers: tuple[int, ...]) -> dict[str, Any]:
    said = {
        "cluster_id": b64u_encode(context.cluster_id),
        "commitment": context.commitment,
        "keys": [b64u_encode(key) for key in context.keys],
        "motion": context.motion,
        "position": context.position,
        "question": context.question,
    }
    private_keys = {str(number): _private_key(number).hex() for number in numbers}
    return {"context": said, "private_keys": private_keys, "seed": _BOX_SEED.hex(), "box": box.hex()}


def _good_boxes() -> list[Case]:
    cases = []
    for members in SIZES:
        for choice in ("for", "against", "a" * 32):
            commitment, opening = seal(choice, _SALT)
            context = _context(members, commitment)
            numbers = tuple(range(members))[-context.threshold :]
            said = _members(context, seal_box(opening, _BOX_SEED, context), numbers)
            cases.append(good(f"{choice[:8]} among {members}", **said, opening=b64u_encode(opening)))
    return cases


def _bad_boxes() -> list[Case]:
    context = _context(3)
    box = seal_box(_OPENING, _BOX_SEED, context)
    other = seal_box(_OPENING, seed("seed of another box"), context)
    against = seal("against", _SALT)[1]
    boxes = {
        "nothing": b"",
        "another version": b"\x02" + box[1:],
        "an ephemeral key of small order": box[:1] + bytes(32) + box[33:],
        "the top bit of the ephemeral key": box[:32] + bytes([box[32] | 0x80]) + box[33:],
        "another content": box[:33] + other[33:113] + box[113:],
        "another share among those that open": box[:161] + other[161:209] + box[209:],
        "another share among those that do not open": box[:113] + other[113:161] + box[161:],
        "two shares exchanged": box[:161] + box[209:257] + box[161:209],
        "a byte too many": box + b"\x00",
        "a byte too few": box[:-1],
        "an opening of another commitment": seal_box(against, _BOX_SEED, context),
        "sealed for four organisations": seal_box(_OPENING, _BOX_SEED, _context(4)),
    }
    assert len(box) == box_bytes(3) == len(other)
    cases = [bad(name, "void", **_members(context, made, (1, 2))) for name, made in boxes.items()]
    contexts = {
        "the box of another ledger": replace(context, cluster_id=bytes(32)),
        "the box of another motion": replace(context, motion=b64u_encode(seed("another motion"))),
        "the box of another home": replace(context, position=8),
        "the box of another question": replace(context, question="roof"),
    }
    return cases + [bad(name, "void", **_members(elsewhere, box, (1, 2))) for name, elsewhere in contexts.items()]
