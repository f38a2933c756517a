"""The aiohttp API of one node: it parses, calls and translates; rules live in `server.domain`."""
