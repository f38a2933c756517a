"""What one record kind declares, and what a derived kind declares.

A kind is one frozen class: its fields are the record's body and its schema, its docstring the description, `signed_by`
the roles that may sign it, `access` the rows it touches, `Refusal` why it can have no effect, `execute` the rule.
Parser, JSON Schema, OpenAPI, typed client, tables and the simulator's workload follow from it.
"""

from __future__ import annotations

import enum
from typing import Any, ClassVar

import msgspec

from server.record.rows import Key, Rows
from server.record.shape import PhotoRef, Shape, private_fields


class Role(enum.Enum):
    """What a member may do. Roles other than resident are held for an organisation: `staff@property`."""

    RESIDENT = "resident"
    STAFF = "staff"
    COMMITTEE = "committee"
    MERCHANT = "merchant"
    AUDITOR = "auditor"
    OFFICER = "officer"


class Signed(msgspec.Struct, frozen=True):
    """A record as its rule sees it: who signed what, and its id."""

    id: str
    kid: str
    author: str
    kind: str
    nonce: str
    made_ms: int
    expires_ms: int
    body: RecordKind


class Place(msgspec.Struct, frozen=True):
    """Where in the ledger a rule runs: all that it may know of time and order."""

    height: int
    index: int
    time_ms: int


class Context(msgspec.Struct, frozen=True):
    """All that a rule may know besides its rows."""

    signed: Signed
    place: Place
    roles: tuple[str, ...]
    trust: Trust

    @property
    def author(self) -> str:
        """The member who signed."""
        return self.signed.author

    @property
    def time_ms(self) -> int:
        """The block's time."""
        return self.place.time_ms

    def organisations(self, role: Role) -> tuple[str, ...]:
        """The organisations for which the author holds `role`."""
        prefix = role.value + "@"
        return tuple(held[len(prefix) :] for held in self.roles if held.startswith(prefix))


class Trust(msgspec.Struct, frozen=True):
    """What genesis fixed and rules need: the cluster, the attesting keys and the policy numbers."""

    cluster_id: bytes
    attest_keys: dict[str, bytes]
    attestations: int
    approvals: int
    new_key_vote_delay_ms: int
    final_without_ms: int


class RecordKind(Shape, frozen=True):
    """Base of the record kinds."""

    kind: ClassVar[str]
    signed_by: ClassVar[frozenset[Role]]
    binds_device: ClassVar[bool] = False
    """True only for the kind that names a key for the first time: its kid is unknown before."""

    class Refusal(enum.Enum):
        """Why the rule can refuse, in order of precedence."""

    permanent: ClassVar[frozenset[str]] = frozenset()
    """Refusal codes that no later block can lift: the API may answer them without ordering (decisions 14)."""

    def access(self, signed: Signed) -> tuple[Key, ...]:
        """Every row that `execute` may touch, from the record alone."""
        raise TypeError(f"{self.kind} does not say what it touches")

    def execute(self, rows: Rows, context: Context) -> enum.Enum | None:
        """Apply the record to the rows, or return the refusal and touch nothing."""
        raise TypeError(f"{self.kind} has no rule")

    def commitments(self) -> tuple[str, ...]:
        """The commitments of the private fields, in the order of the fields."""
        return tuple(getattr(self, name) for name in private_fields_of(type(self)))

    def photo_refs(self) -> tuple[PhotoRef, ...]:
        """The photos that the body names. (Not `photos`: that is the name of a field.)"""
        found = [getattr(self, name) for name in self.__struct_fields__]
        return tuple(photo for value in found if isinstance(value, tuple) for photo in value if type(photo) is PhotoRef)


class DerivedKind(Shape, frozen=True):
    """Base of the derived kinds: entries that every replica computes for itself (decisions 4). Fields are the body.

    `timed`: whether a timer brings it about.
    """

    kind: ClassVar[str]
    timed: ClassVar[bool] = True

    def access(self, key: str) -> tuple[Key, ...]:
        """Every row that `execute` may touch, from key and body alone."""
        raise TypeError(f"{self.kind} does not say what it touches")

    def execute(self, key: str, rows: Rows, place: Place) -> None:
        """Apply the derived entry to the rows; it is never refused."""
        raise TypeError(f"{self.kind} has no rule")


_private: dict[type, dict[str, Any]] = {}


def private_fields_of(kind: type[RecordKind]) -> dict[str, Any]:
    """`private_fields` of a kind, computed once."""
    if kind not in _private:
        _private[kind] = private_fields(kind)
    return _private[kind]
