"""Which rules a cluster runs by, and an officer's signature for the next version of them.

    python3 scripts/activate.py URL                                  what each node knows, and what is in force
    python3 scripts/activate.py URL --key OFFICER.pem --height 1200  sign that the next version begins at block 1200

Upgrade the nodes one after the other first; the record is taken only when all know the next version. The version begins
when officers of as many organisations as must approve have signed the same height. Exits 1 when the record was refused.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]

import environment

if __name__ == "__main__":
    environment.reexec_in_environment()

import aiohttp

from client import ApiError, Person
from server.record.signature import DeviceSigner

EXIT_REFUSED, EXIT_UNREAD = 1, 2


async def show(http: aiohttp.ClientSession, url: str) -> dict[str, Any]:
    """Print what the node at `url` says of the cluster's rules; returns it."""
    async with http.get(f"{url}/api/v1/cluster") as answer:
        answer.raise_for_status()
        state: dict[str, Any] = await answer.json()
    print("\n".join(describe(state)))
    return state


def describe(state: Mapping[str, Any]) -> list[str]:
    """The state of GET /api/v1/cluster in lines for an operator."""
    lines = [f"rules {state['rules']} are in force; the newest block is {state['height']}"]
    planned, version = state["next_rules"], state["rules"] + 1
    if planned:
        lines.append(f"rules {planned['version']} begin at block {planned['height']}")
    for node in state["nodes"]:
        reached = "" if node["reachable"] else ", not reached now"
        lines.append(f"{node['id']:10} knows rules up to {node['rules']}{reached}")
    if not planned:
        behind = [node["id"] for node in state["nodes"] if node["rules"] < version]
        words = f"not yet: {', '.join(behind)} must be upgraded first" if behind else "can be activated"
        lines.append(f"rules {version}: {words}")
    return lines


async def activate(http: aiohttp.ClientSession, url: str, key: Path, state: Mapping[str, Any], height: int) -> int:
    """Have an officer's record ordered that the next version begins at `height`. Returns the exit code."""
    officer = Person(http, [url], DeviceSigner.from_pem(key.read_bytes()))
    try:
        await officer.open_session()
        answer = await officer.do("rules.activate", {"height": height, "version": state["rules"] + 1})
    except ApiError as error:
        print(f"refused: {error}", file=sys.stderr)
        return EXIT_REFUSED
    print(f"signed by {officer.member}, entry {answer['index']}")
    return 0


async def run(options: argparse.Namespace) -> int:
    """Show, sign if a key was given, and show again."""
    async with aiohttp.ClientSession() as http:
        state = await show(http, options.url)
        if options.key is None:
            return 0
        code = await activate(http, options.url, options.key, state, options.height)
        await show(http, options.url)
        return code


def main(arguments: Sequence[str]) -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="activate.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("url", metavar="URL", help="a node's public address")
    parser.add_argument("--key", type=Path, help="an officer's device key, as scripts/keys.py made it")
    parser.add_argument("--height", type=int, help="the first block of the next version")
    options = parser.parse_args(arguments)
    if (options.key is None) != (options.height is None):
        parser.error("--key and --height go together")
    options.url = options.url.rstrip("/")
    try:
        return asyncio.run(run(options))
    except (aiohttp.ClientError, OSError, ValueError) as error:
        print(f"activate: {error}", file=sys.stderr)
        return EXIT_UNREAD


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
