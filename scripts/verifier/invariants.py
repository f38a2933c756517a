"""What must hold of a whole log, one class an invariant. Each sees every entry in order and concludes at the end.

`see` raises Rejected at the first violation; the invariant is then settled as failed. Here is what holds of any log;
`offices`, `books`, `rolls`, `ballots` and `tallies` are about what the records say.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping

from verifier.ballots import Ballots
from verifier.books import Books
from verifier.checkpoint import members_that_signed
from verifier.encoding import HASH_BYTES, Rejected, b64u, canonical, members, sha256, unb64u
from verifier.finals import Finals
from verifier.genesis import Genesis, check_attestations
from verifier.merkle import Tree, leaf_hash, root_of
from verifier.motions import Motions
from verifier.offices import Offices
from verifier.petitions import Petitions
from verifier.record import ACCEPTED, BIND_KIND, Record
from verifier.report import Result
from verifier.resolution import RESOLUTION_KIND
from verifier.rolls import Rolls
from verifier.seen import EVIDENCE_KIND, SEAL_KIND, Invariant, Seen
from verifier.signatures import is_device_signature, point_of, thumbprint
from verifier.succession import Changes, Era, era_of
from verifier.tallies import Tallies
from verifier.versions import Versions

NONCE_KEPT_MS = 7 * 86_400_000
"""A (kid, nonce) is remembered this long, in block time, after its record expired."""
_LEAF_BODY = "block_id entries_root epoch prev proposer rules state_digest"


class Sample:
    """Mutable. Costly checks: all are made at once, or, with a size, a seeded sample of them at the end."""

    def __init__(self, size: int | None, seed: int) -> None:
        self._size = size
        self._seed = seed
        self._random = random.Random(seed)  # noqa: S311 - a sample that anybody can repeat
        self._kept: list[Callable[[], None]] = []
        self.total = 0

    def offer(self, check: Callable[[], None]) -> None:
        """Make the check now, or let chance decide (reservoir sampling: each has the same chance)."""
        self.total += 1
        if self._size is None:
            check()
        elif len(self._kept) < self._size:
            self._kept.append(check)
        elif (place := self._random.randrange(self.total)) < self._size:
            self._kept[place] = check

    def settle(self) -> str:
        """Make the checks that were kept; returns how many of how many were made."""
        for check in self._kept:
            check()
        if self._size is None or self.total <= self._size:
            return f"{self.total} of {self.total}"
        return f"a sample of {self._size} of {self.total} (seed {self._seed})"


class GrowingTree:
    """The Merkle root over all entries is the checkpoint's. Also keeps the root at every block boundary."""

    def __init__(self, size: int, root: bytes) -> None:
        self._size, self._root = size, root
        self._tree = Tree()
        self.roots: dict[int, bytes] = {}

    def see(self, seen: Seen) -> None:
        """Look at the next entry."""
        self._tree.append(leaf_hash(seen.data))
        if seen.is_leaf:
            self.roots[self._tree.size] = self._tree.root()

    def conclude(self) -> tuple[Result, str]:
        """The result at the end."""
        if self._tree.size < self._size:
            raise Rejected("log", f"the log ends after {self._tree.size} entries, its checkpoint says {self._size}")
        if self._tree.root() != self._root:
            raise Rejected("log", "the entries lead to another root than the checkpoint's")
        return Result.OK, f"root {self._root.hex()[:16]} over {self._size} entries"


