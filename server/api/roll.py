"""Importing the roll of owners: look at what a roster says, then sign what follows from it. For officers only.

The private copy stays staged until its root is in force on the ledger, confirmed by another organisation's own copy; no
line of a file is ever applied by itself (decisions 13).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Annotated, Literal

import msgspec
import structlog
from aiohttp import web
from msgspec import Meta

from server.api.call import NODE, Call
from server.api.errors import Declined
from server.api.events import listen
from server.api.needs import NodeService
from server.api.paging import Page
from server.api.roster_words import word_file, word_line
from server.api.route import OWN_OFFICER, PUBLIC, Body, Query, Routes, Upload
from server.domain.roll import ConfirmRoll, PublishRoll, Roll
from server.gateway.roster import FILE_BYTES_MAX, read_roster
from server.gateway.roster_file import RosterError
from server.gateway.roster_homes import Roster
from server.record.shape import Shape
from server.storage.people import ImportNotFound, StagedRoll
from server.storage.roll_heads import HeadDraft, RollFault, heads_root, publish_bodies

routes = Routes()
log = structlog.get_logger()
DIFFERENCES_MAX = 200
"""Changes shown one by one; a first import has as many as the estate has homes."""
ImportId = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,64}$(?!\n)", description="What a preview was given")]


class BadLine(msgspec.Struct, frozen=True):
    """A line that cannot be taken; `line` is the row of the sheet, the header being row 1."""

    line: int
    reason: str


class Difference(msgspec.Struct, frozen=True):
    """One change against the copy that is in use: of one owner of one home."""

    change: Literal["added", "removed", "changed"]
    room: str
    name: str
    fields: tuple[str, ...]


class Preview(msgspec.Struct, frozen=True):
    """What a roster says, before anything is applied. `total_area` in square metres with two decimals.

    `import_id` and `root` are empty when there are bad lines that the officer has not left out.
    """

    import_id: str
    root: str
    good_lines: int
    duplicate_lines: int
    bad_lines: tuple[BadLine, ...]
    notices: tuple[BadLine, ...]
    homes: int
    owners: int
    heads: int
    total_area: str
    difference: dict[str, int]
    differences: tuple[Difference, ...]


class ImportChosen(Shape, frozen=True):
    """The import to publish or confirm."""

    import_id: ImportId


class UnsignedPart(msgspec.Struct, frozen=True, tag_field="kind", tag="roll.publish"):
    """A part of a roll that the officer's device completes to a record and signs."""

    body: PublishRoll


class UnsignedConfirmation(msgspec.Struct, frozen=True, tag_field="kind", tag="roll.confirm"):
    """A confirmation that the officer's device completes to a record and signs."""

    body: ConfirmRoll


class UnsignedRecords(msgspec.Struct, frozen=True):
    """What is to be signed, in this order; nothing when the ledger has everything already."""

    roll: str
    root: str
    state: Literal["publish", "confirm", "confirmed", "in_force"]
    records: tuple[UnsignedPart | UnsignedConfirmation, ...]


class RollView(msgspec.Struct, frozen=True):
    """A roll that a motion may be opened on; `area_cm2` of all its heads together."""

    id: str
    heads: int
    area_cm2: int
    published_ms: int


class RollWaiting(msgspec.Struct, frozen=True):
    """A roll that is not in force yet: how far it is published, and who has signed that its own copy is the same."""

    id: str
    root: str
    heads: int
    area_cm2: int
    parts: int
    parts_published: int
    confirmed_by: tuple[str, ...]
    published_ms: int


