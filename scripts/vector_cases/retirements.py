"""Evidence of retired keys: signatures that follow the end of their epoch, and those that an honest member may make."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec

from samples import CREATED_MS, MEMBERS, ORIGIN, node_signer, seed
from server.consensus.config import Config, Ending
from server.consensus.evidence import COSIGN, RETIRED_KEY, Evidence, Statement
from server.consensus.messages import TYPES, Commit, Cosign, Prepare, Signed, SignedBody, ViewChange
from server.consensus.retirement import ENTRY, accuse_of_line, accuse_of_vote
from server.ledger.block import Header, block_id
from server.ledger.checkpoint import cosign_line
from server.ledger.merkle import inclusion_proof, leaf_hash, node_hash, root_of
from server.ledger.receipt import parse_proof
from server.record.canonical import b64u_encode, decode, encode
from server.record.signature import NodeSigner
from vector_cases.case import Case, bad, good, vector_file
from vector_cases.successions import FOUNDED_BYTES, FOUNDED_ESTATE, FOUNDED_ID, Story, removed, rotated

LEFT, ROTATED = "street", "property"
"""Who leaves with epoch 0, and who takes new keys with epoch 1."""
TIME_S = CREATED_MS // 1000 + 600


def _story() -> Story:
    story = Story()
    for plan in (removed, rotated):
        story.change(plan(story))
    return story


STORY = _story()


def _ending(epoch: int) -> Ending:
    """Where an epoch of the story ended, as its link says."""
    entry = str(decode(parse_proof(STORY.links[epoch].end).extra)["entry"]).encode()
    said = decode(entry)
    gone = (LEFT, ROTATED)[epoch]
    place = (epoch, said["height"], said["index"] + 1, said["system"]["body"]["block_id"], entry)
    return Ending(*place, voters=(gone,), cosigners=(gone,))


FIRST, SECOND = _ending(0), _ending(1)
CONFIG = Config(("owners", "property"), "owners", FOUNDED_ID, 2, endings=(FIRST, SECOND))


def files() -> dict[str, dict[str, Any]]:
    """This family's files by name."""
    about = "Evidence that a retired key signed on (DESIGN.md D33)."
    links = msgspec.to_builtins(STORY.links)
    shared = {"genesis": FOUNDED_BYTES.decode(), "estate": FOUNDED_ESTATE, "links": links}
    return {"retirements.json": vector_file(about, [*_good(), *_bad()], **shared)}


# -- what is signed


def _line(ending: Ending, entries: Sequence[bytes], signer: NodeSigner | None = None) -> Evidence:
    [member] = ending.cosigners
    root, size = root_of(entries), len(entries)
    text = cosign_line(signer or node_signer(member, "cosign"), ORIGIN, member, size, root, TIME_S)
    line = Cosign(line=text, member=member, root=b64u_encode(root), size=size)

    def read(level: int, place: int) -> bytes:
        if level == 0:
            return leaf_hash(entries[place])
        return node_hash(read(level - 1, 2 * place), read(level - 1, 2 * place + 1))

    return accuse_of_line(ending, line, inclusion_proof(ending.size - 1, size, read))


def _header(ending: Ending, **changes: Any) -> Header:
    digest = b64u_encode(seed("a block that nobody proposed"))
    values = {"height": ending.height + 1, "prev": ending.block_id} | changes
    header = Header(0, digest, ending.epoch, 0, digest, MEMBERS[0], 1, digest, CREATED_MS + 600_000)
    return msgspec.structs.replace(header, **values)


def _signed(body: SignedBody, signer: NodeSigner | None = None) -> Signed[Any]:
    raw, type_ = encode(body), TYPES[type(body)]
    message = b"linli/pbft/v1\n" + type_.encode() + b"\n" + b64u_encode(FOUNDED_ID).encode() + b"\n" + raw
    return Signed(body, raw, (signer or node_signer(body.sender, "consensus")).sign(message))


def _vote(ending: Ending, header: Header, shape: type[Prepare] | type[Commit] = Prepare, **changes: Any) -> SignedBody:
    more: dict[str, Any] = {"new_view": ""} if shape is Commit else {}
    values: dict[str, Any] = {
        "epoch": ending.epoch,
        "height": header.height,
        "sender": ending.voters[0],
        "view": 0,
    } | changes
    return shape(block_id=block_id(FOUNDED_ID, header), **values, **more)


def _leaving(ending: Ending, **changes: Any) -> ViewChange:
    values: dict[str, Any] = {
        "last_block": ending.block_id,
        "last_height": ending.height,
        "sender": ending.voters[0],
    } | changes
    return ViewChange(epoch=ending.epoch, prepared_block="", prepared_view=0, view=3, **values)


