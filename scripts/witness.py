"""An outside witness of a ledger, and the program that asks witnesses (c2sp.org/tlog-witness).

    python3 scripts/witness.py key --name NAME --out KEY
    python3 scripts/witness.py serve --key KEY --data DIR --policy POLICY... [--host HOST] [--port PORT]
    python3 scripts/witness.py push --log URL --witness URL VKEY... --out FILE [--every SECONDS]

A witness signs that it has seen a checkpoint and that it continues the one seen before: a neighbouring compound, a
district archive or a public witness can be one without being a member. `serve` keeps what it signed in DIR, durably
before it answers; one process a folder. `push` shows witnesses the newest checkpoint of a node and keeps the checkpoint
with their lines in FILE: as `witnessed.checkpoint` in the node's data folder, the node shows it. It needs no secret.

`push` exits 0 when every witness signed, 1 when one did not, 3 when a witness says that the ledger does not continue
what it has seen: then look into it at once.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import secrets
import sys
from collections.abc import Sequence
from pathlib import Path

import environment

if __name__ == "__main__":
    environment.reexec_in_environment()

import aiohttp
from aiohttp import web

from server.ledger.checkpoint import TYPE_COSIGNATURE, VerifierKey
from server.ledger.policy import parse_policy, parse_vkey
from server.record.canonical import Malformed, b64u_decode, b64u_encode
from server.record.signature import NodeSigner
from witnessing.desk import WitnessDesk, make_app
from witnessing.memory import MemoryTaken, WitnessMemory
from witnessing.pushing import Pushed, PushError, Witness, push

SEED_BYTES = 32
EXIT_UNSIGNED, EXIT_CONTRADICTED = 1, 3


def main(arguments: Sequence[str]) -> int:
    """Run the command line; return the exit code."""
    options = _parse(arguments)
    commands = {"key": make_key, "serve": serve, "push": push_checkpoints}
    try:
        return commands[options.command](options)
    except (OSError, Malformed, MemoryTaken) as error:
        print(f"witness: {error}", file=sys.stderr)
        return EXIT_UNSIGNED


def make_key(options: argparse.Namespace) -> int:
    """Make a key and print its vkey, which goes into policies."""
    VerifierKey(options.name, TYPE_COSIGNATURE, bytes(SEED_BYTES)).text()
    if not options.name or any(character.isspace() or character == "+" for character in options.name):
        raise Malformed("a witness has a name without spaces and plus signs, such as archive.example/w1", "name")
    seed = secrets.token_bytes(SEED_BYTES)
    descriptor = os.open(options.out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(f"{options.name} {b64u_encode(seed)}\n")
    print(VerifierKey(options.name, TYPE_COSIGNATURE, NodeSigner(seed).public).text())
    return 0


def read_key(path: Path) -> tuple[str, NodeSigner]:
    """Name and key of a witness. Raises Malformed."""
    name, _, seed = path.read_text("utf-8").strip().partition(" ")
    return name, NodeSigner(b64u_decode(seed, SEED_BYTES))


def serve(options: argparse.Namespace) -> int:
    """Witness the logs of these policies until the process is ended."""
    name, signer = read_key(options.key)
    logs = [log for path in options.policy for log in parse_policy(path.read_text("utf-8")).logs]
    with WitnessMemory(options.data) as memory:
        desk = WitnessDesk(name, signer, logs, memory)
        print(f"witness {name} for {', '.join(sorted(desk.origins))} at http://{options.host}:{options.port}")
        web.run_app(make_app(desk), host=options.host, port=options.port, print=None, access_log=None)
    return 0


def push_checkpoints(options: argparse.Namespace) -> int:
    """Ask the witnesses once, or again and again."""
    witnesses = [
        Witness(url.rstrip("/"), parse_vkey(vkey, TYPE_COSIGNATURE, "witness")) for url, vkey in options.witness
    ]
    return asyncio.run(_push_always(options.log.rstrip("/"), witnesses, options.out, options.every))


async def _push_always(log: str, witnesses: Sequence[Witness], out: Path, every_s: float) -> int:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as http:
        while True:
            try:
                code = _tell(await push(http, log, witnesses, out))
            except (PushError, aiohttp.ClientError, TimeoutError) as error:
                print(f"witness: {error}", file=sys.stderr)
                code = EXIT_UNSIGNED
            if not every_s:
                return code
            await asyncio.sleep(every_s)


def _tell(pushed: Pushed) -> int:
    for witness, failure in pushed.failures.items():
        print(f"witness: {witness}: {failure}", file=sys.stderr)
    print(f"{pushed.size} entries: {', '.join(pushed.signed) or 'nobody'} signed")
    if pushed.contradicted:
        return EXIT_CONTRADICTED
    return EXIT_UNSIGNED if pushed.failures else 0


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="witness.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    key = commands.add_parser("key", help="make a witness's key")
    key.add_argument("--name", required=True, help="name in signature lines, such as archive.example/w1")
    key.add_argument("--out", type=Path, required=True, metavar="KEY", help="the new file; nothing is overwritten")
    server = commands.add_parser("serve", help="be a witness")
    server.add_argument("--key", type=Path, required=True)
    server.add_argument("--data", type=Path, required=True, metavar="DIR", help="what was signed")
    server.add_argument("--policy", type=Path, nargs="+", required=True, help="policy.txt of each log")
    server.add_argument("--host", default="127.0.0.1")
    server.add_argument("--port", type=int, default=7380)
    pushing = commands.add_parser("push", help="show witnesses the newest checkpoint of a node")
    pushing.add_argument("--log", required=True, metavar="URL", help="a node of the ledger")
    pushing.add_argument("--witness", nargs=2, action="append", required=True, metavar=("URL", "VKEY"))
    pushing.add_argument("--out", type=Path, required=True, metavar="FILE", help="the checkpoint with its lines")
    pushing.add_argument("--every", type=float, default=0, metavar="SECONDS", help="again and again; 0: once")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
