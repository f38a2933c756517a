"""A person as an officer types him at the counter: the same spellings as in a roster, so the same person. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from server.gateway.identity_number import IdentityKind, NumberFault, check_number, fold_number
from server.gateway.roster_cells import Unreadable, read_owner, read_phone


@dataclass(frozen=True, slots=True)
class TypedPerson:
    """Name, number and phone in the spelling in which they are compared; `phone` empty when not given."""

    name: str
    number: str
    phone: str


class PersonFault(ValueError):
    """Something that was typed cannot be: `field` as the API names it, `reason` the sentence that people read."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


def read_person(name: str, kind: str, number: str, phone: str, today: date) -> TypedPerson:
    """Read a person; `kind` is a value of IdentityKind. Raises PersonFault for the first thing that is wrong.

    A company's check digit is asked for here, unlike in a roster: nobody types a placeholder for a shop.
    """
    folded = fold_number(number)
    if not folded:
        raise PersonFault("document_number", "证件号码缺失")
    fault: NumberFault | None = check_number(IdentityKind(kind), folded, today)
    if fault is not None:
        raise PersonFault("document_number", fault.value)
    return TypedPerson(_read_name(name), folded, _read_phone(phone))


def _read_name(name: str) -> str:
    try:
        return read_owner(name)
    except Unreadable as unreadable:
        raise PersonFault("name", unreadable.fault.value) from None


def _read_phone(phone: str) -> str:
    try:
        return read_phone(phone)
    except Unreadable as unreadable:
        raise PersonFault("phone", unreadable.fault.value) from None
