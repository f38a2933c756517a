"""A node that stores blocks for ever, to be killed: prints the height of each block that it holds durable."""

from __future__ import annotations

import asyncio
import sys

from server.storage.database import Database
from tests.storage.estate import Estate


async def run(url: str) -> None:
    """Store blocks of ten bound devices each."""
    async with await Database.open(url) as database:
        estate = await Estate.open(database)
        print("open", flush=True)
        number = 1_000 * (estate.ledger.tip.height + 1)
        while True:
            items = [estate.bind(number + place, f"m-{number + place}") for place in range(10)]
            await estate.add(*items)
            number += 10
            print(estate.ledger.tip.height, flush=True)


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1]))