class RollStanding(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where the rolls stand for one organisation: the one in force, what waits, and which copy it uses itself.

    `in_use` and `staged` are the names of the rolls of its own copies, empty when there is none.
    """

    approvals: int
    waiting: tuple[RollWaiting, ...]
    in_use: str
    staged: str
    in_force: RollView | None = None


@routes.route("GET", "/api/v1/roll/standing", access=OWN_OFFICER)
async def show_standing(call: Call) -> RollStanding:
    """The newest roll in force, later ones that wait for signatures, and which copies this organisation has."""
    rolls = await call.node.queries.rolls()
    newest = next((roll for roll in rolls if roll.in_force), None)
    since_ms = newest.published_ms if newest else 0
    waiting = tuple(_waiting(roll) for roll in rolls if not roll.in_force and roll.published_ms >= since_ms)
    roots = await call.node.people.roots()
    return RollStanding(
        call.node.genesis.policy.approvals,
        waiting,
        roll_name(roots.in_use) if roots.in_use else "",
        roll_name(roots.staged) if roots.staged else "",
        _view(newest) if newest else None,
    )


def _waiting(roll: Roll) -> RollWaiting:
    return RollWaiting(
        roll.id,
        roll.root,
        roll.heads,
        roll.area_cm2,
        roll.parts,
        roll.parts_published,
        roll.confirmed_by,
        roll.published_ms,
    )


def _view(roll: Roll) -> RollView:
    return RollView(roll.id, roll.heads, roll.area_cm2, roll.published_ms)


@routes.route("GET", "/api/v1/rolls", access=PUBLIC)
async def list_rolls(call: Call) -> Page[RollView]:
    """The rolls in force, the newest first: names nobody, and says what a committee puts a motion to."""
    rolls = [roll for roll in await call.node.queries.rolls() if roll.in_force]
    return Page([_view(roll) for roll in rolls])


@routes.route("POST", "/api/v1/roll/preview", access=OWN_OFFICER, declines=("roster_unreadable", "roster_too_large"))
async def preview_roll(
    call: Call,
    roster: Annotated[bytes, Upload("file", FILE_BYTES_MAX, "roster_too_large")],
    leave_out: Annotated[int, Query, Meta(ge=0, le=100_000)] = 0,
) -> Preview:
    """Read a roster (.xlsx or .csv) and say what it holds and what it would change. Nothing is applied.

    A roster with bad lines is not staged, unless the officer says how many he has seen and leaves out.
    """
    today = datetime.fromtimestamp(call.node.clock.now_ms() / 1000, UTC).date()
    try:
        read = await asyncio.to_thread(read_roster, roster, today)
    except RosterError as error:
        raise Declined("roster_unreadable", word_file(error, call.language)) from None
    log.info("roster_read", officer=call.caller.member, lines=len(read.good), bad=len(read.bad))
    if len(read.bad) != leave_out:
        return _preview(read, None, call.language)
    try:
        staged = await call.node.people.stage(read.good, call.node.clock.now_ms())
    except RollFault as fault:
        raise Declined("roster_unreadable", str(fault)) from None
    return _preview(read, staged, call.language)


def _preview(read: Roster, staged: StagedRoll | None, language: str) -> Preview:
    changes = staged.changes if staged else ()
    return Preview(
        staged.id if staged else "",
        staged.root if staged else "",
        len(read.good),
        len(read.duplicates),
        tuple(BadLine(bad.line, word_line(bad.reason, language)) for bad in read.bad),
        tuple(BadLine(notice.line, word_line(notice.reason, language)) for notice in read.notices),
        read.homes,
        read.owners,
        staged.heads if staged else 0,
        str(read.summary()["total_area"]),
        dict(Counter(change.change for change in changes)),
        tuple(Difference(one.change, one.room, one.name, one.fields) for one in changes[:DIFFERENCES_MAX]),
    )


@routes.route("POST", "/api/v1/roll/apply", access=OWN_OFFICER, declines=("import_unknown",))
async def apply_roll(call: Call, body: Annotated[ImportChosen, Body]) -> UnsignedRecords:
    """The records that bring an import into force: its parts for the first organisation, a confirmation for the next.

    Asking again gives what is left to sign. The private copy is taken into use, whole, when the roll is in force on the
    ledger and this organisation has signed it.
    """
    try:
        heads = await call.node.people.staged_heads(body.import_id)
    except ImportNotFound:
        raise Declined("import_unknown") from None
    root = heads_root(heads)
    published = await call.node.queries.get(Roll, roll_name(root))
    # New numbers of owners make the same roll: nothing is left to sign, and no record will come to wake the watcher.
    await take_into_use(call.node)
    return _unsigned(call.node.config.node.id, root, heads, published)


def roll_name(root: str) -> str:
    """A roll is named after its root, so that organisations with equal copies mean the same roll."""
    return "roll-" + root[:20].lower().replace("_", "-")


def _unsigned(me: str, root: str, heads: list[HeadDraft], published: Roll | None) -> UnsignedRecords:
    name = roll_name(root)
    if published is None or published.parts_published < published.parts:
        begin = published.parts_published if published else 0
        bodies = [msgspec.convert(body, PublishRoll) for body in publish_bodies(name, heads)[begin:]]
        return UnsignedRecords(name, root, "publish", tuple(UnsignedPart(body) for body in bodies))
    if me not in published.confirmed_by:
        confirmation = ConfirmRoll(roll=name, root=root)
        return UnsignedRecords(name, root, "confirm", (UnsignedConfirmation(confirmation),))
    return UnsignedRecords(name, root, "in_force" if published.in_force else "confirmed", ())


async def watch_rolls(app: web.Application) -> AsyncIterator[None]:
    """For `cleanup_ctx`: take this organisation's copy into use as soon as its roll is in force."""
    task = asyncio.create_task(_watch(app[NODE]), name="watch-rolls")
    task.add_done_callback(_note_end)
    yield
    task.cancel()
    await asyncio.wait([task])


def _note_end(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("watching_rolls_failed", exc_info=error)


async def _watch(node: NodeService) -> None:
    topics = listen(node)
    try:
        await take_into_use(node)
        async for topic in topics:
            if topic.startswith("roll."):
                await take_into_use(node)
    finally:
        await topics.aclose()


async def take_into_use(node: NodeService) -> bool:
    """Make the staged copy the one in use if its roll is in force and this organisation has signed it."""
    staged = await node.people.staged()
    if staged is None:
        return False
    roll = await node.queries.get(Roll, roll_name(staged.root))
    if roll is None or not roll.in_force or node.config.node.id not in roll.confirmed_by:
        return False
    await node.people.apply(staged.id, node.clock.now_ms())
    log.info("roll_in_use", roll=roll.id)
    return True
