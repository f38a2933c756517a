"""Whose signatures count: the policy file (c2sp.org/tlog-policy) of a log, and the grade that a checkpoint reaches.

The file is made from genesis; verifiers need nothing else to trust. It must not compute quorums: the number comes in.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Collection, Sequence

import msgspec

from server.ledger.checkpoint import (
    TYPE_COSIGNATURE,
    TYPE_LOG,
    Checkpoint,
    CheckpointError,
    CheckpointFault,
    KeyType,
    VerifierKey,
    b64_decode,
    cosigner_name,
    key_id,
    parse_note,
    verify_lines,
)
from server.ledger.genesis import Genesis
from server.limits import KIB
from server.record.canonical import Malformed

POLICY_BYTES_MAX = 256 * KIB
"""32 logs, witnesses and groups, which tlog-policy wants supported, take a tenth of it."""
_PUBLIC_BYTES = 32
_VKEY = re.compile(r"([^\s+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]+={0,2})")
_THRESHOLD = re.compile(r"[1-9][0-9]{0,3}")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_SPACES = re.compile(r"[ \t]+")


class Grade(enum.Enum):
    """How firmly an entry stands: a quorum signed, every member did, outside witnesses did too (consensus.md 1.4)."""

    COMMITTED = "committed"
    SEALED = "sealed"
    WITNESSED = "witnessed"


class Group(msgspec.Struct, frozen=True):
    """`threshold` of `members` (witnesses or groups) must have signed."""

    threshold: int
    members: tuple[str, ...]


class Policy(msgspec.Struct, frozen=True):
    """A parsed policy file. All logs bear the name of the origin; groups stand in the order of their definition."""

    origin: str
    logs: tuple[VerifierKey, ...]
    witnesses: dict[str, VerifierKey]
    groups: dict[str, Group]
    quorum: str

    def satisfied(self, signers: Collection[str]) -> frozenset[str]:
        """The witnesses among `signers` and every group that they satisfy."""
        held = {name for name in signers if name in self.witnesses}
        for name, group in self.groups.items():
            if sum(member in held for member in group.members) >= group.threshold:
                held.add(name)
        return frozenset(held)

    def grade(self, signers: Collection[str], barred: Collection[str] = ()) -> Grade | None:
        """The highest grade that these witnesses reach, or None below the quorum.

        Who is barred counts for nothing, and is not waited for: `sealed` asks for all the others (decisions 21).
        """
        counted = set(signers).difference(barred)
        held = self.satisfied(counted)
        if self.quorum not in held:
            return None
        if Grade.SEALED.value not in self.satisfied(counted.union(barred)):
            return Grade.COMMITTED
        return Grade.WITNESSED if Grade.WITNESSED.value in held else Grade.SEALED

    def is_member(self, name: str) -> bool:
        """Is it a witness that `sealed` waits for?"""
        group = self.groups.get(Grade.SEALED.value)
        return name in self.witnesses and group is not None and name in group.members


class VerifiedCheckpoint(msgspec.Struct, frozen=True):
    """A checkpoint whose signatures hold. `cosigned`: the second that each witness stated."""

    checkpoint: Checkpoint
    cosigned: dict[str, int]
    grade: Grade | None


def policy_text(genesis: Genesis, quorum: int, held_by: Sequence[str] = ()) -> str:
    """The policy file of a ledger (DESIGN.md 2.5). `quorum`: members that must have signed for `committed`.

    `held_by`: for sizes of which a fork made two trees, the members that held the kept branch; one of them must be
    among those who signed (DESIGN.md D32).
    """
    ids = " ".join(member.id for member in genesis.members)
    lines = [f"log {log_key(genesis, member.id).text()}" for member in genesis.members]
    lines += [f"witness {member.id} {cosign_key(genesis, member.id).text()}" for member in genesis.members]
    committed = [f"group committed {quorum} {ids}"]
    if held_by:
        kept = f"group kept any {' '.join(held_by)}"
        committed = [f"group quorate {quorum} {ids}", kept, "group committed 2 quorate kept"]
    lines += [*committed, f"group sealed all {ids}", "quorum committed"]
    return "".join(line + "\n" for line in lines)


def log_key(genesis: Genesis, member: str) -> VerifierKey:
    """The key of a member's log line."""
    return VerifierKey(genesis.origin, TYPE_LOG, genesis.key(member, "log"))


def cosign_key(genesis: Genesis, member: str) -> VerifierKey:
    """The key of a member's cosignatures."""
    return VerifierKey(cosigner_name(genesis.origin, member), TYPE_COSIGNATURE, genesis.key(member, "cosign"))


