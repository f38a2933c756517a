"""People of a test who sign records, without a node: for what is judged before anything is ordered."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from server.domain import RULEBOOK
from server.domain.plan import RecordWork, parse_signed
from server.record.canonical import b64u_encode
from server.record.envelope import Payload, sign_record
from server.record.shape import seal
from server.record.signature import DeviceSigner

ESTATE = "test." + "A" * 22
MADE_MS = 1_800_000_000_000
LIFE_MS = 3_600_000


@dataclass(slots=True)
class Author:
    """Mutable. A member with a device; nonces and salts are counted."""

    signer: DeviceSigner = field(default_factory=DeviceSigner.generate)
    estate: str = ESTATE
    made_ms: int = MADE_MS
    count: int = 0

    def sign(self, kind: str, body: dict[str, Any], *, life_ms: int = LIFE_MS) -> str:
        """A signed record."""
        self.count += 1
        payload = Payload(
            author="li",
            body=body,
            estate=self.estate,
            expires_ms=self.made_ms + life_ms,
            kind=kind,
            made_ms=self.made_ms,
            nonce=b64u_encode(self._bytes()),
        )
        return sign_record(self.signer, payload)

    def report(self, text: str = "灯坏了", *, life_ms: int = LIFE_MS) -> tuple[RecordWork, tuple[bytes, ...]]:
        """A resident's report and the openings of its three private fields."""
        self.count += 1
        sealed = {
            name: seal(value, self._bytes(name)) for name, value in (("contact", ""), ("place", ""), ("text", text))
        }
        body = {"category": "door", "home": False, "photos": [], **{name: one[0] for name, one in sealed.items()}}
        work = parse_signed(self.sign("ticket.report", body, life_ms=life_ms), self.estate, RULEBOOK.find(1))
        return work, tuple(opening for _, opening in sealed.values())

    def _bytes(self, name: str = "") -> bytes:
        return sha256(f"{name} {self.count}".encode()).digest()[:16]