class Chain:
    """Blocks follow one another: ids recomputed from headers, prev and state digest linked, entries_root recomputed."""

    def __init__(self, genesis: Genesis) -> None:
        self._genesis = genesis
        self._prev = b64u(genesis.cluster_id)
        self._digest = b64u(sha256(b"linli/state/v1\n", genesis.cluster_id))
        self._height = 1
        self._items: list[bytes] = []
        self._has_records = False

    def see(self, seen: Seen) -> None:
        """Look at the next entry."""
        if seen.entry.height != self._height:
            raise seen.reject(f"height {seen.entry.height} where {self._height} is due")
        if seen.record is None:
            self._check_derived(seen)
        if seen.is_leaf:
            self._close(seen)
        elif seen.record is not None:
            self._has_records = True
            self._items.append(seen.entry.record.encode())
        else:
            said = seen.entry.system
            self._items.append(canonical({name: said[name] for name in ("body", "due_ms", "key", "kind")}))

    def conclude(self) -> tuple[Result, str]:
        """The result at the end."""
        if self._items:
            raise Rejected("log", f"the log ends inside block {self._height}")
        return Result.OK, f"{self._height - 1} blocks, the last one is {self._prev}"

    def _check_derived(self, seen: Seen) -> None:
        said = seen.entry.system
        named = canonical({name: said[name] for name in ("due_ms", "key", "kind")})
        if said["id"] != b64u(sha256(b"linli/system\n", self._genesis.cluster_id, named)):
            raise seen.reject("the id of the derived entry does not fit it")
        if said["due_ms"] > seen.entry.time_ms or seen.entry.outcome != ACCEPTED:
            raise seen.reject("a derived entry before its time, or refused")
        if self._has_records and not seen.is_leaf:
            raise seen.reject("a derived entry after a record of the same block")

    def _close(self, seen: Seen) -> None:
        body = members(seen.entry.system["body"], _LEAF_BODY, "log")
        if body["prev"] != self._prev:
            raise seen.reject(f"block {self._height} does not follow the block before")
        if body["entries_root"] != b64u(root_of(self._items)):
            raise seen.reject(f"the entries of block {self._height} lead to another entries_root")
        header = {name: body[name] for name in ("entries_root", "epoch", "prev", "proposer", "rules")}
        header |= {"entries_bytes": sum(map(len, self._items)), "height": self._height}
        header |= {"state_digest_prev": self._digest, "time_ms": seen.entry.time_ms}
        if body["block_id"] != self._block_id(header) or seen.entry.system["key"] != str(self._height):
            raise seen.reject(f"the id of block {self._height} does not fit its header")
        unb64u(body["state_digest"], "log", HASH_BYTES)
        self._prev, self._digest = body["block_id"], body["state_digest"]
        self._height, self._items, self._has_records = self._height + 1, [], False

    def _block_id(self, header: dict[str, object]) -> str:
        return b64u(sha256(b"linli/block/v1\n", self._genesis.cluster_id, b"\n", canonical(header)))


class BlockTime:
    """Time is the same within a block and grows from block to block."""

    def __init__(self) -> None:
        self._height, self._time_ms, self._first_ms = 0, 0, 0

    def see(self, seen: Seen) -> None:
        """Look at the next entry."""
        entry = seen.entry
        if entry.height == self._height and entry.time_ms != self._time_ms:
            raise seen.reject("another time than the rest of its block")
        if entry.height != self._height and entry.time_ms <= self._time_ms:
            raise seen.reject("not later than the block before")
        self._height, self._time_ms = entry.height, entry.time_ms
        self._first_ms = self._first_ms or entry.time_ms

    def conclude(self) -> tuple[Result, str]:
        """The result at the end."""
        return Result.OK, f"from {self._first_ms} to {self._time_ms} ms"


class ExactlyOnce:
    """No record takes effect twice, by its id and by (kid, nonce); a repetition is refused as nonce_conflict."""

    def __init__(self) -> None:
        self._accepted: set[str] = set()
        self._forget_ms: dict[tuple[str, str], int] = {}
        self._repeated = 0

    def see(self, seen: Seen) -> None:
        """Look at the next entry."""
        record, entry = seen.record, seen.entry
        if record is None:
            return
        if entry.outcome == ACCEPTED and record.id in self._accepted:
            raise seen.reject(f"record {record.id} took effect before")
        is_known = self._forget_ms.get(record.nonce, 0) > entry.time_ms
        if is_known != (entry.outcome == "nonce_conflict"):
            raise seen.reject("its nonce was used before" if is_known else "refused as nonce_conflict without cause")
        self._repeated += is_known
        if entry.outcome == ACCEPTED:
            self._accepted.add(record.id)
        if not is_known:
            self._forget_ms[record.nonce] = record.payload["expires_ms"] + NONCE_KEPT_MS

    def conclude(self) -> tuple[Result, str]:
        """The result at the end."""
        return Result.OK, f"{len(self._accepted)} records took effect once each; {self._repeated} repetitions refused"


