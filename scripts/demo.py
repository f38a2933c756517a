"""A whole neighbourhood on this machine: three organisations' nodes, a demo estate, and logins for every role.

    python3 scripts/demo.py                  make or start the demo and keep it running until Ctrl-C
    python3 scripts/demo.py --check          drive the main job as a client, exit 0 or 1
    python3 scripts/demo.py --stop --data DIR

The first run makes the environment and builds the mini-app. Each node is a process with its own key, database and
photos. A demo that was interrupted while it was made is made anew; one that runs already is used and left running.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import signal
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import NoReturn, TypeVar

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]

import environment
from cluster import Cluster
from demo_processes import (
    PORT_BASES,
    Obstacle,
    is_running,
    outbox_url,
    read_port_base,
    require_free_ports,
    start,
    stop,
)

T = TypeVar("T")
ENDINGS = (signal.SIGTERM, signal.SIGHUP)
DATA = ROOT / "demo-data"
PORT_BASE = 8101
UNFINISHED = "unfinished"
"""A file in the demo's folder for as long as the estate is being made."""


def parse_options() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description="Run the demo estate on three node processes of this machine.")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the demo (demo-data)")
    parser.add_argument(
        "--port-base", type=_port_base, help=f"port of a new demo's first node; the others follow ({PORT_BASE})"
    )
    parser.add_argument("--check", action="store_true", help="drive the main job as a client and exit 0 or 1")
    parser.add_argument("--no-wait", action="store_true", help="return once the cluster is ready, leave it running")
    parser.add_argument("--stop", action="store_true", help="stop a demo that was left running")
    return parser.parse_args()


def _port_base(text: str) -> int:
    if not text.isdecimal() or int(text) not in PORT_BASES:
        raise argparse.ArgumentTypeError(f"a number from {PORT_BASES.start} to {PORT_BASES.stop - 1} is needed")
    return int(text)


def main() -> int:
    """Make, start, check or stop."""
    options = parse_options()
    environment.reexec_in_environment()
    import build

    data = options.data.resolve()
    if options.stop:
        stop(data)
        return 0
    build.build("web")
    _heed_signals()
    try:
        return run(data, options)
    except (OSError, UnicodeError) as error:
        raise Obstacle(f"The demo in {data} cannot run: {error}.") from None


def _heed_signals() -> None:
    """A closed terminal or a `kill` ends the demo as Ctrl-C does: nothing is left running."""
    for number in ENDINGS:
        signal.signal(number, _end)


def _end(number: int, _: object) -> NoReturn:
    raise SystemExit(128 + number)


def _run(work: Coroutine[None, None, T]) -> T:
    """Run a coroutine to its end or to a signal's. An exception raised while Python tidies up would be lost, and the
    loop tidies up all the time; so the loop itself takes the signals, and cancels."""
    try:
        return asyncio.run(_until_signal(work))
    finally:
        _heed_signals()


async def _until_signal(work: Coroutine[None, None, T]) -> T:
    loop, task, ending = asyncio.get_running_loop(), asyncio.ensure_future(work), 0

    def end(number: int) -> None:
        nonlocal ending
        ending = number
        task.cancel()

    for number in ENDINGS:
        loop.add_signal_handler(number, end, number)
    try:
        return await task
    except asyncio.CancelledError:
        if ending:
            raise SystemExit(128 + ending) from None
        raise


def run(data: Path, options: argparse.Namespace) -> int:
    """Bring the demo up, do what the options ask for, and stop what was started here. Returns the exit code."""
    stays = True
    data.mkdir(parents=True, exist_ok=True)
    try:
        with environment.held(data, f"starting the demo in {data}"):
            discard_unfinished(data)
            port_base = choose_port_base(data, options.port_base)
            was_running = is_running(data)
            if not was_running:
                require_free_ports(data, port_base)
            stays = was_running
            cluster = bring_up(data, port_base)
        _tell(cluster, port_base, was_running=was_running)
        code = _check(data, port_base) if options.check else 0
        if not (options.check or options.no_wait or was_running):
            _wait()
        stays = was_running or options.no_wait
        return code
    finally:
        if not stays:
            stop(data)


def discard_unfinished(data: Path) -> None:
    """Remove an estate that was interrupted while it was made. Raises Obstacle where something else than a demo is."""
    if (data / UNFINISHED).exists():
        environment.say(f"The demo in {data} was not finished: making it anew.")
        stop(data)
        for path in [path for path in data.iterdir() if path.name != UNFINISHED]:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    elif any(data.iterdir()) and not all((data / name).exists() for name in ("cluster.json", "logins.json")):
        raise Obstacle(f"{data} holds something that is no demo. Name an empty or a new folder with --data.")


def choose_port_base(data: Path, wanted: int | None) -> int:
    """The first port of this demo, which never changes. Raises Obstacle when another one is wanted."""
    made = read_port_base(data)
    if made is not None and wanted not in (None, made):
        raise Obstacle(f"The demo in {data} has the ports from {made}. For other ports name a new folder with --data.")
    return made or wanted or PORT_BASE


def bring_up(data: Path, port_base: int) -> Cluster:
    """Start simulators and nodes; of a new demo, make the cluster first and the estate then."""
    is_new = read_port_base(data) is None
    if is_new:
        (data / UNFINISHED).touch()
    cluster = start(data, port_base)
    if is_new:
        _run(_load(cluster, port_base))
        (data / UNFINISHED).unlink()
    return cluster


async def _load(cluster: Cluster, port_base: int) -> None:
    import aiohttp

    from client import ApiError
    from demo_estate import DemoEstate, load_estate
    from server.gateway.roster_file import RosterError

    environment.say("Loading the demo estate, as signed records:")
    async with aiohttp.ClientSession() as http:
        try:
            await load_estate(DemoEstate(cluster, http, outbox_url(port_base)))
        except (ApiError, RosterError, TimeoutError, aiohttp.ClientError) as error:
            logs = cluster.data / "*" / "node.log"
            raise Obstacle(f"\nThe demo estate could not be loaded: {error}\nThe nodes' logs are {logs}.") from None


def _check(data: Path, port_base: int) -> int:
    from demo_check import check

    return _run(check(data, outbox_url(port_base)))


def _tell(cluster: Cluster, port_base: int, *, was_running: bool) -> None:
    state = "was running already, and goes on" if was_running else "is running"
    print(f"\n  邻里 Linli: the demo estate {state}.\n")
    for url in cluster.urls:
        print(f"    {url}/")
    print("\n  To be somebody, verify yourself in the mini-app with his name, home and phone number:\n")
    logins = json.loads((cluster.data / "logins.json").read_text("utf-8"))
    for role, login in logins.items():
        print(f"    {role:11} {login['name']}  {login['room']}  {login['phone']}")
    print(f"\n  The codes come to {outbox_url(port_base)}/outbox")
    print(f"  Keys of all of them, for programs: {cluster.data / 'logins.json'}\n", flush=True)


def _wait() -> None:
    print("  Ctrl-C ends it.", flush=True)
    try:
        signal.pause()
    except KeyboardInterrupt:
        print("\n  Stopping ...", flush=True)


if __name__ == "__main__":
    environment.finish(main)
