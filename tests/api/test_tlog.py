"""The log as tools that know nothing of us read it (c2sp.org/tlog-tiles): at the sizes where tiles begin and end."""

from __future__ import annotations

import asyncio
import gzip
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from http.client import HTTPMessage

import pytest
import pytest_asyncio

from server.api.log import CONSISTENCY_HEADER
from server.api.tiles import reads_gzip
from server.consensus.effects import PublishCheckpoint
from server.ledger.checkpoint import cosign_line
from server.ledger.merkle import leaf_hash, verify_consistency
from server.record.canonical import b64u_decode, digest, encode
from server.storage.ledger_tables import ENTRY, TILE
from server.storage.statements import Batch
from server.storage.stored import Tip
from tests import tlog_reader
from tests.api.running import ME, Site, running_site

pytestmark = pytest.mark.asyncio(loop_scope="module")
EDGES = (255, 256, 257, 511, 512, 513, 65_535, 65_536, 65_537, 66_049)
"""Where a tile of the first, second and third level begins, or is about to."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """A node whose log these tests let grow."""
    async with running_site(tmp_path_factory.mktemp("tlog")) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def reader(site: Site) -> dict[str, str]:
    """What a verified member sends along: entries are not for everybody (decisions 11)."""
    member = await site.bind("member-1")
    return {"Authorization": f"Bearer {member.tokens[site.url]}"}


async def ask(site: Site, path: str, **headers: str) -> tuple[int, HTTPMessage, bytes]:
    """What an outsider's program is told, undecoded: the standard library neither asks for gzip nor unpacks it."""

    def call() -> tuple[int, HTTPMessage, bytes]:
        request = urllib.request.Request(site.url + path, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as refusal:
            return refusal.code, refusal.headers, refusal.read()

    return await asyncio.to_thread(call)


def fetcher(site: Site, **headers: str) -> tlog_reader.Fetch:
    """Fetches like the reader wants it: from another thread than the node's."""

    def fetch(path: str) -> bytes:
        request = urllib.request.Request(site.url + path, headers=headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return bytes(answer.read())

    return fetch


async def grow(site: Site, size: int) -> None:
    """Entries up to this size, written as blocks write them, and the checkpoint of the size signed with real keys."""
    ledger, before = site.node.ledger, site.node.ledger.tip
    tree, nodes, rows = before.frontier(), [], []
    for index in range(before.size, size):
        content = encode({"height": before.height + 1, "index": index, "outcome": "accepted", "time_ms": index})
        nodes += tree.append(leaf_hash(content))
        rows.append((index, before.height + 1, digest(content), "filler", "", "accepted", content))
    tiles = ledger._tiles.grow(nodes)
    batch = Batch()
    batch.add(ENTRY, rows)
    batch.put(TILE, sorted(tiles.items()))
    await ledger.database.write(batch)
    ledger._tiles.take(tiles)
    ledger._take_tip(
        Tip(before.height + 1, digest(b"%d" % size), size, tree.root(), tuple(tree.peaks), before.state_digest, 0)
    )
    publish(site, size, tree.root())


def publish(site: Site, size: int, root: bytes) -> None:
    """Sign a checkpoint as the only member of the estate."""
    line = cosign_line(site.node.keys.cosign, site.node.genesis.origin, ME, size, root, int(time.time()))
    site.node.parts.checkpoints.publish(PublishCheckpoint(size, root, ((ME, line),), True))


async def test_empty_log_has_no_checkpoint_and_no_tile(site: Site) -> None:
    assert site.node.ledger.tip.size == 0
    assert (await ask(site, "/checkpoint"))[0] == 503
    for path in ("/tile/0/000", "/tile/0/000.p/1", "/tile/1/000.p/1"):
        assert (await ask(site, path))[0] == 404


async def test_outsider_rebuilds_the_root_at_every_edge_of_a_tile(site: Site, reader: dict[str, str]) -> None:
    keys = tlog_reader.policy_keys((await ask(site, "/policy.txt"))[2].decode())
    origin = site.node.genesis.origin
    for size in EDGES:
        await grow(site, size)
        head = tlog_reader.read_checkpoint((await ask(site, "/checkpoint"))[2].decode(), keys)
        assert (head.origin, head.size) == (origin, size)
        assert head.signers == {(origin, 1), (f"{origin}/{ME}", 4)}
        fetch = fetcher(site)
        assert await asyncio.to_thread(tlog_reader.root_from_edge, fetch, size) == head.root
        leaves = await asyncio.to_thread(tlog_reader.read_hashes, fetch, size, 0)
        assert tlog_reader.tree_hash(leaves) == head.root
        above = await asyncio.to_thread(tlog_reader.read_hashes, fetch, size, 1)
        assert above == [tlog_reader.tree_hash(leaves[256 * n : 256 * n + 256]) for n in range(size // 256)]
    entries = await asyncio.to_thread(tlog_reader.read_entries, fetcher(site, **reader), EDGES[-1])
    assert tlog_reader.tree_hash([tlog_reader.leaf_hash(entry) for entry in entries]) == head.root


async def test_tiles_of_earlier_sizes_stay(site: Site) -> None:
    """tlog-tiles: a partial tile is there for every size that a checkpoint was made of."""
    entries = await site.node.ledger.contents(0, 600)
    for size in (1, 2, 255, 256, 257, 511, 513):
        root = await asyncio.to_thread(tlog_reader.root_from_edge, fetcher(site), size)
        assert root == tlog_reader.tree_hash([tlog_reader.leaf_hash(entry) for entry in entries[:size]])


async def test_tile_beyond_the_log_is_not_there(site: Site) -> None:
    size = site.node.ledger.tip.size
    number, width = divmod(size, 256)
    ends = [(0, number, 256), (0, number, width + 1), (1, size // 65_536, 256), (2, 0, size // 65_536 + 1), (3, 0, 1)]
    for level, place, wide in ends:
        assert (await ask(site, tlog_reader.tile_path(level, place, wide)))[0] == 404
    assert (await ask(site, tlog_reader.tile_path(0, number, width)))[0] == 200


@pytest.mark.parametrize("path", ["/tile/00/000", "/tile/01/000.p/1", "/tile/+1/000", "/tile/ 0/000"])
async def test_level_has_one_spelling(site: Site, path: str) -> None:
    assert (await ask(site, path.replace(" ", "%20")))[0] == 404


async def test_answers_carry_the_types_and_lifetimes_of_the_specification(site: Site) -> None:
    status, headers, tile = await ask(site, "/tile/0/000")
    assert (status, headers["Content-Type"], len(tile)) == (200, "application/octet-stream", 8_192)
    assert headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert headers["Access-Control-Allow-Origin"] == "*"
    _, headers, _ = await ask(site, "/checkpoint")
    assert headers["Content-Type"] == "text/plain; charset=utf-8"
    assert headers["Cache-Control"] == "no-cache"


async def test_bundle_is_packed_for_those_who_read_gzip(site: Site, reader: dict[str, str]) -> None:
    _, headers, plain = await ask(site, "/tile/entries/000", **reader)
    assert headers["Content-Type"] == "application/octet-stream"
    assert headers["Content-Encoding"] is None
    _, headers, packed = await ask(site, "/tile/entries/000", **reader, **{"Accept-Encoding": "gzip, identity"})
    assert headers["Content-Encoding"] == "gzip"
    assert "Accept-Encoding" in headers["Vary"]
    assert gzip.decompress(packed) == plain
    assert len(packed) < len(plain)
    assert (await ask(site, "/tile/entries/000.p/7", **{"Accept-Encoding": "gzip"}))[0] == 401


@pytest.mark.parametrize(
    ("accepted", "takes"),
    [
        ("", False),
        ("identity", False),
        ("gzip", True),
        ("GZIP;q=0.5", True),
        ("br, gzip ; q=1.0, *;q=0", True),
        ("gzip;q=0", False),
        ("*;q=1, gzip;q=0", False),
        ("*", True),
        ("x-gzip", True),
        ("gzipped", False),
        ("gzip;q=nonsense", False),
    ],
)
async def test_gzip_is_sent_to_those_only_who_take_it(accepted: str, takes: bool) -> None:
    assert reads_gzip(accepted) is takes


async def test_phone_is_shown_that_a_newer_checkpoint_continues_what_it_saw(site: Site) -> None:
    older = 300
    leaves = [tlog_reader.leaf_hash(entry) for entry in await site.node.ledger.contents(0, older)]
    status, headers, note = await ask(site, "/checkpoint", **{"X-Linli-Size": str(older)})
    size, root = site.node.ledger.tip.size, site.node.ledger.tip.root
    assert (status, note.split(b"\n")[1]) == (200, b"%d" % size)
    proof = [b64u_decode(step) for step in headers[CONSISTENCY_HEADER].split(" ")]
    verify_consistency(older, size, proof, tlog_reader.tree_hash(leaves), root)


@pytest.mark.parametrize("seen", [0, 66_049, 66_050, 9_007_199_254_740_991])
async def test_phone_that_saw_as_much_gets_no_proof(site: Site, seen: int) -> None:
    status, headers, _ = await ask(site, "/checkpoint", **{"X-Linli-Size": str(seen)})
    assert (status, headers[CONSISTENCY_HEADER]) == (200, None)


@pytest.mark.parametrize("seen", ["-1", "x", "1.5", "9007199254740992"])
async def test_size_that_is_none_is_malformed(site: Site, seen: str) -> None:
    assert (await ask(site, "/checkpoint", **{"X-Linli-Size": seen}))[0] == 400
