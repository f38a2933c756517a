"""The names of shops: given by an organisation's own officer, seen by who pays, by who paid and by the merchant."""

from __future__ import annotations

from typing import Any

import pytest

from client import Person
from server.api.codes import hash_of
from tests.api.running import Site
from tests.api.test_points import code, merchant, offer, rich

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def ask(site: Site, person: Person, method: str, path: str, **options: Any) -> tuple[int, Any]:
    headers = {"Authorization": f"Bearer {person.tokens[site.url]}"}
    status, _, answer = await site.ask(method, path, headers=headers, **options)
    return status, answer


async def name(site: Site, shop: str, text: str) -> tuple[int, Any]:
    return await ask(site, site.officer, "POST", "/api/v1/shops", json={"shop": shop, "name": text})


async def test_name_is_shown_before_and_after_a_payment_and_to_the_merchant(site: Site) -> None:
    shop, buyer = await merchant(site, "s-shop"), await rich(site, "s-buyer", 50)
    assert await name(site, "s-shop", " 彭浦菜场 ") == (200, {"id": "s-shop", "name": "彭浦菜场"})
    await offer(site, shop, code(20), 20)
    seen = await buyer.call("GET", f"/api/v1/offers/{code(20)}")
    assert seen["shop"] == {"id": "s-shop", "name": "彭浦菜场"}
    assert await shop.call("GET", "/api/v1/merchant/shop") == seen["shop"]
    await buyer.do("points.redeem", {"amount": 20, "offer": hash_of(code(20)), "shop": "s-shop"})
    await shop.do("redemption.undo", {"member": "s-buyer", "offer": hash_of(code(20))})
    entries = (await buyer.call("GET", "/api/v1/points/account"))["entries"]
    assert [(entry["kind"], entry["shop"]) for entry in entries] == [
        ("redemption.undo", "彭浦菜场"),
        ("points.redeem", "彭浦菜场"),
        ("points.grant", ""),
    ]


async def test_officer_sees_every_merchant_and_may_name_one_anew(site: Site) -> None:
    await merchant(site, "s-first")
    await merchant(site, "s-second")
    await name(site, "s-first", "早点铺")
    await name(site, "s-first", "早餐铺")
    first = await site.officer.call("GET", "/api/v1/shops?limit=1")
    second = await site.officer.call("GET", f"/api/v1/shops?cursor={first['cursor']}")
    shops = {one["id"]: one["name"] for one in (*first["items"], *second["items"])}
    assert (shops["s-first"], shops["s-second"]) == ("早餐铺", "")
    assert len(first["items"]) == 1


async def test_officer_reads_whose_shop_it_is_if_his_own_copy_knows_the_person(site: Site) -> None:
    head = "幢号,室号,业主姓名,证件类型,证件号码,手机号,建筑面积,产权份额\n"
    await site.import_roster(head + "1,101,王小明,身份证,11010519491231002X,13800000001,80.00,1\n")
    [owner] = await site.node.people.search("王小明", 1)
    await merchant(site, owner.member)
    await merchant(site, "s-stranger")
    listed = (await site.officer.call("GET", "/api/v1/shops"))["items"]
    keepers = {one["id"]: one["keeper"] for one in listed}
    assert (keepers[owner.member], keepers["s-stranger"]) == ("王小明", "")


async def test_only_an_officer_of_this_organisation_names_a_shop(site: Site) -> None:
    shop = await merchant(site, "s-own")
    status, problem = await ask(site, shop, "POST", "/api/v1/shops", json={"shop": "s-own", "name": "居委会"})
    assert (status, problem["code"]) == (403, "role_needed")
    status, problem = await ask(site, shop, "GET", "/api/v1/shops")
    assert (status, problem["code"]) == (403, "role_needed")


async def test_name_is_a_line_that_fits_a_screen(site: Site) -> None:
    shop = await merchant(site, "s-line")
    for text in ("", "   ", "x" * 31, "a\nb"):
        status, problem = await name(site, "s-line", text)
        assert (status, problem["code"], problem["field"]) == (400, "malformed", "name")
    assert (await shop.call("GET", "/api/v1/merchant/shop"))["name"] == ""


async def test_who_is_no_merchant_has_no_shop(site: Site) -> None:
    await site.bind("s-resident")
    for member in ("s-resident", "nobody"):
        status, problem = await name(site, member, "早餐铺")
        assert (status, problem["code"]) == (404, "not_found")
