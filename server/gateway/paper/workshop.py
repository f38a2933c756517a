"""Scans read in confined processes: files of strangers go through large C libraries, which may hurt only themselves.

A PDF is read page by page, each a piece of work of its own within the limits of memory and time: a page that kills its
worker costs that page. The workers get the layout of a motion and nothing else, no key and no name.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial

from server.gateway.paper.layout import BallotLayout
from server.gateway.paper.reading import ScannedPicture, read_pixels
from server.gateway.paper.scans import SCAN_BYTES_MAX, ScanFault, ScanRefused, count_pages, decode
from server.gateway.photo_cleaning import PhotoFault, PhotoRefused
from server.gateway.photo_workshop import Workshop


class PaperWorkshop(Workshop):
    """Mutable. An asynchronous context manager, as photos have it; raises WorkshopBusy when too much waits."""

    async def count(self, data: bytes) -> int:
        """How many pictures a scan holds. Raises: ScanRefused; WorkshopBusy."""
        if len(data) > SCAN_BYTES_MAX:
            raise ScanRefused(ScanFault.TOO_LARGE)
        try:
            return await self._give(count_pages, data)
        except PhotoRefused as refused:
            raise _translate(refused) from None

    async def read(self, data: bytes, layout: BallotLayout) -> AsyncIterator[ScannedPicture]:
        """The pictures of a scan one after the other, with the readings of every ballot in them.

        A page that cannot be read has a fault instead (a ScanFault or a PageFault) and the next ones follow.
        Raises: ScanRefused, before the first one, for a file that cannot be read at all; WorkshopBusy.
        """
        for number in range(1, await self.count(data) + 1):
            try:
                yield await self._give(partial(read_page, layout=layout, number=number), data)
            except ScanRefused as refused:
                yield ScannedPicture(number, (), refused.fault)
            except PhotoRefused as refused:
                yield ScannedPicture(number, (), _translate(refused).fault)


def read_page(data: bytes, layout: BallotLayout, number: int) -> ScannedPicture:
    """One picture of a scan, in a worker. Raises: ScanRefused; MemoryError."""
    return read_pixels(decode(data, number), layout, number)


def _translate(refused: PhotoRefused) -> ScanRefused:
    """What happens to a worker, too much memory or an early death, has the names that photos gave it."""
    return ScanRefused(ScanFault.TOO_LARGE if refused.fault is PhotoFault.TOO_LARGE else ScanFault.DAMAGED)
