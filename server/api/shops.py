"""Shops: the name under which a merchant is shown, so that who pays knows whom.

The role of a merchant stands on the ledger; his name does not. Each organisation gives it in its own directory, by its
own officer, as it keeps its own copy of the roll: no merchant chooses under whose name he takes points.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
import structlog
from msgspec import Meta

from server.api.call import Call
from server.api.errors import Declined
from server.api.needs import NodeService
from server.api.paging import LIMIT_DEFAULT, Cursor, Limit, Page
from server.api.route import OWN_OFFICER, Body, Query, Routes, roles
from server.domain.member import Member
from server.record.canonical import Malformed
from server.record.kind import Role
from server.record.shape import LINE, MemberId, Shape

routes = Routes()
log = structlog.get_logger()
ShopName = Annotated[str, Meta(pattern=LINE + r"{1,30}$(?!\n)", description="What stands over the shop's door")]


class Shop(msgspec.Struct, frozen=True):
    """A merchant, as the organisation that was asked names him; empty where it has not named him."""

    id: str
    name: str


class ShopListed(msgspec.Struct, frozen=True):
    """A merchant as an officer sees him; `keeper` is empty where this organisation's copy does not know the person."""

    id: str
    name: str
    keeper: str


class ShopNamed(Shape, frozen=True):
    """A merchant and the name of his shop."""

    shop: MemberId
    name: ShopName


async def find_shop(node: NodeService, member: str) -> Shop:
    """A merchant by his pseudonym."""
    return Shop(member, await node.people.shop_name(member))


@routes.route("GET", "/api/v1/merchant/shop", access=roles(Role.MERCHANT))
async def show_own_shop(call: Call) -> Shop:
    """The caller's shop as his customers see it."""
    return await find_shop(call.node, call.caller.member)


@routes.route("GET", "/api/v1/shops", access=OWN_OFFICER)
async def list_shops(
    call: Call, cursor: Annotated[Cursor, Query] = "", limit: Annotated[Limit, Query] = LIMIT_DEFAULT
) -> Page[ShopListed]:
    """All merchants, who they are and the names that this organisation gave their shops. For its own officers."""
    merchants = await call.node.queries.members_with_role(Role.MERCHANT.value, after=cursor, limit=limit + 1)
    shown = [member.id for member in merchants[:limit]]
    names, keepers = await call.node.people.shop_names(shown), await call.node.people.people(shown)
    log.info("shops_listed", officer=call.caller.member, shops=len(shown))
    following = shown[-1] if len(merchants) > limit else ""
    keeper_of = {member: person.name for member, person in keepers.items()}
    return Page([ShopListed(one, names.get(one, ""), keeper_of.get(one, "")) for one in shown], following)


@routes.route("POST", "/api/v1/shops", access=OWN_OFFICER, declines=("not_found",))
async def name_shop(call: Call, body: Annotated[ShopNamed, Body]) -> Shop:
    """Name a merchant's shop, or name it anew, for everybody who asks this node. For its own officers."""
    name = body.name.strip()
    if not name:
        raise Malformed("a name of blanks only", "name")
    member = await call.node.queries.get(Member, body.shop)
    if member is None or not any(held.partition("@")[0] == Role.MERCHANT.value for held in member.roles):
        raise Declined("not_found")
    await call.node.people.name_shop(body.shop, name)
    log.info("shop_named", officer=call.caller.member, shop=body.shop)
    return await find_shop(call.node, body.shop)
