"""The policy file (c2sp.org/tlog-policy): whose signatures on a checkpoint count, and how many are enough."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field

from verifier.encoding import Rejected, b64, sha256, unb64

LOG_TYPE, COSIGNATURE_TYPE = 1, 4
KEY_ID_BYTES = 4
GRADES = ("committed", "sealed", "witnessed")
"""From the weakest: a quorum signed, every member did, and outside witnesses too where the policy names any."""
_VKEY = re.compile(r"([^\s+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)")
_COUNT = re.compile(r"all|any|[1-9][0-9]{0,3}")


@dataclass(frozen=True)
class Key:
    """A public key under the name that it signs with; `typed` is the type byte and the 32 bytes of the key."""

    name: str
    typed: bytes

    @property
    def id(self) -> bytes:
        """SHA-256(name || 0x0A || type || key)[:4] (signed-note)."""
        return sha256(self.name.encode(), b"\n", self.typed)[:KEY_ID_BYTES]

    @property
    def text(self) -> str:
        """The vkey."""
        return f"{self.name}+{self.id.hex()}+{b64(self.typed)}"


@dataclass
class Policy:
    """Filled while reading, not changed afterwards. Groups: (threshold, members) in the order of definition."""

    logs: list[Key] = field(default_factory=list)
    witnesses: dict[str, Key] = field(default_factory=dict)
    groups: dict[str, tuple[int, list[str]]] = field(default_factory=dict)
    quorum: str = ""

    @property
    def origin(self) -> str:
        """The name of all logs."""
        return self.logs[0].name

    def satisfied(self, signers: Collection[str]) -> set[str]:
        """These witnesses and the groups that they satisfy."""
        held = set(signers)
        for name, (threshold, names) in self.groups.items():
            if len(held.intersection(names)) >= threshold:
                held.add(name)
        return held

    def grade(self, signers: Collection[str], barred: Collection[str] = ()) -> str:
        """One of GRADES, or empty when the quorum is not reached. Who is barred neither counts nor is waited for."""
        counted = set(signers).difference(barred)
        held = self.satisfied(counted)
        if self.quorum not in held:
            return ""
        if "sealed" not in self.satisfied(counted.union(barred)):
            return "committed"
        return "witnessed" if "witnessed" in held else "sealed"

    def is_member(self, name: str) -> bool:
        """Whether it is a witness that `sealed` waits for."""
        return name in self.witnesses and name in self.groups.get("sealed", (0, []))[1]


def parse_policy(text: str) -> Policy:
    """Read a policy file; Rejected with fault `policy`."""
    if re.search(r"[\x00-\x08\x0b-\x1f\x7f]", text):
        raise Rejected("policy", "a control character")
    policy = Policy()
    for number, line in enumerate(text.split("\n"), 1):
        words = re.split(r"[ \t]+", line.strip(" \t"))
        if words[0] and not words[0].startswith("#") and not _read_line(policy, words):
            raise Rejected("policy", f"line {number} is not of a policy file")
    if not policy.logs or any(log.name != policy.origin for log in policy.logs) or not policy.quorum:
        raise Rejected("policy", "the logs of one origin and a quorum are needed")
    return policy


def _read_line(policy: Policy, words: list[str]) -> bool:
    keyword, rest = words[0], words[1:]
    if keyword == "log" and len(rest) in (1, 2):
        key = parse_key(rest[0], LOG_TYPE)
        policy.logs.append(key)
        return key.typed not in [log.typed for log in policy.logs[:-1]]
    if keyword == "witness" and len(rest) in (2, 3):
        key = parse_key(rest[1], COSIGNATURE_TYPE)
        is_new = _is_new(policy, rest[0]) and key.typed not in [known.typed for known in policy.witnesses.values()]
        policy.witnesses[rest[0]] = key
        return is_new
    if keyword == "group" and len(rest) >= 3:
        return _read_group(policy, rest[0], rest[1], rest[2:])
    if keyword == "quorum" and len(rest) == 1 and not policy.quorum:
        policy.quorum = rest[0]
        return _is_known(policy, rest[0])
    return False


def _read_group(policy: Policy, name: str, count: str, names: list[str]) -> bool:
    is_defined = all(_is_known(policy, member) for member in names) and len(set(names)) == len(names)
    if not (is_defined and _is_new(policy, name) and _COUNT.fullmatch(count)):
        return False
    threshold = {"all": len(names), "any": 1}.get(count) or int(count)
    policy.groups[name] = (threshold, names)
    return threshold <= len(names)


def _is_known(policy: Policy, name: str) -> bool:
    return name in policy.witnesses or name in policy.groups


def _is_new(policy: Policy, name: str) -> bool:
    return name != "none" and not _is_known(policy, name)


def parse_key(text: str, kind: int) -> Key:
    """A vkey of this type (signed-note); Rejected with fault `policy`."""
    found = _VKEY.fullmatch(text)
    if found is None:
        raise Rejected("policy", "not a verifier key")
    key = Key(found[1], unb64(found[3], "policy"))
    if len(key.typed) != 33 or key.typed[0] != kind or key.id.hex() != found[2]:
        raise Rejected("policy", f"the key of {key.name} is of another type, or its id does not fit")
    return key
