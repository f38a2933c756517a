"""Check a roster file (产权清册, .xlsx or .csv), or preview what a new one changes. Reads only, changes nothing.

    python3 scripts/roster.py check FILE [--json]
    python3 scripts/roster.py diff OLD NEW [--json]

Exit codes: 0 when every line is good (check) or both files could be read (diff); 1 when a line is bad or a file cannot
be read. Document numbers are shown by their last four signs only.
"""

import argparse
import json
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import environment

CHINA = timezone(timedelta(hours=8))
"""One zone, no summer time since 1991; a machine without time zone data can run this too."""

if TYPE_CHECKING:
    from server.gateway.roster_changes import Change
    from server.gateway.roster_homes import Roster
    from server.gateway.roster_line import RosterLine


def main(arguments: list[str]) -> int:
    """Run the command line; return the exit code."""
    options = _parse(arguments)
    from server.gateway.roster_file import RosterError

    try:
        return _check(options.file, options.json) if options.command == "check" else _diff(options)
    except RosterError as error:
        return _refuse(str(error), options.json)
    except OSError as error:
        return _refuse(f"文件打不开：{error.strerror}", options.json)


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="roster.py", description=__doc__.splitlines()[0] if __doc__ else None)
    commands = parser.add_subparsers(dest="command", required=True)
    check = commands.add_parser("check", help="read a roster and list its bad lines")
    check.add_argument("file", type=Path)
    diff = commands.add_parser("diff", help="list what NEW changes against OLD")
    diff.add_argument("old", type=Path)
    diff.add_argument("new", type=Path)
    for command in (check, diff):
        command.add_argument("--json", action="store_true", help="print one JSON object")
    return parser.parse_args(arguments)


def _refuse(sentence: str, as_json: bool) -> int:
    """Say why a file cannot be read as a roster: the sentence to stderr, and with --json as an object to stdout."""
    if as_json:
        print(json.dumps({"error": sentence}, ensure_ascii=False))
    print(sentence, file=sys.stderr)
    return 1


def _read(path: Path) -> "Roster":
    from server.gateway.roster import FILE_BYTES_MAX, read_roster

    with path.open("rb") as file:
        return read_roster(file.read(FILE_BYTES_MAX + 1), datetime.now(CHINA).date())


def _check(path: Path, as_json: bool) -> int:
    roster = _read(path)
    print(json.dumps(roster.summary(), ensure_ascii=False, indent=1) if as_json else _describe(roster))
    return 1 if roster.bad else 0


def _describe(roster: "Roster") -> str:
    summary = roster.summary()
    lines = [
        f"好的行 {len(roster.good)}，重复的行 {len(roster.duplicates)}，有问题的行 {len(roster.bad)}",
        f"房屋 {roster.homes} 套，业主 {roster.owners} 人，建筑面积合计 {summary['total_area']} ㎡",
    ]
    lines += [f"第 {line} 行：重复，只计一次" for line in roster.duplicates]
    lines += [f"第 {notice.line} 行：请留意，{notice.reason}" for notice in roster.notices]
    lines += [f"第 {bad.line} 行：{'；'.join(fault.value for fault in bad.faults)}" for bad in roster.bad]
    return "\n".join(lines)


def _diff(options: argparse.Namespace) -> int:
    from server.gateway.roster_changes import compare_rosters

    old, new = _read(options.old), _read(options.new)
    changes = compare_rosters(old, new)
    if options.json:
        members = [{"kind": change.kind.value, "room": change.room, "text": _tell(change)} for change in changes]
        print(json.dumps({"changes": members}, ensure_ascii=False, indent=1))
        return 0
    for path, roster in ((options.old, old), (options.new, new)):
        if roster.bad:
            print(f"{path}：有 {len(roster.bad)} 行有问题，没有算入；先用 check 看一看")
    print("\n".join(_tell(change) for change in changes) if changes else "没有变化")
    return 0


def _tell(change: "Change") -> str:
    from server.gateway.roster_changes import ChangeKind

    old, new = change.old, change.new
    if new is None:
        word = "减少房屋" if change.kind is ChangeKind.HOME_REMOVED else f"减少业主 {_name(old)}"
        return f"- {change.room}：{word}"
    if old is None:
        word = f"增加房屋 {_area(new)}" if change.kind is ChangeKind.HOME_ADDED else f"增加业主 {_name(new)}"
        return f"+ {change.room}：{word}"
    sentences = {
        ChangeKind.AREA_CHANGED: f"面积 {_area(old)} → {_area(new)}",
        ChangeKind.NAME_CHANGED: f"姓名 {_name(old)} → {_name(new)}",
        ChangeKind.SHARE_CHANGED: f"{_name(new)} 份额 {old.share} → {new.share}",
        ChangeKind.PHONE_CHANGED: f"{_name(new)} 手机号改变",
        ChangeKind.DOCUMENT_KIND_CHANGED: f"{_name(new)} 证件类型改变",
    }
    return f"~ {change.room}：{sentences[change.kind]}"


def _name(line: "RosterLine | None") -> str:
    return f"{line.owner}（证件尾号 {line.id_number[-4:]}）" if line else ""


def _area(line: "RosterLine") -> str:
    return f"{line.area_cm2 / 10_000:.2f} ㎡"


if __name__ == "__main__":
    environment.reexec_in_environment()
    sys.exit(main(sys.argv[1:]))
