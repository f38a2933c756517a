"""The ceremony that ends a fork: read both branches, draw the resolution up, have operators sign it (docs/forks.md).

`scripts/members.py` is its command line. Nothing that a node says is believed: the entries give the root of each
branch, evidence is verified with the members' keys, and what nodes will refuse is refused here first, in words.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

import keys
from client import ApiError, Person
from server.consensus.guilt import culprit_finder
from server.ledger.block import LEAF_KIND
from server.ledger.genesis import OPERATOR, Organisation, Policy
from server.ledger.membership import Epoch
from server.ledger.merkle import root_of
from server.ledger.resolution import (
    WORDS,
    Branch,
    Resolution,
    ResolutionRefusal,
    SignedResolution,
    check_culprits,
    check_resolution,
    operators_missing,
    operators_needed,
    records_summary,
    refuse_resolution,
    sign_resolution,
)
from server.record.canonical import Malformed, b64u_decode, b64u_encode, decode, digest, encode
from server.record.shape import Digest, Shape, parse
from server.record.signature import DeviceSigner, NodeSigner
from server.storage.journal import replace_file

SHORT = 16
"""Characters of a hash that people compare."""


class Refused(Exception):
    """It cannot be done; the message says why, for the person at the screen."""


class Draft(Shape, frozen=True):
    """The file that goes from operator to operator: the document, and the members whose operators it is for."""

    before: tuple[Organisation, ...]
    cluster_id: Digest
    origin: str
    policy: Policy
    signed: SignedResolution

    @property
    def epoch(self) -> Epoch:
        """The epoch that it ends."""
        return Epoch(self.signed.resolution.epoch, self.before, self.policy)

    @property
    def missing(self) -> tuple[str, ...]:
        """Who must still sign."""
        return operators_missing(self.epoch, b64u_decode(self.cluster_id, 32), self.signed)


@dataclass(frozen=True, slots=True)
class History:
    """What one node holds: block ids by height, and the log."""

    member: str
    blocks: tuple[tuple[str, int], ...]
    """(block id, size of the log with it), from block 1 on."""
    entries: tuple[bytes, ...]

    @property
    def records(self) -> frozenset[str]:
        """Ids of its client records."""
        return frozenset(record_ids(self.entries))


def record_ids(entries: Iterable[bytes]) -> list[str]:
    """Ids of the client records of a log, in their order."""
    told = (decode(entry).get("record") for entry in entries)
    return [digest(jws.rpartition(".")[0].encode()) for jws in told if jws is not None]


async def read_history(http: aiohttp.ClientSession, member: str, url: str, officer: DeviceSigner) -> History:
    """The whole log of the node of `member`, which is asked who it is. Raises Refused."""
    person = Person(http, [url], officer)
    try:
        alive = await person.call("GET", "/healthz")
        if alive["node"] != member:
            raise Refused(f"{url} is the node of {alive['node']}, not of {member}")
        await person.open_session()
        text = await person.call("GET", "/api/v1/log")
    except (ApiError, aiohttp.ClientError, TimeoutError, OSError) as error:
        raise Refused(f"cannot read the branch of {member} at {url}: {error}") from None
    lines = text if isinstance(text, bytes) else str(text).encode()
    return history_of(member, [msgspec.json.decode(line)["entry"].encode() for line in lines.splitlines()])


def history_of(member: str, entries: Sequence[bytes]) -> History:
    """The blocks of a log."""
    blocks = []
    for index, entry in enumerate(entries):
        system = decode(entry).get("system")
        if system is not None and system["kind"] == LEAF_KIND:
            blocks.append((str(system["body"]["block_id"]), index + 1))
    if not blocks or blocks[-1][1] != len(entries):
        raise Refused(f"the log of {member} does not end with a block")
    return History(member, tuple(blocks), tuple(entries))


async def read_evidence(http: aiohttp.ClientSession, urls: Iterable[str]) -> list[bytes]:
    """All evidence that the nodes show, packed, each piece once."""
    found: dict[bytes, None] = {}
    for url in urls:
        try:
            async with http.get(f"{url}/api/v1/evidence") as answer:
                shown = msgspec.json.decode(await answer.read())["evidence"]
        except (aiohttp.ClientError, TimeoutError, OSError, KeyError, msgspec.DecodeError) as error:
            raise Refused(f"cannot ask {url} for evidence: {error}") from None
        found |= {b64u_decode(one["packed"]): None for one in shown}
    return sorted(found)


def fork_height_of(kept: History, others: Sequence[History]) -> int:
    """The first height at which an abandoned branch differs from the kept one. Raises Refused where none does."""
    heights = []
    for other in others:
        pairs = list(zip(kept.blocks, other.blocks, strict=False))
        differing = [height for height, (one, two) in enumerate(pairs, 1) if one[0] != two[0]]
        if not differing:
            raise Refused(f"{other.member} is on no other branch than {kept.member}: it only has to catch up")
        heights.append(differing[0])
    return min(heights)


def draw_up(
    now: Mapping[str, Any],
    origin: str,
    kept: Sequence[History],
    abandoned: Sequence[History],
    evidence: Sequence[bytes],
    renewed: Sequence[Organisation] = (),
) -> Draft:
    """The resolution with no signature yet. Raises Refused where no node would take it."""
    before = tuple(parse(Organisation, member) for member in now["members"])
    policy, cluster_id = parse(Policy, now["policy"]), b64u_decode(now["cluster_id"], 32)
    epoch = Epoch(now["epoch"], before, policy)
    longest = max(kept, key=lambda one: len(one.blocks))
    height = fork_height_of(longest, abandoned)
    ours, theirs = _branch([longest, *(one for one in kept if one is not longest)], height), _group(abandoned, height)
    named = {one.member for one in (*kept, *abandoned)}
    proofs = _proofs(evidence, epoch, origin, cluster_id, sorted(set(epoch.ids) - named))
    fresh = {member.id: member for member in renewed}
    staying = [member.id for member in before if member.id in named or member.id in fresh]
    resolution = Resolution(
        abandoned=theirs,
        culprits=tuple(proofs),
        epoch=epoch.number,
        evidence=tuple(b64u_encode(sha256(one).digest()) for one in proofs.values()),
        fork_height=height,
        fork_size=longest.blocks[height - 2][1] if height > 1 else 0,
        kept=ours,
        members=tuple(encode(fresh.get(member.id, member)).decode() for member in before if member.id in staying),
        records=records_summary({id_ for one in abandoned for id_ in one.records} - longest.records),
    )
    signed = SignedResolution(
        evidence=tuple(b64u_encode(one) for one in proofs.values()), resolution=resolution, signatures=()
    )
    draft = Draft(before=before, cluster_id=now["cluster_id"], origin=origin, policy=policy, signed=signed)
    refuse_in_words(draft)
    return draft


def _proofs(
    evidence: Sequence[bytes], epoch: Epoch, origin: str, cluster_id: bytes, wanted: Sequence[str]
) -> dict[str, bytes]:
    """The smallest piece of evidence against each member that is on no side. Raises Refused where one has none."""
    culprit_of, found = culprit_finder(origin, cluster_id), dict[str, bytes]()
    for packed in sorted(evidence, key=len):
        try:
            found.setdefault(culprit_of(packed, epoch), packed)
        except Malformed:
            continue
    innocent = [member for member in wanted if member not in found]
    if innocent or not wanted:
        who = ", ".join(innocent) or "anybody"
        raise Refused(f"the nodes show no evidence against {who}: name the branch of each honest member's node")
    return {member: found[member] for member in wanted}


def _group(histories: Sequence[History], height: int) -> tuple[Branch, ...]:
    groups: dict[str, list[History]] = {}
    for history in sorted(histories, key=lambda one: -len(one.blocks)):
        groups.setdefault(history.blocks[height - 1][0], []).append(history)
    return tuple(_branch(group, height) for _, group in sorted(groups.items()))


def _branch(group: Sequence[History], height: int) -> Branch:
    """One branch; the first of the group is the longest, and the others are beginnings of it. Raises Refused."""
    tip = group[0]
    if len(tip.blocks) < height:
        raise Refused(f"the log of {tip.member} ends before the fork at block {height}")
    for other in group[1:]:
        if other.blocks != tip.blocks[: len(other.blocks)]:
            raise Refused(f"{other.member} and {tip.member} are on two branches: name them apart")
    block_id, size = tip.blocks[-1]
    return Branch(
        block_id=block_id,
        first=tip.blocks[height - 1][0],
        height=len(tip.blocks),
        held_by=tuple(sorted(one.member for one in group)),
        root=b64u_encode(root_of(tip.entries)),
        size=size,
    )


def refuse_in_words(draft: Draft) -> None:
    """Raise Refused for what nodes would refuse, but for signatures that are still missing."""
    cluster_id = b64u_decode(draft.cluster_id, 32)
    try:
        check_resolution(draft.signed)
        check_culprits(draft.signed, draft.epoch, culprit_finder(draft.origin, cluster_id))
    except Malformed as error:
        raise Refused(str(error)) from None
    refusal = refuse_resolution(draft.epoch, (), cluster_id, draft.signed)
    if refusal is not None and refusal is not ResolutionRefusal.SIGNATURES:
        raise Refused(f"{refusal.value}: {WORDS[refusal]}")


def is_draft(path: Path) -> bool:
    """Whether a file that goes around is about a fork, by its form."""
    try:
        return b'"resolution":' in path.read_bytes()
    except OSError:
        return False


def read_draft(path: Path) -> Draft:
    """The file that goes around. Raises Refused."""
    try:
        draft = parse(Draft, decode(path.read_bytes()))
    except OSError as error:
        raise Refused(f"cannot read {path}: {error.strerror}") from None
    except Malformed as error:
        raise Refused(f"{path} is not the resolution of a fork: {error}") from None
    refuse_in_words(draft)
    return draft


def sign_draft(draft: Draft, signer: NodeSigner) -> tuple[Draft, str]:
    """The draft with the signature of whose operator key this is; and who that is. Raises Refused."""
    needed = operators_needed(draft.epoch, draft.signed.resolution)
    known = {member.id: member for member in draft.before}
    whose = [node for node in needed if b64u_decode(known[node].operator_key, 32) == signer.public]
    if not whose:
        raise Refused(f"this is the {OPERATOR} key of none of {', '.join(needed)}")
    signed = sign_resolution(signer, whose[0], b64u_decode(draft.cluster_id, 32), draft.signed)
    return msgspec.structs.replace(draft, signed=signed), whose[0]


def give(draft: Draft, data: Path) -> Path:
    """Lay the document into a node's data folder, where its next start finds it. Raises Refused, OSError."""
    if draft.missing:
        raise Refused(f"signatures missing: {', '.join(draft.missing)}")
    if not data.is_dir():
        raise Refused(f"{data} is no folder: give the data folder of the node")
    folder = data / "resolutions"
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / f"{draft.signed.resolution.epoch}.json"
    replace_file(path, encode(draft.signed))
    return path


