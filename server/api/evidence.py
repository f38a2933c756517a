"""Evidence against members, that they contradicted themselves or signed with retired keys: shown to everybody, taken
from everybody who can prove it.

It accuses organisations, never people, and anyone can verify it with the members' keys alone (consensus.md 1.4).
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from server.api.call import Call
from server.api.errors import Declined
from server.api.route import PUBLIC, Body, Routes
from server.consensus.evidence import RETIRED_KEY, Branch, Evidence
from server.domain.evidence import Barred
from server.domain.retirement import RetiredKey
from server.record.canonical import Malformed, b64u_encode
from server.record.rows import key

routes = Routes()


class SignedStatement(msgspec.Struct, frozen=True):
    """What a member signed: type, text (canonical JSON), and signature in base64url.

    A checkpoint line has its own in the text.
    """

    type: str
    text: str
    signature: str


class KnownEvidence(msgspec.Struct, frozen=True):
    """One contradiction, or one use of a retired key.

    `packed` is the whole of it in base64url, as it is kept and hashed.
    `height` is the block that named the member, or its key, for this very evidence, 0 when none did.
    """

    id: str
    offence: str
    member: str
    member_name: str
    statements: tuple[SignedStatement, ...]
    height: int
    packed: str


class EvidenceList(msgspec.Struct, frozen=True):
    """Everything that this node knows against anybody, the first found first. `barred`: members that the log names."""

    evidence: tuple[KnownEvidence, ...]
    barred: tuple[str, ...]


class BroughtEvidence(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Two checkpoints with cosignatures of one member, or one with a cosignature by a key that was retired before.

    Two of one size have two roots. Of two sizes `proofs` shows, in the order of the checkpoints, two leaves at one
    index.
    """

    notes: Annotated[tuple[str, ...], Meta(min_length=1, max_length=2)]
    proofs: tuple[Branch, ...] = ()


class TakenEvidence(msgspec.Struct, frozen=True):
    """What the checkpoints prove: ids of the evidence, one a member."""

    ids: tuple[str, ...]


@routes.route("GET", "/api/v1/evidence", access=PUBLIC)
async def list_evidence(call: Call) -> EvidenceList:
    """Contradictions of member organisations that are proved."""
    names = {member.id: member.name for epoch in call.node.membership.epochs for member in epoch.members}
    rows = await _named(call, list(names))
    heights = {row.evidence: row.height for row in rows}
    known = tuple(_shown(one, names, heights.get(one.id, 0)) for one in call.node.evidence.all)
    return EvidenceList(known, tuple(row.id for row in rows if isinstance(row, Barred)))


@routes.route("POST", "/api/v1/evidence", access=PUBLIC, declines=("evidence_void",))
async def bring_evidence(call: Call, body: Annotated[BroughtEvidence, Body]) -> TakenEvidence:
    """Bring two checkpoints that contradict each other, or one that is signed with a retired key; what proves nothing
    is declined. Again is harmless."""
    try:
        claims = await call.node.evidence.claims(call.node.genesis.origin, body.notes, body.proofs)
        found = [await call.node.evidence.bring(claim.packed) for claim in claims]
    except Malformed as error:
        raise Declined("evidence_void", error.detail) from None
    return TakenEvidence(tuple(one.id for one in found))


async def _named(call: Call, members: list[str]) -> list[Barred | RetiredKey]:
    """What the log says of members, and of keys that were retired."""
    desk = call.node.evidence
    names = {desk.name_of(one) or "" for one in desk.all if one.offence == RETIRED_KEY}
    keys = [*(key(Barred, member) for member in members), *(key(RetiredKey, name) for name in sorted(names))]
    loaded = (await call.node.rows.load(keys)).loaded
    return [row for row in map(loaded.get, keys) if isinstance(row, Barred | RetiredKey)]


def _shown(evidence: Evidence, names: dict[str, str], height: int) -> KnownEvidence:
    statements = tuple(
        SignedStatement(one.type, one.raw.decode("utf-8", "replace"), b64u_encode(one.signature))
        for one in (evidence.first, evidence.second)
    )
    name = names.get(evidence.culprit, "")
    packed = b64u_encode(evidence.packed)
    return KnownEvidence(evidence.id, evidence.offence, evidence.culprit, name, statements, height, packed)
