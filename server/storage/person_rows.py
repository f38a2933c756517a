"""How a person, a number and a home become rows of the private tables: sealed, and found again by keyed hashes.

One spelling for comparing is made here and nowhere else. It must not know when rows are written, or why.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

from server.storage.private_tables import HOME, PERSON, PERSON_PHONE
from server.storage.roll_heads import OwnerLine
from server.storage.statements import Table
from server.storage.vault import Cell, Vault

_ROOM_SIGNS = str.maketrans("", "", "-－—–‐ 室")


@dataclass(frozen=True, slots=True)
class PersonRows:
    """Makes rows with one node's vault, and reads their sealed cells."""

    vault: Vault

    def person(self, member: str, name: str, identity_kind: str, identity_masked: str) -> tuple[str | bytes, ...]:
        """A row of `person`."""
        identity = self.seal(PERSON, "sealed_identity", member, identity_masked)
        return member, identity_kind, identity, self.seal(PERSON, "sealed_name", member, name), self.name_hash(name)

    def phone(self, member: str, phone: str) -> tuple[str | bytes, ...]:
        """A row of `person_phone`; its id is `<member>/<phone hash>`."""
        hashed = self.phone_hash(phone)
        name = f"{member}/{hashed}"
        return name, member, hashed, self.seal(PERSON_PHONE, "sealed_phone", name, phone)

    def home(self, line: OwnerLine) -> tuple[str | bytes | int, ...]:
        """A row of `home`."""
        sealed = self.seal(HOME, "sealed_room", line.unit, line.room)
        return line.unit, sealed, self.room_hash(line.room), line.area_cm2

    def name_hash(self, name: str) -> str:
        """By what a name is found."""
        return self.vault.keyed_hash("name", _fold(name))

    def room_hash(self, room: str) -> str:
        """By what a home is found."""
        return self.vault.keyed_hash("room", _fold(room).translate(_ROOM_SIGNS))

    def phone_hash(self, phone: str) -> str:
        """By what a number is found."""
        return self.vault.keyed_hash("phone", _fold(phone))

    def seal(self, table: Table, column: str, name: str, value: str) -> bytes:
        """A text for one cell."""
        return self.vault.seal(Cell(table.name, column, name), value.encode())

    def open(self, table: Table, column: str, name: str, sealed: bytes) -> str:
        """The text of one cell. Raises WrongKey."""
        return self.vault.unseal(Cell(table.name, column, name), bytes(sealed)).decode()


def _fold(text: str) -> str:
    """One spelling for comparing: width, case and blanks aside."""
    return "".join(unicodedata.normalize("NFKC", text).casefold().split())
