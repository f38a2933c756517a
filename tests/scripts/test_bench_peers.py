"""Bench peers: what one acknowledged it holds, and what it cost is counted finely, with all its processes."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys

import pytest

import machine
from benches.etcd import running_etcd
from benches.grpc_call import CallFailed, GrpcConnection, decode_fields, encode_fields
from benches.peer import Peer
from benches.postgresql import STANDBYS, running_postgresql
from benches.usage import process_cpu_s, read_usage
from tests.conftest import lack

BURN = "import threading, time\ndef burn():\n while time.thread_time() < 0.3: pass\n"
THREADS = f"{BURN}one = threading.Thread(target=burn)\none.start()\none.join()\nprint(flush=True)\ninput()"
CHILD = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {THREADS!r}], stdin=sys.stdin)"


@pytest.mark.parametrize("program", [THREADS, CHILD])
def test_cpu_of_ended_threads_and_of_children_belongs_to_a_program(program: str) -> None:
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        process.stdout.readline()
        usage = read_usage([process.pid])
        process.stdin.write(b"\n")
        process.stdin.close()
    assert sum(usage.cpu_s.values()) >= 0.3
    assert usage.memory_mb > 1


def test_less_than_a_tick_of_cpu_is_seen() -> None:
    before = process_cpu_s(os.getpid())
    for _ in range(1_000):
        pass
    assert 0 < process_cpu_s(os.getpid()) - before < 5


def test_a_process_that_does_not_live_has_no_cost() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    with pytest.raises(ProcessLookupError):
        read_usage([child.pid])


def test_protobuf_fields_come_back_and_half_of_them_is_refused() -> None:
    message = encode_fields([(1, b"k" * 300), (9, 1), (4, 2**40)])
    assert decode_fields(message) == {1: b"k" * 300, 9: 1, 4: 2**40}
    for end in (1, 2, 100, len(message) - 1):
        with pytest.raises(ValueError, match=r"neither|end"):
            decode_fields(message[:end])


async def _append_and_count(peer: Peer) -> None:
    before = read_usage(peer.pids())
    work = await peer.append(8, 200)
    assert len(work.times_ms) == 200 == await peer.count()
    await peer.append(1, 10)
    assert await peer.count() == 210
    assert read_usage(peer.pids()).cpu_since(before) > 0


async def test_postgresql_holds_every_record_that_it_acknowledged() -> None:
    programs = machine.find_postgresql()
    if programs is None:
        lack("PostgreSQL", machine.DATABASES[:1])
    async with running_postgresql(programs) as peer:
        await _append_and_count(peer)
        assert await peer.standbys() == len(STANDBYS), "a commit waits for one of two that stream"


async def test_etcd_holds_every_record_that_it_acknowledged() -> None:
    program = machine.find_etcd()
    if program is None:
        pytest.skip(f"etcd is not on this machine: {machine.install_command([machine.ETCD])}")
    async with running_etcd(program) as peer:
        await _append_and_count(peer)


async def test_a_call_on_a_connection_that_closes_fails() -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    async with server:
        connection = await GrpcConnection.open(*server.sockets[0].getsockname())
        with pytest.raises(CallFailed):
            await connection.call("/some.Service/Call", b"")
        connection.close()
