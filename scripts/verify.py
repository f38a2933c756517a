"""Check what is said, whoever says it: receipt, log, evidence of two histories or of a retired key. It needs the
standard library and `ecdsa` only.

    python3 scripts/verify.py receipt FILE --policy POLICY [--genesis GENESIS [--members SUCCESSION]]
                                              [--require GRADE] [--only CHECKS]
    python3 scripts/verify.py split FILE --policy POLICY
    python3 scripts/verify.py evidence FILE --genesis GENESIS --members SUCCESSION
    python3 scripts/verify.py log URL_OR_DIR [--sample N [--seed S]] [--fingerprint F] [--token FILE] [--openings FILE]
                                              [--only CHECKS]

A node gives the files at /policy.txt, /genesis.json and /succession.json; the last one only matters where members have
changed since genesis: then it says whose signatures count for the receipt.
Prints one line a check. Exits 0 only when every check named was made and held, 1 when one failed, 2 when one was NOT
CHECKED or nothing could be read. `--only` names the checks that decide (comma-separated); all are printed in any case.
The choices of ballots are not in a log: `tallies` is NOT CHECKED where their openings are not given with --openings.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_REEXEC_MARK = "LINLI_VERIFY_REEXECUTED"


def find_ecdsa() -> None:
    """Make sure that `ecdsa` can be imported: here, or by the project's own environment, which then takes over."""
    if importlib.util.find_spec("ecdsa"):
        return
    python = ROOT / ".venv" / "bin" / "python"
    if python.exists() and _REEXEC_MARK not in os.environ:
        os.environ[_REEXEC_MARK] = "1"
        os.execv(python, [str(python), *sys.orig_argv[1:]])  # noqa: S606 - the same program, another interpreter
    print("verify: the package `ecdsa` is missing: python3 -m pip install ecdsa", file=sys.stderr)
    raise SystemExit(2)


if __name__ == "__main__":
    find_ecdsa()

from verifier import ledger, receipt, retirement, split
from verifier.encoding import Rejected
from verifier.genesis import parse_genesis
from verifier.policy import GRADES, parse_policy
from verifier.report import EXIT_FAILED, EXIT_NOT_CHECKED, Report
from verifier.source import SourceError, open_source, read_file
from verifier.succession import Era, follow, known_at
from verifier.tallies import parse_openings


def main(arguments: Sequence[str]) -> int:
    """Run the command line; return the exit code."""
    options = _parse(arguments)
    try:
        report = _EXAMINE[options.command](options)
    except SourceError as error:
        print(f"NOT CHECKED: {error}", file=sys.stderr)
        return EXIT_NOT_CHECKED
    except Rejected as error:
        print(f"FAILED: {error}", file=sys.stderr)
        return EXIT_FAILED
    print("\n".join(report.lines()))
    return report.exit_code(options.only)


def _examine_receipt(options: argparse.Namespace) -> Report:
    policy = parse_policy(_read_text(options.policy))
    eras = [Era(parse_genesis(read_file(options.genesis)))] if options.genesis else []
    text = _read_text(options.file)
    if eras and options.members:
        eras = known_at(follow(eras[0].genesis, read_file(options.members)), text)
        policy = eras[-1].policy
    return receipt.examine(text, policy, eras, options.require)


def _examine_log(options: argparse.Namespace) -> Report:
    token = _read_text(options.token).strip() if options.token else ""
    openings = parse_openings(_read_text(options.openings)) if options.openings else {}
    source = open_source(options.place, token)
    return ledger.examine(source, options.sample, options.seed, options.fingerprint, openings)


def _examine_split(options: argparse.Namespace) -> Report:
    return split.examine(_read_text(options.file), parse_policy(_read_text(options.policy)))


def _examine_evidence(options: argparse.Namespace) -> Report:
    genesis = parse_genesis(read_file(options.genesis))
    return retirement.examine(_read_text(options.file), genesis.cluster_id, follow(genesis, read_file(options.members)))


def _read_text(path: Path) -> str:
    try:
        return read_file(path).decode("utf-8")
    except UnicodeDecodeError:
        raise Rejected("form", f"{path} is not UTF-8 text") from None


_EXAMINE = {
    "evidence": _examine_evidence,
    "log": _examine_log,
    "receipt": _examine_receipt,
    "split": _examine_split,
}


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="verify.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("receipt", help="check one receipt file")
    one.add_argument("file", type=Path, metavar="FILE")
    one.add_argument("--policy", type=Path, required=True, help="policy.txt: whose signatures count")
    one.add_argument("--genesis", type=Path, help="genesis.json: checks attestations, and owners that it names")
    one.add_argument("--members", type=Path, help="succession.json: later memberships, with --genesis")
    one.add_argument("--require", choices=GRADES, default="", help="the grade it must have")
    pair = commands.add_parser("split", help="check evidence that members signed two histories")
    pair.add_argument("file", type=Path, metavar="FILE", help="what a phone exported")
    pair.add_argument("--policy", type=Path, required=True, help="policy.txt: whose signatures count")
    late = commands.add_parser("evidence", help="check evidence that a member signed with a key that was retired")
    late.add_argument("file", type=Path, metavar="FILE", help="what a phone exported, or one of /api/v1/evidence")
    late.add_argument("--genesis", type=Path, required=True, help="genesis.json: the first members")
    late.add_argument("--members", type=Path, required=True, help="succession.json: how the keys were retired")
    whole = commands.add_parser("log", help="check a whole log")
    whole.add_argument("place", metavar="URL_OR_DIR", help="a node's address, or a folder with an export")
    whole.add_argument("--sample", type=_count, help="check this many signatures of each sort instead of all")
    whole.add_argument("--seed", type=int, default=1, help="seed of the sample")
    whole.add_argument("--fingerprint", default="", help="the fingerprint of genesis that you were shown")
    whole.add_argument("--token", type=Path, help="file with an access token, for a node that asks for one")
    whole.add_argument("--openings", type=Path, help="file with openings of ballots, one in base64url a line")
    named = (
        (one, (*receipt.CHECKS, *receipt.GENESIS_CHECKS, "grade")),
        (whole, ledger.CHECKS),
        (pair, split.CHECKS),
        (late, retirement.CHECKS),
    )
    for command, names in named:
        command.add_argument("--only", type=lambda text: text.split(","), default=[], help=", ".join(names))
    options = parser.parse_args(arguments)
    _check_only(parser, options)
    return options


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError("a count from 1")
    return int(text)


def _check_only(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """A name that is not checked would decide nothing and let everything pass."""
    known = set({"split": split.CHECKS, "evidence": retirement.CHECKS}.get(options.command, ledger.CHECKS))
    if options.command == "receipt":
        known = {*receipt.CHECKS, *(receipt.GENESIS_CHECKS if options.genesis else ())}
        known |= {"grade"} if options.require else set()
    unknown = set(options.only) - known
    if unknown:
        parser.error(f"--only: not a check of this run: {', '.join(sorted(unknown))}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
