"""Cost of a committed ballot: signed ballots a second, latency, and node CPU in V, on three node processes.

    python3 scripts/bench.py [--clients 1,64,256] [--ballots 3000] [--nodes 3] [--json]

V is the CPU time of one P-256 verification, measured just before and after each run, so that figures of different
machines compare. Clients are closed loops over raw connections, spread over all nodes; only ballots whose receipts are
answered with a quorum's signatures count, and a sample of the receipts is verified in full.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]

import environment

if __name__ == "__main__":
    environment.reexec_in_environment()

import aiohttp

import client
import cluster
from electorate import QUESTIONS, Electorate, request_bytes
from server.ledger.policy import parse_policy
from server.ledger.receipt import verify_receipt
from server.record.signature import DeviceSigner, verify

VERIFIED_SAMPLE = 50
V_ROUNDS = 2_000
TICKS_S = 100


@dataclass(frozen=True, slots=True)
class Result:
    """Figures of one run. Times in milliseconds, CPU in microseconds; `cost_v` is node CPU a ballot in V."""

    clients: int
    ballots: int
    seconds: float
    ballots_per_s: float
    p50_ms: float
    p99_ms: float
    node_cpu_us: float
    cost_v: float
    load_cpu_us: float
    v_us: float
    memory_mb: float
    blocks: int


def measure_v() -> float:
    """CPU microseconds of one P-256 verification with a parsed key."""
    signer = DeviceSigner.generate()
    point, message = signer.public.point(), b"x" * 400
    signature = signer.sign(message)
    verify(point, message, signature)
    begin = time.process_time()
    for _ in range(V_ROUNDS):
        verify(point, message, signature)
    return (time.process_time() - begin) / V_ROUNDS * 1e6


def node_usage(nodes: Sequence[cluster.NodePlace]) -> tuple[float, float]:
    """(CPU seconds, resident megabytes) of the node processes and their children so far."""
    cpu, memory = 0.0, 0.0
    for node in nodes:
        fields = Path(f"/proc/{node.pid}/stat").read_text().rpartition(")")[2].split()
        cpu += (int(fields[11]) + int(fields[12])) / TICKS_S
        status = Path(f"/proc/{node.pid}/status").read_text()
        memory += int(status.split("VmRSS:")[1].split()[0]) / 1024
    return cpu, memory


async def post_all(requests: list[bytes], host: str, port: int, answers: list[tuple[float, bytes]]) -> None:
    """One client: a connection that posts its requests one after the other."""
    reader, writer = await asyncio.open_connection(host, port)
    try:
        for request in requests:
            begin = time.perf_counter()
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            body = await reader.readexactly(length)
            if not head.startswith(b"HTTP/1.1 200"):
                raise SystemExit(f"a ballot was not accepted: {head.split(bytes(2), 1)[0][:40]!r} {body[:300]!r}")
            answers.append(((time.perf_counter() - begin) * 1000, body))
    finally:
        writer.close()


async def run_load(
    places: Sequence[cluster.NodePlace], records: list[client.SignedRecord], clients: int
) -> tuple[float, list[tuple[float, bytes]]]:
    """Post every record, spread over `clients` and all nodes; (seconds, [(ms, answer)])."""
    answers: list[tuple[float, bytes]] = []
    loads: list[tuple[int, list[bytes]]] = []
    for number in range(clients):
        port = places[number % len(places)].port
        loads.append((port, [request_bytes(record, f"127.0.0.1:{port}") for record in records[number::clients]]))
    begin = time.perf_counter()
    await asyncio.gather(*(post_all(requests, "127.0.0.1", port, answers) for port, requests in loads))
    return time.perf_counter() - begin, answers


async def measure(voters: Electorate, places: Sequence[cluster.NodePlace], clients: int, ballots: int) -> Result:
    """One run on a fresh motion."""
    motion = await voters.open_motion()
    records = voters.ballots(motion, ballots)
    v_before = measure_v()
    cpu_before, _ = node_usage(places)
    height_before = await _height(voters)
    print(f"{clients} clients post {len(records)} ballots ...", file=sys.stderr, flush=True)
    own_before = resource.getrusage(resource.RUSAGE_SELF)
    seconds, answers = await run_load(places, records, clients)
    own_after = resource.getrusage(resource.RUSAGE_SELF)
    cpu_after, memory = node_usage(places)
    v_us = (v_before + measure_v()) / 2
    check_receipts(voters, [body for _, body in answers])
    times = sorted(ms for ms, _ in answers)
    own = own_after.ru_utime + own_after.ru_stime - own_before.ru_utime - own_before.ru_stime
    cpu_us = (cpu_after - cpu_before) / len(answers) * 1e6
    return Result(
        clients,
        len(answers),
        round(seconds, 2),
        round(len(answers) / seconds, 1),
        round(statistics.median(times), 1),
        round(times[int(len(times) * 0.99)], 1),
        round(cpu_us),
        round(cpu_us / v_us, 1),
        round(own / len(answers) * 1e6),
        round(v_us, 1),
        round(memory),
        await _height(voters) - height_before,
    )


async def _height(voters: Electorate) -> int:
    state: dict[str, Any] = await voters.officer().call("GET", "/api/v1/cluster")
    return int(state["height"])


def check_receipts(voters: Electorate, answers: Sequence[bytes]) -> None:
    """Every answer is an acceptance with a receipt; a sample is verified in full."""
    policy = parse_policy((voters._data / "policy.txt").read_text("utf-8"))
    step = max(1, len(answers) // VERIFIED_SAMPLE)
    for number, body in enumerate(answers):
        answer = json.loads(body)
        assert answer["outcome"] == "accepted" and answer["receipt"], answer
        if number % step == 0:
            assert verify_receipt(answer["receipt"], policy, voters.estate).owner_checked


async def bench(options: argparse.Namespace) -> list[Result]:
    """Make a cluster and an electorate, then run each number of clients."""
    with tempfile.TemporaryDirectory(prefix="linli-bench-") as folder:
        data = Path(folder) / "cluster"
        places = cluster.init_cluster(data, options.nodes, options.port_base)
        try:
            places.start_all()
            async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
                voters = Electorate(http, data, places.urls)
                print("making the electorate ...", file=sys.stderr, flush=True)
                await voters.gather(options.voters)
                results = []
                for clients in options.clients:
                    ballots = min(options.ballots if clients > 1 else options.ballots // 10, options.voters * QUESTIONS)
                    result = await measure(voters, places.nodes, clients, ballots)
                    print(json.dumps(asdict(result)), file=sys.stderr, flush=True)
                    results.append(result)
                return results
        finally:
            places.stop_all()


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description="Measure the cost of a committed ballot on node processes.")
    parser.add_argument("--clients", default="1,64,256", help="numbers of concurrent clients")
    parser.add_argument("--ballots", type=int, default=3_000, help="ballots a run (a tenth of it for one client)")
    parser.add_argument("--voters", type=int, default=500, help="heads on the roll")
    parser.add_argument("--nodes", type=int, default=3, choices=(1, 3, 4, 7), help="node processes")
    parser.add_argument("--port-base", type=int, default=8401, help="first public port")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    options = parser.parse_args()
    options.clients = [int(number) for number in options.clients.split(",")]
    results = asyncio.run(bench(options))
    if options.json:
        print(json.dumps([asdict(result) for result in results], indent=1))
        return 0
    print(" clients  ballots/s   p50 ms   p99 ms  V a ballot  node us     MB  blocks")
    for one in results:
        print(
            f"{one.clients:8} {one.ballots_per_s:10} {one.p50_ms:8} {one.p99_ms:8} {one.cost_v:11} {one.node_cpu_us:8}"
            f" {one.memory_mb:6} {one.blocks:7}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