class Seals:
    """Every seal carries the cosignatures of all members over the root that the log really had at that size.

    But for members that an earlier entry of evidence bars, and whom a change below the seal puts out or gives
    other keys. The statements
    behind that entry of evidence lie beside the log: whoever asks a node for its evidence can verify them.
    """

    def __init__(self, eras: list[Era], tree: GrowingTree, sample: Sample) -> None:
        self._eras, self._tree, self._sample = eras, tree, sample
        self._barred: set[str] = set()

    def see(self, seen: Seen) -> None:
        """Look at the next entry."""
        if seen.record is None and seen.kind == EVIDENCE_KIND:
            return self._bar(seen)
        if seen.record is None and seen.kind == RESOLUTION_KIND:
            self._barred.update(seen.entry.system["body"]["resolution"]["culprits"])
        if seen.record is not None or seen.kind != SEAL_KIND:
            return None
        body = members(seen.entry.system["body"], "root signatures size", "log")
        size, lines = body["size"], body["signatures"]
        root = self._tree.roots.get(size) if type(size) is int else None
        if root is None or body["root"] != b64u(root):
            raise seen.reject("a seal of a root that the log never had")
        if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines):
            raise seen.reject("a seal without lines")
        barred = frozenset(self._barred)
        self._sample.offer(lambda: self._check(seen, size, root, lines, barred))
        return None

    def _bar(self, seen: Seen) -> None:
        body = seen.body("culprit offence", lists="statements")
        known = era_of(self._eras, seen.entry.index).policy.witnesses
        if body["culprit"] not in known or body["culprit"] in self._barred:
            raise seen.reject("evidence against nobody, or against somebody who is named already")
        self._barred.add(body["culprit"])

    def _check(self, seen: Seen, size: int, root: bytes, lines: list[str], barred: frozenset[str]) -> None:
        era = era_of(self._eras, size)
        witnesses, given = era.policy.witnesses, [line for line in lines if line]
        signed = members_that_signed(era.genesis.origin, size, root, given, witnesses)
        missing = witnesses.keys() - signed - barred - self._leaving(era, size)
        if missing:
            raise seen.reject(f"a seal without the cosignature of {', '.join(sorted(missing))}")

    def _leaving(self, era: Era, size: int) -> set[str]:
        """Whom the change that ends this epoch puts out or gives other keys, where the seal covers that change."""
        later = self._eras[self._eras.index(era) + 1 :][:1]
        after = [one for era_ in later if size > era_.change_index for one in era_.genesis.organisations_said]
        return {str(one["id"]) for one in era.genesis.organisations_said if after and one not in after}

    def conclude(self) -> tuple[Result, str]:
        """The result at the end."""
        checked = f"{self._sample.settle()} seals signed by every member"
        if not self._barred:
            return Result.OK, checked
        names = ", ".join(sorted(self._barred))
        return Result.OK, f"{checked} but {names}, barred by evidence that lies beside the log"