def in_words(draft: Draft) -> list[str]:
    """What the operators agree to, for people."""
    resolution, after = draft.signed.resolution, {member.id: member for member in draft.signed.resolution.organisations}
    lines = [
        f"ledger {draft.cluster_id[:SHORT]}: a fork at block {resolution.fork_height}; epoch {resolution.epoch} ends",
        f"  kept: {_describe(resolution.kept)}",
        *(f"  abandoned: {_describe(branch)}" for branch in resolution.abandoned),
        f"  {resolution.records.count} records stand on abandoned branches only: the nodes bring them again",
    ]
    fates = (_fate(member, after.get(member.id), member.id in resolution.culprits) for member in draft.before)
    lines += [f"  {fate}" for fate in fates]
    lines.append(f"signatures missing: {', '.join(draft.missing)}" if draft.missing else "all signatures are here")
    return lines


def _describe(branch: Branch) -> str:
    return (
        f"up to block {branch.height} {branch.block_id[:SHORT]}, {branch.size} entries, root {branch.root[:SHORT]}, "
        f"held by {', '.join(branch.held_by)}"
    )


def _fate(member: Organisation, now: Organisation | None, is_culprit: bool) -> str:
    proved = "proved to have signed both; " if is_culprit else ""
    if now is None:
        return f"- {member.id} {member.name}: {proved}leaves"
    if now == member:
        return f"  {member.id} {member.name}: stays as it is"
    return f"* {member.id} {member.name}: {proved}signs with new keys, consensus key {now.consensus_key[:SHORT]}"


def read_renewed(paths: Sequence[Path]) -> list[Organisation]:
    """The public parts of new keys. Raises CeremonyError."""
    return [keys.read_organisation(path) for path in paths]
