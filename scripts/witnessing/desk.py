"""The desk of a witness: takes a checkpoint with a consistency proof, checks both, remembers, signs (tlog-witness).

It trusts nobody: not who asks, not the log. What is answered to whom stands in the specification, by status code.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from aiohttp import web

from server.ledger.checkpoint import (
    NOTE_BYTES_MAX,
    Checkpoint,
    CheckpointError,
    Note,
    VerifierKey,
    b64_decode,
    parse_note,
    verify_lines,
    witness_line,
)
from server.ledger.merkle import EMPTY_ROOT, ProofError, verify_consistency
from server.limits import INTEGER_MAX, KIB
from server.record.canonical import Malformed
from server.record.signature import NodeSigner
from witnessing.memory import WitnessMemory

PROOF_LINES_MAX = 63
REQUEST_BYTES_MAX = NOTE_BYTES_MAX + 4 * KIB
_OLD = re.compile(r"old (0|[1-9][0-9]{0,15})")
TEXT = "text/plain; charset=utf-8"


class Refused(Exception):
    """A checkpoint is not signed: the status code of the specification, and why. `body`: its whole answer, if any."""

    def __init__(self, status: int, why: str, body: str = "", media: str = TEXT) -> None:
        super().__init__(why)
        self.status = status
        self.answer = body or why + "\n"
        self.media = media


@dataclass(frozen=True, slots=True)
class Request:
    """An add-checkpoint request, taken apart: nothing in it is checked yet."""

    old: int
    proof: tuple[bytes, ...]
    note: str

    @property
    def origin(self) -> str:
        """The first line of the checkpoint."""
        return self.note.partition("\n")[0]


def parse_request(text: str) -> Request:
    """Take a request apart. Raises Refused with status 400."""
    header, separator, note = text.partition("\n\n")
    old, *proof = header.split("\n")
    found = _OLD.fullmatch(old)
    if not separator or found is None or int(found[1]) > INTEGER_MAX or len(proof) > PROOF_LINES_MAX:
        raise Refused(400, "not a request of tlog-witness")
    try:
        return Request(int(found[1]), tuple(map(b64_decode, proof)), note)
    except Malformed:
        raise Refused(400, "a line of the proof is not base64") from None


class WitnessDesk:
    """Mutable. One witness for some logs. `add` never waits between look and memory, so requests cannot overtake."""

    def __init__(
        self,
        name: str,
        signer: NodeSigner,
        logs: Sequence[VerifierKey],
        memory: WitnessMemory,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        self._name, self._signer, self._memory, self._now_s = name, signer, memory, now_s
        self.origins = {log.name: [key for key in logs if key.name == log.name] for log in logs}

    def add(self, text: str) -> str:
        """The signature line for a request, with its line end; it is remembered when this returns. Raises Refused."""
        request = parse_request(text)
        checkpoint = self._verify_signed(request)
        self._verify_continued(request, checkpoint)
        self._memory.keep(checkpoint.origin, checkpoint.size, checkpoint.root)
        return witness_line(self._signer, self._name, checkpoint, int(self._now_s())) + "\n"

    def _verify_signed(self, request: Request) -> Checkpoint:
        logs = self.origins.get(request.origin)
        if logs is None:
            raise Refused(404, "this witness does not know the log")
        try:
            note: Note = parse_note(request.note, request.origin)
        except CheckpointError as error:
            raise Refused(400, f"not a checkpoint: {error.fault.value}") from None
        try:
            signed = verify_lines(note, logs)
        except CheckpointError:
            signed = {}
        if not signed:
            raise Refused(403, "no signature of the log holds")
        return note.checkpoint

    def _verify_continued(self, request: Request, checkpoint: Checkpoint) -> None:
        if request.old > checkpoint.size:
            raise Refused(400, "the old size is larger than the checkpoint")
        size, root = self._memory.newest(checkpoint.origin)
        if request.old != size:
            raise Refused(409, "another size was signed last", f"{size}\n", "text/x.tlog.size")
        if size == 0:
            if request.proof or (checkpoint.size == 0 and checkpoint.root != EMPTY_ROOT):
                raise Refused(422, "a proof from nothing is empty, and nothing has one root")
            return
        if size == checkpoint.size and root != checkpoint.root:
            raise Refused(409, "another root of this size was signed", f"{size}\n", "text/x.tlog.size")
        try:
            verify_consistency(size, checkpoint.size, request.proof, root, checkpoint.root)
        except ProofError as error:
            raise Refused(422, f"the checkpoint does not continue the one signed last: {error}") from None


def make_app(desk: WitnessDesk) -> web.Application:
    """POST /add-checkpoint (tlog-witness)."""

    async def add_checkpoint(request: web.Request) -> web.Response:
        try:
            text = (await request.read()).decode("utf-8")
            return web.Response(text=desk.add(text), content_type="text/plain", charset="utf-8")
        except UnicodeDecodeError:
            return web.Response(status=400, text="not UTF-8\n")
        except Refused as refused:
            headers = {"Content-Type": refused.media}
            return web.Response(status=refused.status, body=refused.answer.encode(), headers=headers)

    app = web.Application(client_max_size=REQUEST_BYTES_MAX)
    app.router.add_post("/add-checkpoint", add_checkpoint)
    return app
