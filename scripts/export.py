"""Fetch a node's whole log into a folder, for `verify.py log`; entries are for verified members and auditors.

    python3 scripts/export.py URL DIR --key KEY.pem

KEY.pem is the device key of a member who may read the log. Nothing that the node says is believed here: verify.py does
the checking, and shares no code with this program. An export that was made before is replaced only by a whole one.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]

import environment

if __name__ == "__main__":
    environment.reexec_in_environment()

import aiohttp

from client import ApiError, Person
from server.record.signature import DeviceSigner

TEXTS = ("genesis.json", "policy.txt", "succession.json", "checkpoint")
"""The checkpoint is asked for before the entries: the log may grow meanwhile, and a longer one still fits."""
ENTRIES = "entries.jsonl"
CHUNK_BYTES = 1 << 16
TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=60)


async def export(url: str, folder: Path, signer: DeviceSigner) -> int:
    """Fetch the log of the node at `url`. Returns the number of entries. Raises ApiError, ClientError, OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    async with aiohttp.ClientSession(timeout=TIMEOUT, raise_for_status=False) as http:
        person = Person(http, [url], signer)
        await person.open_session()
        for name in TEXTS:
            await _fetch(person, f"/{name}", folder / name)
        await _fetch(person, "/api/v1/log", folder / ENTRIES)
    with (folder / ENTRIES).open("rb") as file:
        return sum(1 for _ in file)


async def _fetch(person: Person, path: str, target: Path) -> None:
    """One resource into one file, which appears when it is whole."""
    [url] = person.urls
    headers = {"Authorization": f"Bearer {person.tokens[url]}"}
    part = target.with_name(target.name + ".part")
    async with person.http.get(url + path, headers=headers) as response:
        if response.status != 200:
            raise ApiError(response.status, {"detail": f"{path}: {await response.text()}"})
        with part.open("wb") as file:
            async for chunk in response.content.iter_chunked(CHUNK_BYTES):
                file.write(chunk)
    part.replace(target)


def main(arguments: list[str]) -> int:
    """Run the command line; return the exit code."""
    options = _parse(arguments)
    try:
        count = asyncio.run(export(options.url.rstrip("/"), options.folder, options.key))
    except ApiError as error:
        print(f"export: the node declines: {error}", file=sys.stderr)
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        print(f"export: {options.url} cannot be read: {error}", file=sys.stderr)
    else:
        print(f"{count} entries. Now: python3 scripts/verify.py log {options.folder}")
        return 0
    return 1


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="export.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("url", metavar="URL", help="a node's address")
    parser.add_argument("folder", type=Path, metavar="DIR", help="where the files go")
    parser.add_argument("--key", type=_device_key, required=True, help="device key (PEM) of a member who may read it")
    return parser.parse_args(arguments)


def _device_key(text: str) -> DeviceSigner:
    try:
        return DeviceSigner.from_pem(Path(text).read_bytes())
    except (OSError, ValueError, TypeError) as error:
        raise argparse.ArgumentTypeError(f"{text} holds no device key: {error}") from None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
