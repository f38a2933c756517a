"""The estate's own rules of procedure (议事规则): what the law leaves to the owners and every motion needs to know.

They are adopted by the owners; the committee enters what was adopted, with pictures of the text, and each motion
carries a copy of those in force when it was proposed. It must not know what a rule pack says.
"""

from __future__ import annotations

import enum
from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import Meta

from server.domain.office import decision_keys, sign_decision, signers_of
from server.domain.photo import document_keys, file_documents, own_documents
from server.limits import PHOTOS_MAX
from server.record.canonical import encode
from server.record.kind import Context, RecordKind, Role, Signed
from server.record.rows import Key, Row, Rows, key
from server.record.shape import Line, PhotoRef, Shape

IN_FORCE = "in_force"
"""Id of the one row that says which rules of procedure are in force."""


class Procedure(Shape, frozen=True):
    """What the rules of procedure say. There is no default: an estate without them cannot hold a vote."""

    electronic: bool
    """Do they allow voting by phone? (Electronic signature law art. 3: the parties agree on it.)"""
    garages: Literal["count", "left_out"]
    """Do garages and stalls count? (Guiding rules art. 25: it must be fixed before the first vote; law.md V2b.)"""
    objection_days: Annotated[int, Meta(ge=0, le=60, description="Days in which a result can be objected to")]
    proxies_max: Annotated[int, Meta(ge=0, le=100, description="Mandates that one person may hold; 0: none allowed")]
    silence: Literal["absent", "participates", "follows"]
    """What an owner who was served and did not vote counts as: nothing; taking part; taking part and agreeing with
    what most voters chose ((2022) Hu 02 Min Chu 16; law.md V12)."""


class ProcedureInForce(Row, frozen=True):
    """The rules of procedure in force. `content` is the canonical JSON of a Procedure."""

    table: ClassVar[str] = "procedure_in_force"
    content: str
    name: str
    record: str
    """The record that brought them into force: the last of the committee's signatures."""
    since_ms: int


def procedure_of(content: str) -> Procedure | None:
    """The rules of procedure that a row holds as text; None where it is empty."""
    return msgspec.json.decode(content, type=Procedure) if content else None


class AdoptProcedure(RecordKind, frozen=True):
    """A committee member signs what the owners adopted; in force when more than half of the committee signed the same.

    All sign the same body. The pictures are of the adopted text.
    """

    kind: ClassVar[str] = "procedure.adopt"
    signed_by: ClassVar[frozenset[Role]] = frozenset({Role.COMMITTEE})

    class Refusal(enum.Enum):
        """In order of precedence."""

        ALREADY_SIGNED = "already_signed"
        PHOTO_OF_ANOTHER = "photo_of_another"

    document: Annotated[tuple[PhotoRef, ...], Meta(min_length=1, max_length=PHOTOS_MAX)]
    name: Line
    rules: Procedure

    def access(self, signed: Signed) -> tuple[Key, ...]:
        """The committee's signatures under this text, what is in force, and the pictures."""
        pictures = document_keys(self.document, signed.id)
        return (*decision_keys(self), key(ProcedureInForce, IN_FORCE), *pictures)

    def execute(self, rows: Rows, context: Context) -> AdoptProcedure.Refusal | None:
        """Civil Code 278: the owners adopt them; the committee answers for what it enters (Shanghai art. 26)."""
        signers = signers_of(rows, self)
        if context.author in signers:
            return self.Refusal.ALREADY_SIGNED
        if not signers:
            if not own_documents(rows, context, self.document):
                return self.Refusal.PHOTO_OF_ANOTHER
            file_documents(rows, context, "procedure", self.document)
        if sign_decision(rows, context):
            content = encode(self.rules).decode()
            rows.put(ProcedureInForce(IN_FORCE, content, self.name, context.signed.id, context.time_ms))
        return None
