"""Where a log is read from: a folder with an export of it, or a running node. Gives bytes, judges nothing.

A folder holds `genesis.json`, `policy.txt`, `checkpoint`, `entries.jsonl` and, where members have changed since
genesis, `succession.json` (`scripts/export.py` makes one). A node serves all but the entries under the same names, and
the entries at `/api/v1/log?begin=N&end=M`. A line is `{"index": N, "entry": "<the entry's text>"}`, as a node writes
it, or the entry's text itself.
"""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

TIMEOUT_S = 30
ENTRIES_AT_ONCE = 2_000
SUCCESSION = "succession.json"


class SourceError(Exception):
    """Something cannot be read; nothing was checked."""


class Source(Protocol):
    """A place where a log can be read."""

    def read(self, name: str) -> bytes:
        """The bytes of genesis.json, policy.txt, succession.json or checkpoint. Raises SourceError."""

    def entries(self) -> Iterator[bytes]:
        """The bytes of the entries, from the first. Raises SourceError."""


class Folder:
    """An export."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self, name: str) -> bytes:
        """One file of the folder. Without a succession.json the members are those of genesis."""
        if name == SUCCESSION and not (self._path / name).exists():
            return b'{"links":[]}'
        return read_file(self._path / name)

    def entries(self) -> Iterator[bytes]:
        """The lines of entries.jsonl."""
        path = self._path / "entries.jsonl"
        try:
            with path.open("rb") as file:
                for line in file:
                    yield entry_of(line.removesuffix(b"\n"))
        except OSError as error:
            raise SourceError(f"cannot read {path}: {error.strerror}") from None


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A node answers itself; a token must not follow a redirection to a stranger."""

    def redirect_request(self, *_: object) -> None:
        """Refuse: urllib then raises the answer as an error."""


class Node:
    """A running node. `token`: an access token of a verified member or auditor, where the node asks for one."""

    def __init__(self, url: str, token: str) -> None:
        self._url = url.rstrip("/")
        self._opener = urllib.request.build_opener(_NoRedirect)
        if token:
            self._opener.addheaders.append(("Authorization", f"Bearer {token}"))

    def read(self, name: str) -> bytes:
        """GET one resource of the node."""
        url = f"{self._url}/{name}"
        try:
            with self._opener.open(url, timeout=TIMEOUT_S) as answer:
                content: bytes = answer.read()
                return content
        except urllib.error.HTTPError as error:
            hint = (
                "; fetch them with scripts/export.py, or give a token with --token" if error.code in (401, 403) else ""
            )
            raise SourceError(f"{url} answers {error.code}{hint}") from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise SourceError(f"cannot read {url}: {error}") from None

    def entries(self) -> Iterator[bytes]:
        """Page after page, until one is empty."""
        begin = 0
        while page := self.read(f"api/v1/log?begin={begin}&end={begin + ENTRIES_AT_ONCE}"):
            lines = page.removesuffix(b"\n").split(b"\n")
            yield from map(entry_of, lines)
            begin += len(lines)


def entry_of(line: bytes) -> bytes:
    """The entry's bytes from a line; of a line that is neither form, the line itself, which is then no entry."""
    if not line.startswith(b'{"index":'):
        return line
    try:
        value = json.loads(line)
        return str(value["entry"]).encode() if value.keys() == {"index", "entry"} else line
    except (ValueError, RecursionError):
        return line


def open_source(place: str, token: str) -> Source:
    """A folder, or a node by its address."""
    if urllib.parse.urlsplit(place).scheme in ("http", "https"):
        return Node(place, token)
    return Folder(Path(place))


def read_file(path: Path) -> bytes:
    """The bytes of a file. Raises SourceError."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise SourceError(f"cannot read {path}: {error.strerror}") from None