class DeviceSignatures:
    """Every record is signed by the key that genesis or an earlier bind names."""

    def __init__(self, genesis: Genesis, sample: Sample) -> None:
        self._points = {kid: point for kid, (_, point) in genesis.officers.items()}
        self._sample = sample

    def see(self, seen: Seen) -> None:
        """Look at the next entry."""
        record = seen.record
        if record is None:
            return
        if record.kind == BIND_KIND:
            self._learn(record)
        point = self._points.get(record.kid)
        if point is None:
            raise seen.reject(f"signed by key {record.kid}, which nothing before names")
        self._sample.offer(lambda: self._check(seen, record, point))

    def _learn(self, record: Record) -> None:
        device_key = record.payload["body"].get("device_key")
        if isinstance(device_key, dict) and thumbprint(device_key) == record.kid:
            self._points[record.kid] = point_of(device_key, "log")

    def _check(self, seen: Seen, record: Record, point: bytes) -> None:
        if not is_device_signature(point, record.signing_input, record.signature):
            raise seen.reject("the device did not sign this record")

    def conclude(self) -> tuple[Result, str]:
        """The result at the end."""
        return Result.OK, f"{self._sample.settle()} records signed by their devices"


class Owners:
    """What took effect was signed by a key that was its author's at that time."""

    def __init__(self, genesis: Genesis) -> None:
        self._estate = genesis.estate
        self._owners = {kid: member for kid, (member, _) in genesis.officers.items()}

    def see(self, seen: Seen) -> None:
        """Look at the next entry."""
        record = seen.record
        if record is None:
            return
        if record.payload["estate"] != self._estate:
            raise seen.reject("a record for another estate or another genesis")
        if seen.entry.outcome != ACCEPTED:
            return
        if record.kind == BIND_KIND and self._owners.setdefault(record.kid, record.author) != record.author:
            raise seen.reject("the key was bound to another member before")
        if self._owners.get(record.kid) != record.author:
            raise seen.reject(f"took effect, but the key is not one of {record.author}")
        if record.kind == "device.revoke":
            self._owners[str(record.payload["body"].get("revoked"))] = ""

    def conclude(self) -> tuple[Result, str]:
        """The result at the end."""
        return Result.OK, f"{sum(map(bool, self._owners.values()))} keys in use, each of one member"


class Attestations:
    """Every bind that took effect carries genuine signatures of organisations over member and key."""

    def __init__(self, genesis: Genesis, sample: Sample) -> None:
        self._genesis, self._sample = genesis, sample

    def see(self, seen: Seen) -> None:
        """Look at the next entry."""
        record = seen.record
        if record is not None and record.kind == BIND_KIND and seen.entry.outcome == ACCEPTED:
            self._sample.offer(lambda: self._check(seen, record))

    def _check(self, seen: Seen, record: Record) -> None:
        try:
            check_attestations(self._genesis, record.author, record.kid, record.payload["body"])
        except Rejected as error:
            raise seen.reject(error.detail) from None

    def conclude(self) -> tuple[Result, str]:
        """The result at the end."""
        return Result.OK, f"{self._sample.settle()} binds attested by organisations"


def invariants(
    eras: list[Era], size: int, root: bytes, sample: int | None, seed: int, openings: Mapping[str, bytes]
) -> dict[str, Invariant]:
    """All invariants by the name of their check, in the order in which they see an entry."""
    genesis = eras[-1].genesis
    tree, rolls = GrowingTree(size, root), Rolls(genesis)
    offices, petitions = Offices(eras), Petitions(rolls)
    motions = Motions(rolls, offices, petitions)
    ballots = Ballots(motions)
    return {
        "members": Changes(eras),
        "tree": tree,
        "chain": Chain(genesis),
        "roles": offices,
        "rules": Versions(offices),
        "time": BlockTime(),
        "once": ExactlyOnce(),
        "seals": Seals(eras, tree, Sample(sample, seed)),
        "finals": Finals(eras, tree, Sample(sample, seed)),
        "signatures": DeviceSignatures(genesis, Sample(sample, seed)),
        "owners": Owners(genesis),
        "attestations": Attestations(genesis, Sample(sample, seed)),
        "books": Books(offices),
        "rolls": rolls,
        "petitions": petitions,
        "motions": motions,
        "ballots": ballots,
        "tallies": Tallies(ballots, openings),
    }
