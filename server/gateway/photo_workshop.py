"""The processes in which photos are cleaned: few, confined, replaced when one dies.

Decoders are large C libraries fed by strangers. They run in processes of their own, which may neither take much memory
nor compute for long nor write files, and which die with the node; a crash costs the photo that caused it, nothing else.
Knows nothing of who sends photos and where they are kept.
"""

import asyncio
import ctypes
import math
import multiprocessing
import os
import resource
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from types import TracebackType
from typing import Self, TypeVar

from server.gateway.photo_cleaning import UPLOAD_BYTES_MAX, CleanedPhoto, PhotoFault, PhotoRefused, clean_photo, shrink

WORKERS = 1
"""One worker cleans some two photos a second, more than the estates of a street send; each may take WORKER_MEMORY."""
WAITING_MAX = 16
"""Photos kept in memory until a worker is free: 16 x 12 MB, and half a minute at worst."""
WORKER_MEMORY_BYTES = 1536 * 1024 * 1024
"""Address space: 50 megapixels with transparency took 0.7 GB, the libraries and their threads 0.4 GB."""
PHOTO_CPU_S = 20
"""The slowest good photo (50 megapixels, HEIC) took 5 s on a slow machine."""
_PR_SET_PDEATHSIG = 1
_PRELOADED = "server.gateway.photo_cleaning"

Result = TypeVar("Result")


class WorkshopBusy(Exception):
    """Too many photos wait already; the sender should try again in some seconds (503)."""


class Workshop:
    """Mutable. Confined worker processes; an asynchronous context manager, used by one event loop."""

    def __init__(self, workers: int = WORKERS, waiting_max: int = WAITING_MAX) -> None:
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload([_PRELOADED])
        self._idle: asyncio.Queue[ProcessPoolExecutor] = asyncio.Queue()
        self._workers = workers
        self._places = workers + waiting_max
        self._jobs: set[asyncio.Task[object]] = set()

    async def __aenter__(self) -> Self:
        for _ in range(self._workers):
            self._idle.put_nowait(await asyncio.to_thread(self._start_worker))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.gather(*self._jobs, return_exceptions=True)
        while not self._idle.empty():
            await asyncio.to_thread(self._idle.get_nowait().shutdown)

    async def _give(self, work: Callable[[bytes], Result], data: bytes) -> Result:
        if len(self._jobs) >= self._places:
            raise WorkshopBusy
        job = asyncio.create_task(self._do(work, data), name="photo")
        self._jobs.add(job)
        job.add_done_callback(self._jobs.discard)
        # Who waits may go away; the worker cannot be stopped in the middle and is free only when it has finished.
        return await asyncio.shield(job)

    async def _do(self, work: Callable[[bytes], Result], data: bytes) -> Result:
        worker = await self._idle.get()
        try:
            for _ in range(2):
                try:
                    return await asyncio.get_running_loop().run_in_executor(worker, _within_limits, work, data)
                except BrokenProcessPool:
                    # Perhaps the worker had been killed before it got this photo: once more, with a new one.
                    worker.shutdown(wait=False)
                    worker = await asyncio.to_thread(self._start_worker)
            raise PhotoRefused(PhotoFault.DAMAGED)
        finally:
            self._idle.put_nowait(worker)

    def _start_worker(self) -> ProcessPoolExecutor:
        worker = ProcessPoolExecutor(1, mp_context=self._context, initializer=_confine)
        worker.submit(_within_limits, bytes, b"").result()
        return worker


class PhotoWorkshop(Workshop):
    """Mutable. The workshop in which photos of tickets are cleaned."""

    async def clean(self, data: bytes) -> CleanedPhoto:
        """Return the photo cleaned (see `clean_photo`).

        Raises: PhotoRefused; WorkshopBusy when too many photos wait.
        """
        if len(data) > UPLOAD_BYTES_MAX:
            raise PhotoRefused(PhotoFault.TOO_LARGE)
        return await self._give(clean_photo, data)

    async def shrink(self, jpeg: bytes) -> bytes:
        """Return the small WebP of a kept photo, for one that came from a peer without it. Raises as `clean` does."""
        return await self._give(shrink, jpeg)


def _confine() -> None:
    """Take from this process what cleaning does not need."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C is for the node, which then ends its workers
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    threading.Thread(target=_end_with_node, daemon=True).start()
    resource.setrlimit(resource.RLIMIT_AS, (WORKER_MEMORY_BYTES, WORKER_MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _end_with_node() -> None:
    """The parent of this process is the fork server, which ends only when its last worker does: watch the node itself.

    A node killed with SIGKILL tells nobody; the system then closes the pipe that is its sentinel.
    """
    node = multiprocessing.parent_process()
    assert node is not None, "a worker was started by a node"
    node.join()
    os._exit(1)


def _within_limits(work: Callable[[bytes], Result], data: bytes) -> Result:
    """Do one piece of work within PHOTO_CPU_S; the limit counts a process's whole life, so each job moves it on."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    end = math.ceil(usage.ru_utime + usage.ru_stime) + PHOTO_CPU_S
    resource.setrlimit(resource.RLIMIT_CPU, (end, resource.RLIM_INFINITY))
    try:
        return work(data)
    except MemoryError:
        raise PhotoRefused(PhotoFault.TOO_LARGE) from None
