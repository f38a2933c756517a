"""Whose call it is: X-Forwarded-For counts only as far as configured proxies wrote it, and limits follow the client."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import make_mocked_request
from multidict import CIMultiDict

from server.api.address import client_of
from server.api.limit import FAULTS
from tests.api.running import Site, running_site

OWN = "203.0.113.9"
TRUSTED = tuple(map(ip_network, ("10.0.0.0/8", "fd00::1")))


def client(peer: str, *headers: str) -> str:
    """The client of a request that `peer` sent with these headers, behind our trusted proxies."""
    given = CIMultiDict(("X-Forwarded-For", header) for header in headers)
    return client_of(make_mocked_request("GET", "/", headers=given).clone(remote=peer), TRUSTED)


@pytest.mark.parametrize(
    ("peer", "headers", "expected"),
    [
        (OWN, ["198.51.100.1"], OWN),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", [OWN], OWN),
        ("10.0.0.1", [f"198.51.100.1, {OWN}"], OWN),
        ("10.0.0.1", [f"198.51.100.1, {OWN}, 10.0.0.2"], OWN),
        ("10.0.0.1", ["198.51.100.1", f"{OWN},10.0.0.2"], OWN),
        ("10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ("10.0.0.1", [f"{OWN}, unknown"], "10.0.0.1"),
        ("10.0.0.1", [f"{OWN}, unknown, 10.0.0.2"], "10.0.0.2"),
        ("10.0.0.1", [""], "10.0.0.1"),
        ("10.0.0.1", [f"{OWN}, "], "10.0.0.1"),
        ("10.0.0.1", [f"{OWN}:4711"], OWN),
        ("::ffff:10.0.0.1", [f"::ffff:{OWN}"], OWN),
        ("fd00::1", ["2001:db8:1:2:3:4:5:6"], "2001:db8:1:2::/64"),
        ("fd00::1", ["[2001:db8:1:2::9]:4711"], "2001:db8:1:2::/64"),
        ("fd00::2", [OWN], "fd00::/64"),
        ("2001:db8:1:2::7", [], "2001:db8:1:2::/64"),
        ("", [OWN], ""),
    ],
)
def test_the_client_is_the_first_that_no_trusted_proxy_is(peer: str, headers: list[str], expected: str) -> None:
    assert client(peer, *headers) == expected


async def faults(site: Site, forwarded: str) -> int:
    """The answer to a malformed record from this address."""
    bad: dict[str, Any] = {"record": "x"}
    status, _, _ = await site.ask("POST", "/api/v1/records", json=bad, headers={"X-Forwarded-For": forwarded})
    return status


async def test_behind_a_proxy_each_client_has_limits_of_his_own(tmp_path: Path) -> None:
    async with running_site(tmp_path, trusted_proxies=("127.0.0.1",)) as site:
        assert {await faults(site, f"198.51.100.{number}, {OWN}") for number in range(FAULTS.most)} == {400}
        assert await faults(site, OWN) == 429
        assert await faults(site, "198.51.100.1") == 400


async def test_without_a_trusted_proxy_the_header_changes_nothing(tmp_path: Path) -> None:
    async with running_site(tmp_path) as site:
        assert {await faults(site, f"198.51.100.{number % 250}") for number in range(FAULTS.most)} == {400}
        assert await faults(site, "198.51.100.251") == 429
