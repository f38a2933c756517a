"""What one organisation keeps for itself: its copy of the roll, sessions, codes, tries."""

from __future__ import annotations

from dataclasses import dataclass

from server.node.keyring import Keys
from server.storage.attempts import AttemptStore, PhoneCodeStore
from server.storage.database import Database
from server.storage.people import PeopleStore
from server.storage.queries import Queries
from server.storage.sessions import SessionStore
from server.storage.vault import Vault


@dataclass(frozen=True, slots=True)
class Private:
    """The private stores of one node, and its read side."""

    queries: Queries
    people: PeopleStore
    sessions: SessionStore
    phone_codes: PhoneCodeStore
    attempts: AttemptStore


def open_private(database: Database, vault: Vault, keys: Keys) -> Private:
    """The stores of an open database."""
    return Private(
        queries=Queries(database),
        people=PeopleStore(database, vault, keys.roll),
        sessions=SessionStore(database, vault),
        phone_codes=PhoneCodeStore(database, vault),
        attempts=AttemptStore(database),
    )
