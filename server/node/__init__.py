"""The driver of one node, where asyncio meets the pure core: loop, peers, pool, receipts and timers."""
