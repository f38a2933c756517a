from __future__ import annotations

import pytest

from tests.api.running import Site

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_accepted_record_is_answered_with_its_receipt(site: Site) -> None:
    resident = await site.bind("m-1")
    answer = await resident.do(
        "ticket.report",
        {
            "category": "lighting",
            "contact": resident.seal(""),
            "home": False,
            "photos": [],
            "place": resident.seal("大堂"),
            "text": resident.seal("灯坏了"),
        },
    )
    assert answer["outcome"] == "accepted"
    assert answer["receipt"].startswith("c2sp.org/tlog-proof@v1")