def _made(ending: Ending, body: SignedBody, *shown: bytes, signer: NodeSigner | None = None) -> Evidence:
    """Evidence of any statement, whether it proves something or not."""
    signed = _signed(body, signer)
    said = Statement(TYPES[type(body)], signed.raw, signed.signature)
    return Evidence(RETIRED_KEY, body.sender, said, Statement(ENTRY, ending.entry), shown)


# -- cases


def _good() -> list[Case]:
    header = _header(FIRST)
    later = _header(FIRST, epoch=1)
    cases = {
        "a line of whoever left under the tree with which the epoch ended": (_line(FIRST, _log(FIRST.size)), FIRST),
        "a line of whoever left under a later tree": (_line(FIRST, _log()), FIRST),
        "a line with an old key of who has new ones": (_line(SECOND, _log()), SECOND),
        "a PREPARE for a block behind the last one": (_made(FIRST, _vote(FIRST, header), encode(header)), FIRST),
        "a COMMIT for one": (_made(FIRST, _vote(FIRST, header, Commit), encode(header)), FIRST),
        "a PREPARE that says the next epoch": (_made(FIRST, _vote(FIRST, later, epoch=1), encode(later)), FIRST),
        "a view left above the last block": (_made(FIRST, _leaving(FIRST)), FIRST),
        "a view left with an old key of who has new ones": (_made(SECOND, _leaving(SECOND)), SECOND),
    }
    for evidence, ending in cases.values():
        assert _is_own(evidence, ending), "made as a node makes it"
    return [
        good(name, packed=b64u_encode(evidence.packed), culprit=evidence.culprit, epoch=ending.epoch)
        for name, (evidence, ending) in cases.items()
    ]


def _is_own(evidence: Evidence, ending: Ending) -> bool:
    if evidence.first.type == COSIGN:
        return True
    shape = {"PREPARE": Prepare, "COMMIT": Commit, "VIEW-CHANGE": ViewChange}[evidence.first.type]
    signed = Signed(msgspec.json.decode(evidence.first.raw, type=shape), evidence.first.raw, evidence.first.signature)
    return accuse_of_vote(CONFIG, ending, signed, b"".join(evidence.branches)) == evidence


def _log(size: int | None = None) -> list[bytes]:
    return STORY.entries[:size]


def _bad() -> list[Case]:
    header, aside = _header(FIRST), _header(FIRST, prev=b64u_encode(seed("at a fork")))
    further = _header(FIRST, height=FIRST.height + 2)
    forked = [*_log(FIRST.size - 1), b"another end", *_log()[FIRST.size :]]
    line, vote = _line(FIRST, _log()), _made(FIRST, _vote(FIRST, header), encode(header))
    newer = STORY.secrets[STORY.members[ROTATED].cosign_key]
    cases = {
        "a line under a tree of another side of a fork": _line(FIRST, forked),
        "a line with the new key": _line(SECOND, _log(), newer),
        "a line that somebody else signed": _line(FIRST, _log(), node_signer("owners", "cosign")),
        "a line of a member whose key stayed": replace(line, second=Statement(ENTRY, SECOND.entry)),
        "a line without its branch": replace(line, branches=()),
        "a line with the branch of another entry": replace(line, branches=_line(SECOND, _log()).branches),
        "a line with one branch more": replace(line, branches=line.branches * 2),
        "a vote at a fork": _made(FIRST, _vote(FIRST, aside), encode(aside)),
        "a vote further up": _made(FIRST, _vote(FIRST, further), encode(further)),
        "a vote for the block in which the epoch ended": _made(FIRST, _vote(FIRST, header, height=FIRST.height)),
        "a vote without its header": replace(vote, branches=()),
        "a vote with another header": replace(vote, branches=(encode(aside),)),
        "a vote with the key of somebody else": _made(
            FIRST, _vote(FIRST, header), encode(header), signer=node_signer("owners", "consensus")
        ),
        "a vote of a member that stayed": _made(FIRST, _vote(FIRST, header, sender="owners"), encode(header)),
        "a view left below the last block": _made(FIRST, _leaving(FIRST, last_height=FIRST.height - 1)),
        "a view left above another block": _made(FIRST, _leaving(FIRST, last_block=b64u_encode(seed("another")))),
        "a view left with something shown": _made(FIRST, _leaving(FIRST), encode(header)),
        "an end that is none": replace(vote, second=Statement(ENTRY, STORY.entries[0])),
        "an end with a signature": replace(vote, second=Statement(ENTRY, FIRST.entry, b"x")),
        "an end by another name": replace(vote, second=Statement("LEAF", FIRST.entry)),
        "another culprit": replace(vote, culprit="owners"),
        "another offence": replace(vote, offence="double_vote"),
        "a statement of another type": replace(vote, first=replace(vote.first, type="SUSPECT")),
    }
    return [bad(name, "retirement", packed=b64u_encode(evidence.packed)) for name, evidence in cases.items()] + [
        bad("cut short", "retirement", packed=b64u_encode(vote.packed[:-1])),
        bad("nothing", "retirement", packed=""),
    ]
