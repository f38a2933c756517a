"""Evidence that a member contradicted itself: shown to everybody, taken from everybody who can prove it.

It accuses organisations, never people, and anyone can verify it with the members' keys alone (consensus.md 1.4).
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from server.api.call import Call
from server.api.errors import Declined
from server.api.route import PUBLIC, Body, Routes
from server.consensus.evidence import Branch, Evidence
from server.domain.evidence import Barred
from server.node.evidence import accuse_of_notes
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
    """One contradiction. `packed` is the whole of it in base64url, as it is kept and hashed.

    `height` is the block that named the member for this very evidence, 0 when none did.
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
    """Two checkpoints with cosignatures of one member.

    Of one size they have two roots. Of two sizes `proofs` shows, in the order of the checkpoints, two leaves at one
    index.
    """

    notes: tuple[str, str]
    proofs: tuple[Branch, ...] = ()


class TakenEvidence(msgspec.Struct, frozen=True):
    """What the two checkpoints prove: ids of the evidence, one a member."""

    ids: tuple[str, ...]


@routes.route("GET", "/api/v1/evidence", access=PUBLIC)
async def list_evidence(call: Call) -> EvidenceList:
    """Contradictions of member organisations that are proved."""
    names = {member.id: member.name for epoch in call.node.membership.epochs for member in epoch.members}
    barred = await _barred(call, list(names))
    known = tuple(_shown(one, names, barred.get(one.culprit)) for one in call.node.evidence.all)
    return EvidenceList(known, tuple(barred))


@routes.route("POST", "/api/v1/evidence", access=PUBLIC, declines=("evidence_void",))
async def bring_evidence(call: Call, body: Annotated[BroughtEvidence, Body]) -> TakenEvidence:
    """Bring two checkpoints that contradict each other; what proves nothing is declined. Again is harmless."""
    members = [member.id for member in call.node.genesis.members]
    try:
        claims = accuse_of_notes(call.node.genesis.origin, members, body.notes, body.proofs)
        found = [await call.node.evidence.bring(claim.packed) for claim in claims]
    except Malformed as error:
        raise Declined("evidence_void", error.detail) from None
    return TakenEvidence(tuple(one.id for one in found))


async def _barred(call: Call, members: list[str]) -> dict[str, Barred]:
    loaded = (await call.node.rows.load([key(Barred, member) for member in members])).loaded
    rows = [loaded[key(Barred, member)] for member in members]
    return {row.id: row for row in rows if isinstance(row, Barred)}


def _shown(evidence: Evidence, names: dict[str, str], barred: Barred | None) -> KnownEvidence:
    statements = tuple(
        SignedStatement(one.type, one.raw.decode("utf-8", "replace"), b64u_encode(one.signature))
        for one in (evidence.first, evidence.second)
    )
    height = barred.height if barred is not None and barred.evidence == evidence.id else 0
    name = names.get(evidence.culprit, "")
    packed = b64u_encode(evidence.packed)
    return KnownEvidence(evidence.id, evidence.offence, evidence.culprit, name, statements, height, packed)
