"""Showing witnesses the newest checkpoint of a node, and keeping the checkpoint with their lines (tlog-witness).

The node is asked for the checkpoint and for proofs; what witnesses answer is checked against their keys before it is
kept. Nothing here is secret.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import aiohttp
import msgspec

from server.ledger.checkpoint import (
    CheckpointError,
    Note,
    SignatureLine,
    VerifierKey,
    b64_encode,
    parse_line,
    parse_note,
    verify_lines,
)
from server.record.canonical import Malformed, b64u_decode

ANSWER_BYTES_MAX = 1 << 18
TRIES = 3
"""The witness may have moved on between two requests; a third says that somebody else keeps pushing."""


class PushError(Exception):
    """The node tells no checkpoint, or a witness no signature; the text says why."""


class Contradicted(PushError):
    """A witness has signed what this ledger does not continue."""


class Proof(msgspec.Struct, frozen=True):
    """What GET /api/v1/consistency answers."""

    proof: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Witness:
    """Where a witness takes checkpoints, and its key."""

    url: str
    key: VerifierKey


@dataclass(frozen=True, slots=True)
class Pushed:
    """What came of it: the witnesses that signed by name, what the others said, and whether one contradicted."""

    size: int
    signed: tuple[str, ...]
    failures: Mapping[str, str]
    contradicted: bool


async def push(http: aiohttp.ClientSession, log: str, witnesses: Sequence[Witness], out: Path) -> Pushed:
    """Ask every witness to sign the newest checkpoint of the node at `log`. Raises PushError, ClientError."""
    text = await _read(http, f"{log}/checkpoint")
    try:
        note = parse_note(text, text.partition("\n")[0])
    except CheckpointError as error:
        raise PushError(f"the node tells no checkpoint: {error.fault.value}") from None
    lines: dict[str, str] = {}
    failures: dict[str, str] = {}
    contradicted = False
    for witness in witnesses:
        try:
            lines[witness.key.name] = await _ask(http, log, witness, note, text)
        except (PushError, aiohttp.ClientError, TimeoutError) as error:
            failures[witness.key.name] = str(error) or type(error).__name__
            contradicted = contradicted or isinstance(error, Contradicted)
    if lines:
        _keep(out, _without(text, note, lines) + "".join(line + "\n" for line in lines.values()))
    return Pushed(note.checkpoint.size, tuple(lines), failures, contradicted)


async def _ask(http: aiohttp.ClientSession, log: str, witness: Witness, note: Note, text: str) -> str:
    """The witness's line. It says itself which size it signed last: nothing is remembered here."""
    old, size = 0, note.checkpoint.size
    for _ in range(TRIES):
        proof = await _prove(http, log, old, size)
        body = "".join([f"old {old}\n", *(f"{b64_encode(step)}\n" for step in proof), "\n", text])
        async with http.post(f"{witness.url}/add-checkpoint", data=body.encode()) as answer:
            said = await _body(answer)
            if answer.status == HTTPStatus.OK:
                return _find_line(said, witness.key, note)
            if answer.status != HTTPStatus.CONFLICT:
                raise _failure(answer.status, said)
            last = said.strip()
            if not last.isascii() or not last.isdecimal():
                raise PushError("the witness does not say which size it signed last")
            if int(last) == old:
                raise Contradicted(f"the witness signed another root of size {old}")
            if int(last) > size:
                raise PushError(f"the witness has seen {last} entries, the node shows {size}: it may be behind")
            old = int(last)
    raise PushError("the witness moves on faster than it can be asked")


def _failure(status: int, said: str) -> PushError:
    if status == HTTPStatus.UNPROCESSABLE_ENTITY:
        return Contradicted(f"the ledger does not continue what the witness signed: {said.strip()[:200]}")
    return PushError(f"{status}: {said.strip()[:200]}")


async def _prove(http: aiohttp.ClientSession, log: str, old: int, size: int) -> list[bytes]:
    if old in (0, size):
        return []
    data = await _read(http, f"{log}/api/v1/consistency?from={old}&to={size}")
    try:
        return [b64u_decode(step) for step in msgspec.json.decode(data, type=Proof).proof]
    except (msgspec.DecodeError, Malformed):
        raise PushError("the node's proof cannot be read") from None


def _find_line(said: str, key: VerifierKey, note: Note) -> str:
    """The line of this witness among those that it answered; lines of unknown keys are ignored. Raises PushError."""
    for text in said.splitlines():
        try:
            line: SignatureLine = parse_line(text)
            if verify_lines(Note(note.checkpoint, (line,)), [key]):
                return text
        except CheckpointError as error:
            raise PushError(f"the witness answered no signature of its key: {error.fault.value}") from None
    raise PushError("the witness answered no signature of its key")


def _without(text: str, note: Note, names: Mapping[str, str]) -> str:
    """The note without lines that the witnesses signed before: a node may carry them already."""
    head, _, signatures = text.rpartition("\n\n")
    kept = [row for row, line in zip(signatures.splitlines(), note.lines, strict=True) if line.name not in names]
    return head + "\n\n" + "".join(row + "\n" for row in kept)


def _keep(out: Path, text: str) -> None:
    """Replace the file as a whole: a node may be reading it."""
    fresh = out.with_name(out.name + ".new")
    with fresh.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(out)


async def _read(http: aiohttp.ClientSession, url: str) -> str:
    async with http.get(url) as answer:
        text = await _body(answer)
        if answer.status != HTTPStatus.OK:
            raise PushError(f"{url} answers {answer.status}")
        return text


async def _body(answer: aiohttp.ClientResponse) -> str:
    data = bytearray()
    async for chunk in answer.content.iter_any():
        data += chunk
        if len(data) > ANSWER_BYTES_MAX:
            raise PushError(f"{answer.url} answers too much")
    return data.decode("utf-8", "replace")