def verify_checkpoint(note: str, policy: Policy) -> VerifiedCheckpoint:
    """Parse a checkpoint and check its signatures: one of a log at least (tlog-policy). Raises CheckpointError.

    Whether enough members signed is for the caller to ask: see `grade`.
    """
    parsed = parse_note(note, policy.origin)
    signed = verify_lines(parsed, (*policy.logs, *policy.witnesses.values()))
    if not any(log in signed for log in policy.logs):
        raise CheckpointError(CheckpointFault.LOG_SIGNATURE_MISSING)
    cosigned = {name: signed[key] for name, key in policy.witnesses.items() if key in signed}
    return VerifiedCheckpoint(parsed.checkpoint, cosigned, policy.grade(cosigned))


def parse_policy(text: str) -> Policy:
    """Read a policy file. Raises Malformed for anything that tlog-policy forbids, and for a policy without a quorum."""
    if len(text) > POLICY_BYTES_MAX or _CONTROL.search(text):
        raise Malformed("not a policy file", "policy")
    reader = _Reader()
    for number, line in enumerate(text.split("\n"), 1):
        words = _SPACES.split(line.strip(" \t"))
        if words[0] and not words[0].startswith("#"):
            reader.read(words, f"line {number}")
    return reader.finish()


class _Reader:
    """Mutable. A policy as far as it has been read."""

    def __init__(self) -> None:
        self.logs: list[VerifierKey] = []
        self.witnesses: dict[str, VerifierKey] = {}
        self.groups: dict[str, Group] = {}
        self.quorum = ""

    def read(self, words: Sequence[str], where: str) -> None:
        keyword, *rest = words
        readers: dict[str, Callable[[Sequence[str], str], None]] = {
            "log": self._read_log,
            "witness": self._read_witness,
            "group": self._read_group,
            "quorum": self._read_quorum,
        }
        if keyword not in readers:
            raise Malformed("not a line of a policy", where)
        readers[keyword](rest, where)

    def finish(self) -> Policy:
        if not self.logs or len({log.name for log in self.logs}) != 1:
            raise Malformed("the policy must name the logs of one origin", "policy")
        if not self.quorum:
            raise Malformed("the policy has no quorum", "policy")
        return Policy(self.logs[0].name, tuple(self.logs), self.witnesses, self.groups, self.quorum)

    def _read_log(self, rest: Sequence[str], where: str) -> None:
        if len(rest) not in (1, 2):
            raise Malformed("a log line is: log VKEY [URL]", where)
        key = parse_vkey(rest[0], TYPE_LOG, where)
        if key.public in {log.public for log in self.logs}:
            raise Malformed("the same log twice", where)
        self.logs.append(key)

    def _read_witness(self, rest: Sequence[str], where: str) -> None:
        if len(rest) not in (2, 3):
            raise Malformed("a witness line is: witness NAME VKEY [URL]", where)
        self._check_new(rest[0], where)
        key = parse_vkey(rest[1], TYPE_COSIGNATURE, where)
        if key.public in {witness.public for witness in self.witnesses.values()}:
            raise Malformed("the same witness twice", where)
        self.witnesses[rest[0]] = key

    def _read_group(self, rest: Sequence[str], where: str) -> None:
        if len(rest) < 3:
            raise Malformed("a group line is: group NAME COUNT MEMBER...", where)
        name, count, *members = rest
        self._check_new(name, where)
        if len(set(members)) != len(members) or not all(self._is_known(member) for member in members):
            raise Malformed("a member is named twice or not defined above", where)
        self.groups[name] = Group(_threshold(count, len(members), where), tuple(members))

    def _read_quorum(self, rest: Sequence[str], where: str) -> None:
        if self.quorum or len(rest) != 1 or not self._is_known(rest[0]):
            raise Malformed("one quorum line names a witness or group defined above", where)
        self.quorum = rest[0]

    def _check_new(self, name: str, where: str) -> None:
        if name == "none" or self._is_known(name):
            raise Malformed("the name is taken", where)

    def _is_known(self, name: str) -> bool:
        return name in self.witnesses or name in self.groups


def _threshold(count: str, members: int, where: str) -> int:
    if count in ("all", "any"):
        return members if count == "all" else 1
    if not _THRESHOLD.fullmatch(count) or int(count) > members:
        raise Malformed("not a count of the members", where)
    return int(count)


def parse_vkey(text: str, key_type: KeyType, where: str = "policy") -> VerifierKey:
    """`<name>+<key id>+<b64 of type and key>` of this type (signed-note). Raises Malformed."""
    found = _VKEY.fullmatch(text)
    if found is None:
        raise Malformed("not a verifier key", where)
    typed = b64_decode(found[3])
    if len(typed) != 1 + _PUBLIC_BYTES or typed[0] != key_type:
        raise Malformed("not a key of this type", where)
    if key_id(found[1], key_type, typed[1:]).hex() != found[2]:
        raise Malformed("the key id does not fit the key", where)
    return VerifierKey(found[1], key_type, typed[1:])
