"""Records and log entries: their exact form (DESIGN.md 2.1, 2.4). Says nothing about whether a rule was right."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from verifier.encoding import Rejected, b64u, is_count, members, parse_canonical, sha256, unb64u
from verifier.signatures import SIGNATURE_BYTES

ENTRY_BYTES_MAX = 65_535
RECORD_CHARACTERS_MAX = 60_400
PAYLOAD_BYTES_MAX = 45_000
LIFE_MS_MAX = 86_400_000
ACCEPTED = "accepted"
BIND_KIND = "device.bind"
_PATTERNS = {
    "author": re.compile(r"[a-z0-9-]{1,40}"),
    "estate": re.compile(r"[a-z0-9-]{1,32}\.[A-Za-z0-9_-]{22}"),
    "kind": re.compile(r"[a-z]{2,20}\.[a-z]{2,20}(\.[0-9]{1,2})?"),
}


@dataclass(frozen=True)
class Record:
    """A record as the ledger keeps it; the signature is not checked yet."""

    id: str
    kid: str
    payload: dict[str, Any]
    signing_input: bytes
    signature: bytes

    @property
    def author(self) -> str:
        """Member id of the author."""
        return str(self.payload["author"])

    @property
    def kind(self) -> str:
        """What kind of record it is."""
        return str(self.payload["kind"])

    @property
    def nonce(self) -> tuple[str, str]:
        """What may stand in the log once."""
        return self.kid, self.payload["nonce"]


def parse_record(text: str, fault: str = "record") -> Record:
    """The exact envelope of a record; Rejected with `fault`."""
    parts = text.split(".")
    if len(text) > RECORD_CHARACTERS_MAX or len(parts) != 3:
        raise Rejected(fault, "not a JWS in compact form")
    header, content, signature = (unb64u(part, fault) for part in parts)
    kid = header[22:65].decode("ascii", "replace")
    if (
        header != b'{"alg":"ES256","kid":"%s","typ":"linli-record+jws"}' % kid.encode()
        or len(signature) != SIGNATURE_BYTES
    ):
        raise Rejected(fault, "not the header and signature of a record")
    unb64u(kid, fault, 32)
    if len(content) > PAYLOAD_BYTES_MAX:
        raise Rejected(fault, "the payload is too large")
    payload = members(parse_canonical(content, fault), "author body estate expires_ms kind made_ms nonce", fault)
    _check_payload(payload, fault)
    signing_input = f"{parts[0]}.{parts[1]}".encode()
    return Record(b64u(sha256(signing_input)), kid, payload, signing_input, signature)


def _check_payload(payload: dict[str, Any], fault: str) -> None:
    for name, pattern in _PATTERNS.items():
        if not isinstance(payload[name], str) or not pattern.fullmatch(payload[name]):
            raise Rejected(fault, f"{name} has another form")
    if not isinstance(payload["body"], dict):
        raise Rejected(fault, "the body is no object")
    made, expires = payload["made_ms"], payload["expires_ms"]
    if not (is_count(made) and is_count(expires) and made > 0 and 0 < expires - made <= LIFE_MS_MAX):
        raise Rejected(fault, "expires_ms must lie at most 24 hours after made_ms")
    unb64u(payload["nonce"], fault, 16)


@dataclass(frozen=True)
class Entry:
    """A log entry: `record` is the JWS of a client's record, else `system` what a derived entry says."""

    height: int
    index: int
    outcome: str
    time_ms: int
    record: str
    system: dict[str, Any]


def parse_entry(data: bytes) -> Entry:
    """A log entry from its bytes; Rejected with fault `entry`."""
    if len(data) > ENTRY_BYTES_MAX:
        raise Rejected("entry", "larger than 65,535 bytes")
    value = parse_canonical(data, "entry")
    which = "system" if isinstance(value, dict) and "system" in value else "record"
    members(value, f"height index outcome {which} time_ms", "entry")
    is_typed = all(is_count(value[name]) for name in ("height", "index", "time_ms")) and isinstance(
        value["outcome"], str
    )
    if not is_typed or not isinstance(value[which], dict if which == "system" else str):
        raise Rejected("entry", "a member has another type")
    if which == "system":
        _check_system(value["system"])
    return Entry(
        value["height"],
        value["index"],
        value["outcome"],
        value["time_ms"],
        value.get("record", ""),
        value.get("system", {}),
    )


def _check_system(system: Any) -> None:
    members(system, "body due_ms id key kind", "entry")
    is_typed = all(isinstance(system[name], str) for name in ("id", "key", "kind")) and isinstance(system["body"], dict)
    if not is_typed or not is_count(system["due_ms"]):
        raise Rejected("entry", "a derived entry of another form")
