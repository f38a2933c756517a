"""A whole neighbourhood on this machine: three organisations' nodes, a demo estate, and logins for every role.

    python3 scripts/demo.py                  make or start the demo and keep it running until Ctrl-C
    python3 scripts/demo.py --check          drive the main job as a client, exit 0 or 1
    python3 scripts/demo.py --stop --data DIR

The first run makes the environment and builds the mini-app. Each node is a process with its own key, database and
photos.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]

import environment

DATA = ROOT / "demo-data"
SMS_TOKEN = "demo"  # noqa: S105 - of the simulator on this machine
SIMULATOR_S = 20.0


def parse_options() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description="Run the demo estate on three node processes of this machine.")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the demo (demo-data)")
    parser.add_argument("--port-base", type=int, default=8101, help="port of the first node; the others follow (8101)")
    parser.add_argument("--check", action="store_true", help="drive the main job as a client and exit 0 or 1")
    parser.add_argument("--no-wait", action="store_true", help="return once the cluster is ready, leave it running")
    parser.add_argument("--stop", action="store_true", help="stop a demo that was left running")
    return parser.parse_args()


def main() -> int:
    """Make, start, check or stop."""
    options = parse_options()
    environment.ensure("runtime")
    environment.reexec_in_environment()
    import build

    options.data = options.data.resolve()
    if options.stop:
        return stop(options.data)
    build.build("web")
    is_new = not (options.data / "cluster.json").exists()
    try:
        cluster = start(options.data, options.port_base)
        if is_new:
            asyncio.run(_load(options.data, options.port_base))
    except BaseException:
        stop(options.data)
        raise
    _tell(options.data, cluster.urls, outbox_url(options.port_base))
    if options.check:
        return _check(options)
    if not options.no_wait:
        _wait()
        stop(options.data)
    return 0


def _check(options: argparse.Namespace) -> int:
    from demo_check import check

    try:
        return asyncio.run(check(options.data, outbox_url(options.port_base)))
    finally:
        if not options.no_wait:
            stop(options.data)


def outbox_url(port_base: int) -> str:
    """Where the simulated text messages can be read."""
    return f"http://127.0.0.1:{port_base + 2000}"


def wechat_url(port_base: int) -> str:
    """Where the simulated WeChat answers."""
    return f"http://127.0.0.1:{port_base + 2001}"


def start(data: Path, port_base: int):  # type: ignore[no-untyped-def] # Cluster is imported once the environment stands
    """Start simulators and nodes; make the cluster first if there is none."""
    import cluster

    if not (data / "cluster.json").exists():
        settings = {
            "sms": {"url": f"{outbox_url(port_base)}/messages", "token": SMS_TOKEN},
            "wechat": {"url": wechat_url(port_base), "appid": "demo", "secret": "demo"},
            "estate": {"phone": "021-5555 0100"},
        }
        cluster.init_cluster(data, 3, port_base, settings)
    _simulate(data, "sms", ["--port", str(port_base + 2000), "--token", SMS_TOKEN], outbox_url(port_base) + "/outbox")
    wechat = ["--port", str(port_base + 2001)]
    _simulate(data, "wechat", wechat, wechat_url(port_base) + "/simulator/calls")
    running = cluster.Cluster(data)
    print("Starting three nodes ...", file=sys.stderr, flush=True)
    running.start_all()
    return running


def _simulate(data: Path, name: str, arguments: list[str], url: str) -> None:
    import cluster

    pid_file = data / f"{name}.pid"
    if not cluster.running_pid(pid_file, name):
        with (data / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, str(ROOT / "scripts" / "simulators" / f"{name}.py"), *arguments],
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        pid_file.write_text(str(process.pid))
    deadline = time.monotonic() + SIMULATOR_S
    while not _answers(url):
        if time.monotonic() > deadline:
            raise SystemExit(
                f"the {name} simulator does not answer; the end of its log:\n{cluster.tail(data / f'{name}.log')}"
            )
        time.sleep(0.05)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2):  # noqa: S310 - our own loopback address
            return True
    except (urllib.error.URLError, OSError):
        return False


async def _load(data: Path, port_base: int) -> None:
    import aiohttp

    from cluster import Cluster
    from demo_estate import DemoEstate, load_estate

    print("Loading the demo estate, as signed records:", file=sys.stderr, flush=True)
    async with aiohttp.ClientSession() as http:
        await load_estate(DemoEstate(Cluster(data), http, outbox_url(port_base)))


def stop(data: Path) -> int:
    """Stop nodes and simulators of a demo."""
    import cluster

    if (data / "cluster.json").exists():
        cluster.Cluster(data).stop_all()
    for name in ("sms", "wechat"):
        pid = cluster.running_pid(data / f"{name}.pid", name)
        if pid:
            os.kill(pid, signal.SIGTERM)
    return 0


def _tell(data: Path, urls: list[str], outbox: str) -> None:
    print("\n  邻里 Linli: the demo estate is running.\n")
    for url in urls:
        print(f"    {url}/")
    print(f"\n  Text messages (sign-in codes): {outbox}/outbox")
    print(f"  Logins of every role: {data / 'logins.json'}\n", flush=True)


def _wait() -> None:
    print("  Ctrl-C ends it.", flush=True)
    try:
        signal.pause()
    except KeyboardInterrupt:
        print("\n  Stopping ...", flush=True)


if __name__ == "__main__":
    sys.exit(main())
