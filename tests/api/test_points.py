"""Wallets and offers: what came in, what went out, and codes that are found by scanning or by typing."""

from __future__ import annotations

import pytest

from client import Person
from server.api.codes import ALPHABET, CODE_LENGTH, alias_of, hash_of
from tests.api.running import Site

pytestmark = pytest.mark.asyncio(loop_scope="module")


def code(number: int) -> str:
    return ALPHABET[number] * CODE_LENGTH


async def merchant(site: Site, member: str) -> Person:
    person = await site.bind(member)
    await site.grant(member, "merchant")
    return person


async def rich(site: Site, member: str, amount: int) -> Person:
    """A resident with points."""
    await site.enrol((10_000, (member,)))
    person = await site.bind(member)
    roles = (await site.officer.call("GET", "/api/v1/session"))["roles"]
    if "staff@street" not in roles:
        await site.grant(site.officer.member, "staff")
    body = {"activity": f"act-{member}", "amount": amount, "member": member, "programme": "green", "reason": "垃圾分类"}
    await site.officer.do("points.grant", body)
    return person


async def offer(site: Site, shop: Person, secret: str, amount: int) -> str:
    body = {"amount": amount, "code_hash": hash_of(secret), "due_ms": site.node.clock.now_ms() + 120_000}
    await shop.do("offer.make", body)
    return hash_of(secret)


async def test_payment_shows_in_both_accounts_and_on_the_offer(site: Site) -> None:
    shop, buyer = await merchant(site, "p-shop"), await rich(site, "p-buyer", 50)
    name = await offer(site, shop, code(1), 20)
    seen = await buyer.call("GET", f"/api/v1/offers/{code(1)}")
    assert (seen["offer"], seen["amount"], seen["shop"], seen["state"]) == (
        name,
        20,
        {"id": "p-shop", "name": ""},
        "open",
    )
    await buyer.do("points.redeem", {"amount": 20, "offer": name, "shop": "p-shop"})
    account = await buyer.call("GET", "/api/v1/points/account")
    assert account["balance"] == 30
    assert [(entry["kind"], entry["amount"], entry["reason"]) for entry in account["entries"]] == [
        ("points.redeem", -20, ""),
        ("points.grant", 50, "垃圾分类"),
    ]
    assert (await shop.call("GET", "/api/v1/merchant/account"))["balance"] == 20
    [mine] = (await shop.call("GET", "/api/v1/merchant/offers"))["items"]
    assert (mine["offer"], mine["state"], mine["redeemed_by"]) == (name, "redeemed", "p-buyer")


async def test_typed_alias_finds_the_same_offer(site: Site) -> None:
    shop, buyer = await merchant(site, "p-alias"), await site.bind("p-typist")
    name = await offer(site, shop, code(2), 7)
    alias = (await shop.call("POST", "/api/v1/offers/alias", json={"offer": name, "code": code(2)}))["alias"]
    assert (len(alias), alias) == (8, alias_of("p-alias", name))
    assert (await buyer.call("GET", f"/api/v1/offers/{alias}"))["offer"] == name


async def test_alias_needs_the_code_and_the_shop(site: Site) -> None:
    shop, rival = await merchant(site, "p-own"), await merchant(site, "p-rival")
    name = await offer(site, shop, code(3), 7)
    for person, secret in ((rival, code(3)), (shop, code(4))):
        headers = {"Authorization": f"Bearer {person.tokens[site.url]}"}
        body = {"offer": name, "code": secret}
        status, _, problem = await site.ask("POST", "/api/v1/offers/alias", json=body, headers=headers)
        assert (status, problem["code"]) == (404, "offer_unknown")


async def test_five_wrong_aliases_of_one_shop_are_enough(site: Site) -> None:
    guesser = await site.bind("p-guess")
    headers = {"Authorization": f"Bearer {guesser.tokens[site.url]}"}
    statuses = [(await site.ask("GET", f"/api/v1/offers/000AAAA{sign}", headers=headers))[0] for sign in "1234567"]
    assert statuses == [404] * 5 + [429] * 2
    assert (await site.ask("GET", "/api/v1/offers/111AAAA1", headers=headers))[0] == 404


async def test_wallet_is_paged(site: Site) -> None:
    shop, buyer = await merchant(site, "p-page-shop"), await rich(site, "p-page", 50)
    for number in range(5, 8):
        name = await offer(site, shop, code(number), 1)
        await buyer.do("points.redeem", {"amount": 1, "offer": name, "shop": "p-page-shop"})
    first = await buyer.call("GET", "/api/v1/points/account?limit=3")
    rest = await buyer.call("GET", f"/api/v1/points/account?limit=3&cursor={first['cursor']}")
    assert [entry["amount"] for entry in first["entries"] + rest["entries"]] == [-1, -1, -1, 50]
    assert "cursor" not in rest
