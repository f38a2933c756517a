"""A roster is looked at, signed for and only then used; a bad line stops all of it (decisions 13)."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest

from server.domain.roll import Roll
from tests.api.running import Site

pytestmark = pytest.mark.asyncio(loop_scope="module")
HEAD = "幢号,室号,业主姓名,证件类型,证件号码,手机号,建筑面积,产权份额\n"
WANG = "1,101,王小明,身份证,11010519491231002X,13800000001,80.00,1\n"
LI = "1,102,李娜,身份证,440524188001010014,13800000002,90.00,1\n"
BAD = "1,103,赵六,身份证,440524188001010015,13800000003,100.00,1\n"


async def preview(site: Site, text: str) -> tuple[int, Any]:
    headers = {"Authorization": f"Bearer {site.officer.tokens[site.url]}"}
    form = aiohttp.FormData()
    form.add_field("file", text.encode(), filename="roster.csv")
    status, _, answer = await site.ask("POST", "/api/v1/roll/preview", data=form, headers=headers)
    return status, answer


async def apply(site: Site, import_id: str) -> Any:
    return await site.officer.call("POST", "/api/v1/roll/apply", json={"import_id": import_id})


async def test_roster_comes_into_use_once_its_roll_is_in_force(site: Site) -> None:
    status, seen = await preview(site, HEAD + WANG + LI)
    assert (status, seen["good_lines"], seen["homes"], seen["owners"], seen["heads"]) == (200, 2, 2, 2, 2)
    assert (seen["total_area"], seen["difference"]) == ("170.00", {"added": 2})
    assert await site.node.people.heads() == []
    unsigned = await apply(site, seen["import_id"])
    assert [record["kind"] for record in unsigned["records"]] == ["roll.publish"]
    assert await site.node.people.heads() == []
    for record in unsigned["records"]:
        await site.officer.do(record["kind"], record["body"])
    roll = await site.node.queries.get(Roll, unsigned["roll"])
    assert roll is not None
    assert (roll.in_force, roll.root, roll.heads) == (True, seen["root"], 2)
    async with asyncio.timeout(5):
        while not await site.node.people.heads():
            await asyncio.sleep(0.02)
    assert (await apply(site, seen["import_id"]))["state"] == "in_force"
    status, again = await preview(site, HEAD + WANG)
    assert again["difference"] == {"removed": 1}
    assert [(one["change"], one["room"]) for one in again["differences"]] == [("removed", "1-102")]


async def test_roster_with_a_bad_line_cannot_be_applied(site: Site) -> None:
    status, seen = await preview(site, HEAD + WANG + BAD)
    assert (status, seen["good_lines"], [bad["line"] for bad in seen["bad_lines"]]) == (200, 1, [3])
    assert seen["bad_lines"][0]["reason"]
    assert (seen["import_id"], seen["root"]) == ("", "")


async def test_unknown_import_is_a_404(site: Site) -> None:
    headers = {"Authorization": f"Bearer {site.officer.tokens[site.url]}"}
    body = {"import_id": "0" * 32}
    status, _, problem = await site.ask("POST", "/api/v1/roll/apply", json=body, headers=headers)
    assert (status, problem["code"]) == (404, "import_unknown")


@pytest.mark.parametrize("text", ["", "hello", "a,b,c\n1,2,3\n", "PK\x03\x04 not a sheet"])
async def test_file_that_is_no_roster_is_refused_with_its_reason(site: Site, text: str) -> None:
    status, problem = await preview(site, text)
    assert (status, problem["code"]) == (400, "roster_unreadable")
    assert "(" in problem["detail"]


async def test_rolls_in_force_are_listed_newest_first(site: Site) -> None:
    older = await site.enrol((10_000, ("r-one",)))
    newer = await site.enrol((10_000, ("r-one",)), (5_000, ("r-two",)))
    _, _, answer = await site.ask("GET", "/api/v1/rolls")
    listed = [roll["id"] for roll in answer["items"]]
    assert listed.index(newer) < listed.index(older)
    [shown] = [roll for roll in answer["items"] if roll["id"] == newer]
    assert (shown["heads"], shown["area_cm2"]) == (2, 15_000)


async def test_standing_says_what_is_in_force_what_waits_and_whose_copy_is_used(site: Site) -> None:
    _, seen = await preview(site, HEAD + LI)
    unsigned = await apply(site, seen["import_id"])
    before = await site.officer.call("GET", "/api/v1/roll/standing")
    assert (before["staged"], before["approvals"]) == (unsigned["roll"], 1)
    for record in unsigned["records"]:
        await site.officer.do(record["kind"], record["body"])
    async with asyncio.timeout(5):
        while (standing := await site.officer.call("GET", "/api/v1/roll/standing"))["staged"]:
            await asyncio.sleep(0.02)
    assert (standing["in_use"], standing["in_force"]["id"], standing["waiting"]) == (
        unsigned["roll"],
        unsigned["roll"],
        [],
    )
    assert (standing["in_force"]["heads"], standing["in_force"]["area_cm2"]) == (1, 900_000)


async def test_roster_with_new_numbers_alone_is_in_use_at_once(site: Site) -> None:
    _, seen = await preview(site, HEAD + WANG)
    for record in (await apply(site, seen["import_id"]))["records"]:
        await site.officer.do(record["kind"], record["body"])
    async with asyncio.timeout(5):
        while await site.node.people.staged() is not None:
            await asyncio.sleep(0.02)
    _, again = await preview(site, HEAD + WANG.replace("13800000001", "13800000009"))
    assert (again["difference"], again["differences"][0]["fields"]) == ({"changed": 1}, ["phone"])
    unsigned = await apply(site, again["import_id"])
    assert (unsigned["state"], unsigned["records"]) == ("in_force", [])
    assert await site.node.people.member_of_phone("13800000009") is not None
    assert await site.node.people.member_of_phone("13800000001") is None


async def test_reasons_come_in_the_readers_language(site: Site) -> None:
    headers = {"Authorization": f"Bearer {site.officer.tokens[site.url]}", "Accept-Language": "en"}
    form = aiohttp.FormData()
    form.add_field("file", (HEAD + WANG + BAD).encode(), filename="roster.csv")
    _, _, seen = await site.ask("POST", "/api/v1/roll/preview", data=form, headers=headers)
    assert seen["bad_lines"] == [{"line": 3, "reason": "the check digit of the document number is wrong"}]
    form = aiohttp.FormData()
    form.add_field("file", b"hello", filename="roster.csv")
    _, _, problem = await site.ask("POST", "/api/v1/roll/preview", data=form, headers=headers)
    assert problem["detail"].startswith("This roster cannot be read. (no header row")
