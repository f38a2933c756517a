"""The audit of who the members are: signed changes, seals, epochs, by books of its own (see books.py)."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from server.domain.membership import EpochBegun
from tests.simulation.entries import Entry, Tables, differences, rows_of
from tests.simulation.estate import Neighbourhood, organisation_key
from tests.simulation.keyring import is_line_of

Member = Mapping[str, Any]
"""A member as genesis spells it."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A change that was ordered at `index`."""

    members: dict[str, Member]
    index: int


class Members:
    """Mutable. What a careful reader of the log knows of the members. Complaints are returned."""

    def __init__(self, home: Neighbourhood) -> None:
        [founding] = [row for row in home.rows.values() if isinstance(row, EpochBegun)]
        self._cluster_id = _b64u(home.trust.cluster_id)
        self.now = {member["id"]: member for member in map(json.loads, founding.members)}
        self._former: set[str] = set()
        self._waiting: Waiting | None = None
        self._begins: dict[str, Member] | None = None
        self._epochs = {"0": (1, sorted(self.now))}
        self.barred: set[str] = set()
        self._lost: set[tuple[str, int]] = set()
        """Whose keys ended with which epoch."""
        self._retired: set[tuple[str, int]] = set()
        """Those that signed on."""

    def bar(self, culprit: str) -> str | None:
        """Evidence was ordered."""
        if culprit in self.barred or culprit not in self.now:
            return f"{culprit} is named again, or is no member"
        self.barred.add(culprit)
        return None

    def retire(self, culprit: str, epoch: int) -> str | None:
        """Evidence of a retired key was ordered: that epoch has ended, with it the key, and it is named once."""
        if (culprit, epoch) in self._retired or (culprit, epoch) not in self._lost:
            return f"a key of {culprit} is named again, or was not retired with epoch {epoch}"
        self._retired.add((culprit, epoch))
        return None

    def change(self, entry: Entry) -> str | None:
        """An accepted change: nothing waits, it is for this epoch, of one member, signed by all who will be members."""
        change = entry.body["change"]
        members = {member["id"]: member for member in change["members"]}
        if self._waiting is not None or self._begins is not None:
            return "a change is accepted while another one waits"
        if change["epoch"] != len(self._epochs) - 1:
            return "the change is for another epoch"
        other = [name for name in {*members, *self.now} if members.get(name) != self.now.get(name)]
        if len(other) != (change["kind"] != "policy.set") or self._former & members.keys():
            return "the change is not one step"
        if not self._all_agree(change, members, entry.body["signatures"]):
            return "the change is not signed by all that will be members"
        self._waiting = Waiting(members, entry.index)
        return None

    def _all_agree(self, change: Any, members: Mapping[str, Member], lines: list[Any]) -> bool:
        said = {"change": change, "cluster_id": self._cluster_id}
        message = b"linli/membership/v1\n" + json.dumps(
            said, ensure_ascii=False, separators=(",", ":"), sort_keys=True
        ).encode("utf-8")
        keys = {**members, **{name: self.now[name] for name in members if name in self.now}}
        try:
            for line in lines:
                public = Ed25519PublicKey.from_public_bytes(_unb64u(keys[line["node"]]["operator_key"]))
                public.verify(_unb64u(line["signature"]), message)
        except (InvalidSignature, KeyError):
            return False
        return {line["node"] for line in lines} == set(members)

    def seal(self, body: Mapping[str, Any], size: int) -> str | None:
        """A seal: all have signed but who is barred, or is put out or has new keys by a change that the seal covers."""
        covers = self._waiting is not None and body["size"] > self._waiting.index
        after = self._waiting.members if self._waiting is not None and covers else self.now
        leaving = {name for name, member in self.now.items() if after.get(name) != member}
        root = _unb64u(body["root"])
        for name, line in zip(sorted(self.now), body["signatures"], strict=True):
            excused = not line and name in self.barred | leaving
            if not excused and not is_line_of(_secret(self.now[name]), body["size"], root, line):
                return "a seal that not all members have signed"
        if body["size"] > size:
            return "a seal of more than there is"
        if self._waiting is not None and covers:
            self._begins, self._waiting = self._waiting.members, None
        return None

    def quorum(self, body: Mapping[str, Any], size: int) -> str | None:
        """A checkpoint that a quorum has signed; who has no line is named, but for who is barred."""
        root, n, signed = _unb64u(body["root"]), len(self.now), set[str]()
        for name, line in zip(sorted(self.now), body["signatures"], strict=True):
            if line and not is_line_of(_secret(self.now[name]), body["size"], root, line):
                return "a line that its member has not signed"
            signed |= {name} if line else set()
        if len(signed) < (n + (n - 1) // 3) // 2 + 1 or body["size"] > size:
            return "a checkpoint without a quorum, or of more than there is"
        if set(body["absent"]) != self.now.keys() - signed - self.barred:
            return "names others than those who are absent"
        return None

    def end_block(self, height: int, epoch: int) -> str | None:
        """A block has ended: what was sealed in it begins."""
        if epoch != len(self._epochs) - 1:
            return f"block {height} is of epoch {epoch}"
        if self._begins is not None:
            self._former |= self.now.keys() - self._begins.keys()
            lost = [name for name, member in self.now.items() if _keys_of(member) != _keys_of(self._begins.get(name))]
            self._lost |= {(name, epoch) for name in lost}
            self.now, self._begins = self._begins, None
            self._epochs[str(len(self._epochs))] = (height + 1, sorted(self.now))
        return None

    def compare(self, tables: Tables) -> Iterator[str]:
        """What rows and books say differently."""
        rows = {
            row.id: (row.first_height, [json.loads(member)["id"] for member in row.members])
            for row in rows_of(tables, EpochBegun)
        }
        yield from differences("epoch", rows, self._epochs)


def _keys_of(member: Member | None) -> tuple[Any, Any] | None:
    return None if member is None else (member["consensus_key"], member["cosign_key"])


def _secret(member: Member) -> str:
    founding = _b64u(organisation_key(member["id"], "consensus").public)
    name = str(member["id"])
    return name if member["consensus_key"] == founding else f"{name} {member['consensus_key']}"


def _unb64u(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _b64u(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
