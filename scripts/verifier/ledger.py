"""A whole log against its genesis and its checkpoint: every entry once through every invariant."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import islice

from verifier.checkpoint import Checkpoint, check_checkpoint
from verifier.encoding import Rejected
from verifier.genesis import check_policy, parse_genesis
from verifier.invariants import invariants
from verifier.policy import parse_policy
from verifier.record import parse_entry, parse_record
from verifier.report import Report, Result
from verifier.seen import Invariant, Seen
from verifier.source import Source, SourceError
from verifier.succession import Era, follow, genesis_for
from verifier.versions import KNOWN, Versions

HEAD_CHECKS = ("genesis", "policy", "checkpoint", "quorum", "entries")
CHECKS = (
    *HEAD_CHECKS,
    "members", "tree", "chain", "rules", "time", "once", "seals", "finals", "signatures", "owners", "attestations",
    "roles", "books", "rolls", "petitions", "motions", "ballots", "tallies",
)  # fmt: skip
"""In the order in which they are printed."""
OF_RECORDS = ("roles", "books", "rolls", "petitions", "motions", "ballots", "tallies")
"""What records mean follows from the rules of their block's version; without that knowledge these are not made."""
BUILDS_ON = {
    "books": ("roles",),
    "petitions": ("rolls",),
    "motions": ("roles", "petitions"),
    "ballots": ("motions",),
    "tallies": ("ballots",),
}
"""A check by those whose knowledge it uses: when one of them fails, it is not made any more."""


def examine(
    source: Source, sample: int | None, seed: int, fingerprint: str, openings: Mapping[str, bytes] | None = None
) -> Report:
    """Check a log and report on every check. `sample`: how many signatures of each sort, None for all.

    `openings`: openings of ballots by commitment, as far as the reader has them.
    """
    report = Report(CHECKS)
    head = _examine_head(report, source, fingerprint)
    if head is None:
        return report
    eras, checkpoint = head
    watched = invariants(eras, checkpoint.size, checkpoint.root, sample, seed, openings or {})
    try:
        is_whole = _walk(report, islice(source.entries(), checkpoint.size), watched)
    except SourceError as error:
        _leave_unchecked(report, watched, str(error))
        return report
    if is_whole:
        for name, invariant in watched.items():
            _settle(report, name, invariant.conclude)
    return report


def _leave_unchecked(report: Report, watched: dict[str, Invariant], why: str) -> None:
    """The entries cannot be read, or not to their end: what has failed before stays failed."""
    report.say("entries", Result.NOT_CHECKED, why)
    for name in watched:
        report.say(name, Result.NOT_CHECKED, "the entries were not read to their end")


def _examine_head(report: Report, source: Source, fingerprint: str) -> tuple[list[Era], Checkpoint] | None:
    """The epochs since genesis, policy and checkpoint; None when they do not hold: nothing then says what to trust."""
    name = "genesis"
    try:
        genesis = parse_genesis(source.read("genesis.json"))
        if fingerprint and fingerprint != genesis.fingerprint:
            raise Rejected(name, f"the fingerprint is {genesis.fingerprint}, not {fingerprint}")
        compare = "as given" if fingerprint else "compare it with the one in the lobby"
        report.say(name, Result.OK, f"estate {genesis.estate}, fingerprint {genesis.fingerprint}: {compare}")
        name = "policy"
        eras = follow(genesis, source.read("succession.json"))
        now, since = eras[-1], "as genesis says" if len(eras) == 1 else f"as genesis and {len(eras) - 1} changes say"
        check_policy(parse_policy(_text(source.read("policy.txt"))), now.genesis)
        report.say(name, Result.OK, f"{len(now.policy.witnesses)} members, {since}")
        name = "checkpoint"
        note = _text(source.read("checkpoint"))
        checkpoint = check_checkpoint(note, genesis_for(eras, "\n\n" + note).policy)
        report.say(name, Result.OK, f"size {checkpoint.size}; every known signature holds")
        name = "quorum"
        if not checkpoint.grade:
            raise Rejected(name, f"cosigned by {', '.join(checkpoint.signers) or 'nobody'} only")
        report.say(name, Result.OK, f"{checkpoint.grade}: cosigned by {', '.join(checkpoint.signers)}")
    except Rejected as error:
        report.say(name, Result.FAILED, f"{error.detail} ({error.fault})")
        return None
    return eras, checkpoint


def _walk(report: Report, entries: Iterator[bytes], watched: dict[str, Invariant]) -> bool:
    """Show every entry to every invariant. False when an entry is not of its form: what follows means nothing."""
    index = 0
    for index, data in enumerate(entries, 1):
        try:
            seen = _parse(data, index - 1)
        except Rejected as error:
            report.say("entries", Result.FAILED, f"entry {index - 1}: {error.detail}")
            return False
        _stop_at_unknown_rules(report, watched, seen)
        for name, invariant in list(watched.items()):
            if name in watched and not _sees(report, name, invariant, seen):
                _drop(report, name, watched)
    report.say("entries", Result.OK, f"{index} entries, each canonical and at its index")
    return True


def _stop_at_unknown_rules(report: Report, watched: dict[str, Invariant], seen: Seen) -> None:
    """From the first block of a version that is not known here, nothing is said of what its records mean."""
    versions = watched.get("rules")
    if not isinstance(versions, Versions) or versions.at(seen) <= KNOWN:
        return
    why = f"block {seen.entry.height} is of rules {versions.at(seen)}, this program knows rules up to {KNOWN}"
    for name in OF_RECORDS:
        if watched.pop(name, None) is not None:
            report.say(name, Result.NOT_CHECKED, f"{why}; up to there it held")


def _drop(report: Report, name: str, watched: dict[str, Invariant]) -> None:
    """A check has failed; those that build on what it learned are not made."""
    del watched[name]
    for other, needed in BUILDS_ON.items():
        if name in needed and other in watched:
            report.say(other, Result.NOT_CHECKED, f"it builds on {name}, which failed")
            _drop(report, other, watched)


def _parse(data: bytes, index: int) -> Seen:
    entry = parse_entry(data)
    if entry.index != index:
        raise Rejected("entry", f"it says index {entry.index}")
    return Seen(data, entry, None if entry.system else parse_record(entry.record))


def _sees(report: Report, name: str, invariant: Invariant, seen: Seen) -> bool:
    try:
        invariant.see(seen)
    except Rejected as error:
        place = f"entry {seen.entry.index}: "
        report.say(name, Result.FAILED, place + error.detail.removeprefix(place))
        return False
    return True


def _settle(report: Report, name: str, conclude: Callable[[], tuple[Result, str]]) -> None:
    try:
        report.say(name, *conclude())
    except Rejected as error:
        report.say(name, Result.FAILED, error.detail)


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise Rejected("form", "not UTF-8") from None
