"""Logs for the independent verifier that the server's own rules made, and lies told in them by everybody together.

`World` executes the blocks; `files_of` gives what `verify.py log` reads, with a checkpoint that all members sign; `lie`
changes entries afterwards and lets all members sign that, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from server.ledger.checkpoint import Checkpoint, cosign_line, log_line, note_of
from server.ledger.merkle import root_of
from server.ledger.policy import policy_text
from server.record.canonical import b64u_decode, b64u_encode, decode, encode
from server.record.envelope import sign_jws
from tests.domain.world import ORGANISATIONS, device, make_genesis, organisation_key
from verifier import ledger
from verifier.report import Report

Entry = dict[str, Any]
Change = Callable[[list[Entry]], list[Entry]]


class Memory:
    """An export in memory."""

    def __init__(self, entries: Sequence[bytes]) -> None:
        genesis = make_genesis()
        self._files = {
            "genesis.json": encode(genesis),
            "policy.txt": policy_text(genesis, 2).encode(),
            "succession.json": b'{"links":[]}',
            "checkpoint": _note(genesis.origin, entries).encode(),
        }
        self._entries = entries

    def read(self, name: str) -> bytes:
        """One of the three files."""
        return self._files[name]

    def entries(self) -> Iterator[bytes]:
        """The entries."""
        return iter(self._entries)


def _note(origin: str, entries: Sequence[bytes]) -> str:
    root, size = root_of(list(entries)), len(entries)
    keys = {name: organisation_key(name, "cosign") for name in ORGANISATIONS}
    lines = [cosign_line(keys[name], origin, name, size, root, 1_750_000_000) for name in ORGANISATIONS]
    return note_of(
        Checkpoint(origin, size, root), [log_line(organisation_key("owners", "log"), origin, size, root), *lines]
    )


def examine(entries: Sequence[bytes], openings: dict[str, bytes] | None = None) -> Report:
    """The verifier's report, with one signature of each sort looked at."""
    return ledger.examine(Memory(entries), 1, 1, "", openings)


def lie(entries: Sequence[bytes], change: Change) -> list[bytes]:
    """The entries after a change, each at its new index."""
    changed = change([decode(entry) for entry in entries])
    return [with_index(entry, index) for index, entry in enumerate(changed)]


def with_index(entry: Entry, index: int) -> bytes:
    """The bytes of an entry at an index."""
    return encode(entry | {"index": index})


def said(report: Report, name: str) -> str:
    """The line of a check."""
    return next(line for line in report.lines() if line[13:].split()[0] == name)


def kind_of(entry: Entry) -> str:
    """Kind of an entry."""
    return str(payload_of(entry)["kind"] if "record" in entry else entry["system"]["kind"])


def places(entries: Sequence[bytes], kind: str, outcome: str = "accepted") -> list[int]:
    """Indexes of the entries of a kind with this outcome."""
    decoded = [decode(entry) for entry in entries]
    return [one["index"] for one in decoded if (kind_of(one), one["outcome"]) == (kind, outcome)]


def with_body(entry: Entry, **changes: Any) -> Entry:
    """The entry with another body, signed by its author's device."""
    return with_whole_body(entry, payload_of(entry)["body"] | changes)


def with_whole_body(entry: Entry, body: Any) -> Entry:
    """The entry with this body, which may be anything."""
    payload = payload_of(entry) | {"body": body}
    return entry | {"record": sign_jws(device(payload["author"]), encode(payload))}


def with_kind(entry: Entry, kind: str) -> Entry:
    """The entry as of another kind."""
    payload = payload_of(entry)
    return entry | {"record": sign_jws(device(payload["author"]), encode(payload | {"kind": kind}))}


def by_author(entry: Entry, author: str) -> Entry:
    """The entry as another member's."""
    return entry | {"record": sign_jws(device(author), encode(payload_of(entry) | {"author": author}))}


def payload_of(entry: Entry) -> dict[str, Any]:
    """The payload of an entry's record."""
    return dict(decode(b64u_decode(entry["record"].split(".")[1])))


def lines_of(openings: dict[str, bytes]) -> str:
    """Openings as `--openings` reads them."""
    return "".join(f"{b64u_encode(opening)}\n" for opening in openings.values())
