"""`python -m server CONFIG`: run one node until it is told to stop. The only place where API and node meet."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
from pathlib import Path
from typing import Any

import structlog
import uvloop

from server.api.app import listen, make_app
from server.config import Config, ConfigError, load_config
from server.domain import RULEBOOK
from server.domain.rules import Rulebook
from server.node.driver import NodeFailed
from server.node.keyring import KeyFault
from server.node.opening import open_node
from server.node.room import NoRoom, lacks_room
from server.node.standing import StartRefused
from server.storage.database import DatabaseFault
from server.storage.journal import JournalCorrupt
from server.storage.replay import ReplayDiffers
from server.storage.signer import SignerRefused

log = structlog.get_logger()
EXIT_FAILED, EXIT_CONFIG, EXIT_REFUSED = 1, 2, 3
EXIT_NO_ROOM = 75
"""EX_TEMPFAIL of sysexits.h: start it again later, by itself (systemd: Restart=on-failure, RestartSec=10)."""
GARBAGE_THRESHOLDS = (50_000, 20, 100)
"""Rows, tries and waiting records are hundreds of thousands of living objects without cycles: walking them at CPython's
defaults (700, 10, 10) took a fifth of a busy node's CPU. Cycles, of requests that failed, are still found."""
GRACE_S = 1.0
"""For requests under way at the end: with a quorum they get their receipts, without one waiting helps nobody."""


def configure_logging() -> None:
    """One line an event, without colours; tracebacks without local variables, which may hold personal data."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"]),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )


def spare_garbage_collector() -> None:
    """What a started node holds it keeps: collections look at younger objects only, and less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GARBAGE_THRESHOLDS)


def log_loop_error(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """What the event loop can tell nobody. uvloop's TLS raises when a peer vanishes in the handshake: no fault."""
    error = context.get("exception")
    if isinstance(error, RuntimeError) and "the handler is closed" in str(error):
        log.info("connection_closed_while_writing")
        return
    log.error("loop_error", message=context.get("message"), exc_info=error)


async def run(config: Config, rulebook: Rulebook = RULEBOOK) -> None:
    """Serve until SIGTERM or SIGINT. Where other members begin, everything is closed in order and opened anew."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(log_loop_error)
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    while not stop.is_set():
        await _serve(config, rulebook, stop)


async def _serve(config: Config, rulebook: Rulebook, stop: asyncio.Event) -> None:
    """Open the node and serve its API; end both in order when told to, or when its epoch has ended."""
    loop = asyncio.get_running_loop()
    async with open_node(config, rulebook=rulebook) as node:
        spare_garbage_collector()
        http = config.http
        runner = await listen(make_app(node), http.host, http.port, access_log=http.access_log)
        log.info("node_started", node=config.node.id, url=config.public_url(), height=node.ledger.tip.height)
        try:
            await _first_of(stop, node.epoch_ended)
        finally:
            node.changes.end()
            loop.call_later(GRACE_S, node.release)
            await runner.cleanup()
    log.info("node_stopped", node=config.node.id)


async def _first_of(*events: asyncio.Event) -> None:
    waiting = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waiting:
            task.cancel()


def main(arguments: list[str]) -> int:
    """Command line: one argument, the configuration file."""
    if not __debug__:
        print("server: python -O removes the checks that keep a node honest; run without it", file=sys.stderr)
        return EXIT_CONFIG
    if len(arguments) != 1:
        print("usage: python -m server CONFIG", file=sys.stderr)
        return EXIT_CONFIG
    configure_logging()
    try:
        config = load_config(Path(arguments[0]), os.environ)
    except ConfigError as error:
        print(f"server: {error}", file=sys.stderr)
        return EXIT_CONFIG
    return run_to_end(config)


def run_to_end(config: Config, rulebook: Rulebook = RULEBOOK) -> int:
    """Run a node until it ends, and say why on the error stream. Returns the exit code.

    `rulebook`: the rules that this release knows. Whoever runs another release than this one for a test gives it.
    """
    try:
        uvloop.run(run(config, rulebook))
    except (StartRefused, KeyFault, DatabaseFault, JournalCorrupt, SignerRefused, ReplayDiffers) as error:
        print(f"server: {error}", file=sys.stderr)
        return EXIT_REFUSED
    except NoRoom as error:
        print(f"server: {error}", file=sys.stderr)
        return EXIT_NO_ROOM
    except OSError as error:
        print(f"server: the node cannot run here: {error}", file=sys.stderr)
        return EXIT_REFUSED
    except NodeFailed as error:
        print(f"server: the node failed and has ended: {error}", file=sys.stderr)
        if not lacks_room(Path(config.node.data), str(error)):
            return EXIT_FAILED
        print("server: its disk is full; make room and it starts where it ended", file=sys.stderr)
        return EXIT_NO_ROOM
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
