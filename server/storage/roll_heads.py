"""From the lines of a roster to the heads of a roll: the same at every organisation that has the same lines and key.

Heads are counted by `server.domain.law`; a home's area counts once, however many lines it has. Pseudonyms and salts are
keyed hashes under the *roll key*, which the organisations share and nobody else has. Pure: no database, no clock.
"""

from __future__ import annotations

import base64
import hmac
from collections import defaultdict
from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Any, Protocol

import msgspec

from server.domain.law.count import OwnerHead, Unit, heads_of
from server.domain.roll import HEAD_MEMBERS_MAX, Head, roll_root
from server.limits import HEAD_AREA_CM2_MAX, ROLL_HEADS_MAX, ROLL_PARTS_MAX
from server.record.canonical import encode
from server.record.shape import SALT_BYTES
from server.record.signature import commitment_of

CM2_IN_KM2 = 10**10
ROOMS_NAMED_MAX = 5
"""Homes of one head that a fault names; a developer's head may have thousands."""
PSEUDONYM_LENGTH = 16
"""80 bits in base32: two of a million people share one with a chance of 10^-12, and that is noticed."""


class RosterLineLike(Protocol):
    """One owner of one home, as a roster reader gives it; area in cm2, share in lowest terms, phone may be empty."""

    @property
    def building(self) -> str: ...
    @property
    def room(self) -> str: ...
    @property
    def owner(self) -> str: ...
    @property
    def id_kind(self) -> str: ...
    @property
    def id_number(self) -> str: ...
    @property
    def phone(self) -> str: ...
    @property
    def area_cm2(self) -> int: ...
    @property
    def share_numerator(self) -> int: ...
    @property
    def share_denominator(self) -> int: ...


class OwnerLine(msgspec.Struct, frozen=True):
    """A line after its person and home became pseudonyms; the document's number is masked."""

    unit: str
    room: str
    area_cm2: int
    member: str
    name: str
    identity_kind: str
    identity_masked: str
    phone: str
    share_numerator: int
    share_denominator: int


class HeadDraft(msgspec.Struct, frozen=True):
    """A head of a roll to be published. `leaf` commits to `opening`: salt, then canonical members, units, area."""

    position: int
    members: tuple[str, ...]
    units: tuple[str, ...]
    area_cm2: int
    opening: bytes
    leaf: str


class RollFault(ValueError):
    """Lines of which no roll can be made; the message names the home, never a person."""


def member_id(roll_key: bytes, id_kind: str, id_number: str) -> str:
    """The pseudonym of a person or company: `m-` and 16 characters."""
    return "m-" + _pseudonym(roll_key, f"member\n{id_kind}\n{id_number}")


def unit_id(roll_key: bytes, building: str, room: str) -> str:
    """The pseudonym of a home: `u-` and 16 characters."""
    return "u-" + _pseudonym(roll_key, f"unit\n{building}\n{room}")


def owner_lines(lines: Iterable[RosterLineLike], roll_key: bytes) -> list[OwnerLine]:
    """Lines with pseudonyms, sorted by home and owner. Raises RollFault: an owner or an area stated twice."""
    found: dict[tuple[str, str], OwnerLine] = {}
    areas: dict[str, int] = {}
    for line in lines:
        owner = _owner_line(line, roll_key)
        if (owner.unit, owner.member) in found:
            raise RollFault(f"{line.room}: an owner stands there twice")
        if areas.setdefault(owner.unit, owner.area_cm2) != owner.area_cm2:
            raise RollFault(f"{line.room}: its lines state different areas")
        found[owner.unit, owner.member] = owner
    if not found:
        raise RollFault("the roster has no line")
    return [found[name] for name in sorted(found)]


def make_heads(lines: Iterable[OwnerLine], roll_key: bytes) -> list[HeadDraft]:
    """The heads of a roll, sorted by their members' pseudonyms. Raises RollFault."""
    homes: defaultdict[str, list[OwnerLine]] = defaultdict(list)
    for line in lines:
        homes[line.unit].append(line)
    for home in homes.values():
        if len(home) > HEAD_MEMBERS_MAX:
            raise RollFault(f"{home[0].room}: more than {HEAD_MEMBERS_MAX} owners of one home")
    heads = heads_of(Unit(unit, tuple(line.member for line in home), home[0].area_cm2) for unit, home in homes.items())
    if len(heads) > ROLL_PARTS_MAX * ROLL_HEADS_MAX:
        raise RollFault(f"more than {ROLL_PARTS_MAX * ROLL_HEADS_MAX} heads")
    for large in (head for head in heads if head.area_cm2 > HEAD_AREA_CM2_MAX):
        rooms = ", ".join(homes[unit][0].room for unit in large.units[:ROOMS_NAMED_MAX])
        raise RollFault(f"{rooms}: more than {HEAD_AREA_CM2_MAX // CM2_IN_KM2} km2 of one head")
    ordered = sorted(heads, key=lambda head: head.owners)
    return [_draft(roll_key, position, head) for position, head in enumerate(ordered)]


def heads_root(heads: Sequence[HeadDraft]) -> str:
    """The root that `roll.publish` announces."""
    return roll_root(map(_published, heads))


def publish_bodies(roll: str, heads: Sequence[HeadDraft]) -> list[dict[str, Any]]:
    """Bodies of the `roll.publish` records of a roll, in order."""
    begins = range(0, len(heads), ROLL_HEADS_MAX)
    common = {"parts": len(begins), "roll": roll, "root": heads_root(heads)}
    return [
        {
            **common,
            "heads": [msgspec.to_builtins(_published(head)) for head in heads[begin : begin + ROLL_HEADS_MAX]],
            "part": part,
            "position": begin,
        }
        for part, begin in enumerate(begins)
    ]


def _published(head: HeadDraft) -> Head:
    return Head(area_cm2=head.area_cm2, leaf=head.leaf, members=head.members)


def mask_identity(number: str) -> str:
    """A document's number as it may be shown: three signs, asterisks, the last two."""
    return number[:3] + "*" * max(len(number) - 5, 0) + number[-2:] if len(number) > 5 else "*" * len(number)


def _owner_line(line: RosterLineLike, roll_key: bytes) -> OwnerLine:
    return OwnerLine(
        unit=unit_id(roll_key, line.building, line.room),
        room=line.room,
        area_cm2=line.area_cm2,
        member=member_id(roll_key, line.id_kind, line.id_number),
        name=line.owner,
        identity_kind=str(line.id_kind),
        identity_masked=mask_identity(line.id_number),
        phone=line.phone,
        share_numerator=line.share_numerator,
        share_denominator=line.share_denominator,
    )


def _draft(roll_key: bytes, position: int, head: OwnerHead) -> HeadDraft:
    details = {"area_cm2": head.area_cm2, "members": head.owners, "position": position, "units": head.units}
    value = encode(details)
    opening = hmac.digest(roll_key, b"leaf\n" + value, sha256)[:SALT_BYTES] + value
    return HeadDraft(position, head.owners, head.units, head.area_cm2, opening, commitment_of(opening))


def _pseudonym(roll_key: bytes, content: str) -> str:
    digest = hmac.digest(roll_key, content.encode(), sha256)
    return base64.b32encode(digest).decode("ascii").lower()[:PSEUDONYM_LENGTH]
