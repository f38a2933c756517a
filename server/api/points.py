"""Points: a member's wallet, and the merchant's offers that he pays with it. A debit is always a signed record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec

from server.api.call import Call
from server.api.codes import ALIAS_LENGTH, SHOP_LENGTH, Code, CodeOrAlias, alias_of, hash_of
from server.api.errors import Declined
from server.api.limit import ALIASES, count, is_over
from server.api.paging import LIMIT_DEFAULT, Cursor, Limit, Page
from server.api.route import Body, Path, Query, Routes, roles
from server.api.shops import Shop, find_shop
from server.domain.offer import OFFER_LIFE_MS_MAX, OPEN, Offer
from server.domain.points import MEMBER, MERCHANT, Transfer
from server.record.kind import Role
from server.record.shape import Digest, Shape

routes = Routes()
OfferState = Literal["open", "redeemed", "undone", "expired"]


class PointsEntry(msgspec.Struct, frozen=True):
    """A movement as the wallet's owner sees it: positive came in, negative went out.

    `counterpart` is the other account; `shop` the name of the merchant it belongs to, empty when it has none.
    """

    record: str
    kind: str
    amount: int
    at_ms: int
    counterpart: str
    shop: str
    reason: str


class PointsAccount(msgspec.Struct, frozen=True, omit_defaults=True):
    """A wallet; entries newest first."""

    balance: int
    entries: tuple[PointsEntry, ...]
    cursor: str = ""


class OfferView(msgspec.Struct, frozen=True):
    """An offer as the resident sees it before he pays."""

    offer: str
    shop: Shop
    amount: int
    due_ms: int
    state: OfferState


class MerchantOffer(msgspec.Struct, frozen=True):
    """An offer as its merchant sees it."""

    offer: str
    amount: int
    made_ms: int
    due_ms: int
    state: OfferState
    redeemed_ms: int
    redeemed_by: str


class AliasAsked(Shape, frozen=True):
    """The offer's id and the code behind it: who holds the code may have its alias."""

    offer: Digest
    code: Code


class Alias(msgspec.Struct, frozen=True):
    """Eight characters that a person can type."""

    alias: str


@routes.route("GET", "/api/v1/points/account")
async def show_account(
    call: Call, cursor: Annotated[Cursor, Query] = "", limit: Annotated[Limit, Query] = LIMIT_DEFAULT
) -> PointsAccount:
    """The caller's wallet. Merchants see what they took in as well, under `/merchant/offers`."""
    return await _account(call, f"{MEMBER}/{call.caller.member}", cursor, limit)


@routes.route("GET", "/api/v1/merchant/account", access=roles(Role.MERCHANT))
async def show_merchant_account(
    call: Call, cursor: Annotated[Cursor, Query] = "", limit: Annotated[Limit, Query] = LIMIT_DEFAULT
) -> PointsAccount:
    """What the caller's shop has taken in."""
    return await _account(call, f"{MERCHANT}/{call.caller.member}", cursor, limit)


async def _account(call: Call, name: str, cursor: str, limit: int) -> PointsAccount:
    account = await call.node.queries.account(name)
    transfers, following = await call.node.queries.transfers(name, cursor, limit)
    shops = await call.node.people.shop_names({_merchant_of(_other(transfer, name)) for transfer in transfers} - {""})
    return PointsAccount(account.balance, tuple(_entry(transfer, name, shops) for transfer in transfers), following)


def _entry(transfer: Transfer, account: str, shops: Mapping[str, str]) -> PointsEntry:
    amount = transfer.amount if transfer.credit == account else -transfer.amount
    other = _other(transfer, account)
    shop = shops.get(_merchant_of(other), "")
    return PointsEntry(transfer.id, transfer.kind, amount, transfer.at_ms, other, shop, transfer.reason)


def _other(transfer: Transfer, account: str) -> str:
    return transfer.debit if transfer.credit == account else transfer.credit


def _merchant_of(account: str) -> str:
    """The member whose shop the account is; empty for another's."""
    owner, _, member = account.partition("/")
    return member if owner == MERCHANT else ""


@routes.route("GET", "/api/v1/offers/{code}", declines=("offer_unknown", "too_many"))
async def show_offer(call: Call, code: Annotated[CodeOrAlias, Path]) -> OfferView:
    """What a scanned code, or its typed alias, asks for. Five wrong aliases for one shop, then a quarter of an hour."""
    offer = await _find_by_alias(call, code) if len(code) == ALIAS_LENGTH else await _find(call, hash_of(code))
    if offer is None:
        raise Declined("offer_unknown")
    shop = await find_shop(call.node, offer.shop)
    return OfferView(offer.id, shop, offer.amount, offer.due_ms, _state(call, offer))


async def _find(call: Call, offer_id: str) -> Offer | None:
    return await call.node.queries.get(Offer, offer_id)


async def _find_by_alias(call: Call, alias: str) -> Offer | None:
    subject = f"{call.caller.member}/{alias[:SHOP_LENGTH]}"
    if await is_over(call.node, ALIASES, subject):
        raise Declined("too_many", retry_after_s=ALIASES.window_s)
    since_ms = call.node.clock.now_ms() - OFFER_LIFE_MS_MAX
    for offer in await call.node.queries.offers_since(since_ms):
        if alias_of(offer.shop, offer.id) == alias:
            return offer
    await count(call.node, ALIASES, subject)
    return None


def _state(call: Call, offer: Offer) -> OfferState:
    if offer.state == OPEN:
        return "expired" if call.node.clock.now_ms() >= offer.due_ms else "open"
    return "redeemed" if offer.state == "redeemed" else "undone"


@routes.route("POST", "/api/v1/offers/alias", access=roles(Role.MERCHANT), declines=("offer_unknown",))
async def make_alias(call: Call, body: Annotated[AliasAsked, Body]) -> Alias:
    """The typed alias of one's own offer, for a customer whose camera does not read the code."""
    offer = await _find(call, body.offer)
    if offer is None or offer.shop != call.caller.member or hash_of(body.code) != offer.id:
        raise Declined("offer_unknown")
    return Alias(alias_of(offer.shop, offer.id))


@routes.route("GET", "/api/v1/merchant/offers", access=roles(Role.MERCHANT))
async def list_offers(
    call: Call, cursor: Annotated[Cursor, Query] = "", limit: Annotated[Limit, Query] = LIMIT_DEFAULT
) -> Page[MerchantOffer]:
    """The caller's offers, newest first."""
    offers, following = await call.node.queries.offers(call.caller.member, cursor, limit)
    return Page([_merchant_offer(call, offer) for offer in offers], following)


def _merchant_offer(call: Call, offer: Offer) -> MerchantOffer:
    return MerchantOffer(
        offer.id,
        offer.amount,
        offer.made_ms,
        offer.due_ms,
        _state(call, offer),
        offer.redeemed_ms,
        offer.redeemed_by,
    )
