"""Points and offers: double entry that sums to zero, one use a code, ten minutes to undo."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from server.domain.offer import OFFER_LIFE_MS_MAX, UNDO_MS_MAX, MakeOffer, Offer, RedeemPoints, UndoRedemption
from server.domain.points import GRANT_POINTS_MAX, Account, GrantPoints, Transfer
from server.limits import SECOND_MS
from server.record.canonical import Malformed, digest
from server.record.rows import Key
from tests.domain.world import World, settled_world

MINUTE_MS = 60 * SECOND_MS
CODE = digest(b"a one-time code")


def grant_body(**changes: Any) -> dict[str, Any]:
    body = {"activity": "clean-up", "amount": 100, "member": "li", "programme": "green", "reason": "楼道清扫"}
    return {**body, **changes}


def offer_body(world: World, **changes: Any) -> dict[str, Any]:
    return {"amount": 60, "code_hash": CODE, "due_ms": world.time_ms + 5 * MINUTE_MS, **changes}


def redeem_body(**changes: Any) -> dict[str, Any]:
    return {"amount": 60, "offer": CODE, "shop": "ma", **changes}


def balance(world: World, account: str) -> int:
    row = world.rows.get(Key(Account.table, account))
    assert isinstance(row, Account)
    return row.balance


@pytest.fixture
def shop(world: World) -> World:
    """Li has a hundred points, Ma offers to take sixty."""
    world.do("sun", "points.grant", grant_body())
    world.do("ma", "offer.make", offer_body(world))
    return world


def test_a_grant_debits_the_programme_and_credits_the_member(world: World) -> None:
    record = world.do("sun", "points.grant", grant_body())
    assert (balance(world, "issuer/green"), balance(world, "member/li")) == (-100, 100)
    transfer = world.get(Transfer, record)
    assert transfer is not None
    assert (transfer.debit, transfer.credit, transfer.amount) == ("issuer/green", "member/li", 100)
    assert (transfer.kind, transfer.reason, transfer.at_ms) == ("points.grant", "楼道清扫", world.time_ms)


def test_granting_refusals_stand_in_their_order(world: World) -> None:
    world.grant("nobody", "staff", "street")
    world.do("qian", "points.grant", grant_body(member="sun"))
    body = grant_body(member="sun", amount=GRANT_POINTS_MAX + 1)
    codes = [
        world.refuse("sun", "points.grant", body),
        world.refuse("qian", "points.grant", body),
        world.refuse("sun", "points.grant", {**body, "member": "stranger"}),
        world.refuse("sun", "points.grant", {**body, "member": "li"}),
    ]
    assert codes == [refusal.value for refusal in GrantPoints.Refusal]
    world.do("sun", "points.grant", grant_body(amount=GRANT_POINTS_MAX))


def test_an_activity_is_rewarded_once_a_member_whatever_the_programme(world: World) -> None:
    world.do("sun", "points.grant", grant_body())
    again = grant_body(programme="other", amount=1)
    assert world.refuse("qian", "points.grant", again) == "already_granted"
    world.do("sun", "points.grant", grant_body(member="chen"))
    world.do("sun", "points.grant", grant_body(activity="night-watch"))


@pytest.mark.parametrize("amount", [0, -1, 10**9 + 1, 2**53, 1.5, "100"])
def test_an_amount_that_is_no_number_of_points_is_malformed(world: World, amount: Any) -> None:
    with pytest.raises(Malformed):
        world.block(world.record("sun", "points.grant", grant_body(amount=amount)))


def test_an_offer_lives_a_quarter_of_an_hour_at_most(world: World) -> None:
    at_ms = world.time_ms + 1_000
    for due_ms, outcome in (
        (at_ms + OFFER_LIFE_MS_MAX, "accepted"),
        (at_ms + OFFER_LIFE_MS_MAX + 1, "offer_too_long"),
        (at_ms, "offer_expired"),
    ):
        twin = world.copy()
        assert twin.block(twin.record("ma", "offer.make", offer_body(world, due_ms=due_ms))) == [outcome]


def test_offering_refusals_stand_in_their_order(shop: World) -> None:
    codes = [
        shop.refuse("ma", "offer.make", offer_body(shop, due_ms=shop.time_ms + 2 * OFFER_LIFE_MS_MAX)),
        shop.refuse("ma", "offer.make", offer_body(shop, due_ms=shop.time_ms)),
        shop.refuse("bai", "offer.make", offer_body(shop)),
    ]
    assert codes == [refusal.value for refusal in MakeOffer.Refusal]


def test_redeeming_moves_the_points_once(shop: World) -> None:
    record = shop.do("li", "points.redeem", redeem_body())
    assert (balance(shop, "member/li"), balance(shop, "merchant/ma")) == (40, 60)
    offer = shop.get(Offer, CODE)
    assert offer is not None
    assert (offer.state, offer.redeemed_by, offer.redemption) == ("redeemed", "li", record)
    assert shop.refuse("li", "points.redeem", redeem_body()) == "offer_already_redeemed"


def test_two_phones_redeem_one_code_and_one_of_them_wins(shop: World) -> None:
    shop.do("sun", "points.grant", grant_body(member="chen"))
    both = [shop.record(who, "points.redeem", redeem_body()) for who in ("chen", "li")]
    assert shop.block(*both) == ["accepted", "offer_already_redeemed"]
    assert (balance(shop, "member/li"), balance(shop, "member/chen")) == (100, 40)


def test_the_last_points_are_spent_once(shop: World) -> None:
    other = digest(b"another code")
    shop.do("bai", "offer.make", offer_body(shop, code_hash=other))
    both = [
        shop.record("li", "points.redeem", redeem_body()),
        shop.record("li", "points.redeem", redeem_body(offer=other, shop="bai")),
    ]
    assert shop.block(*both) == ["accepted", "balance_too_low"]


@pytest.mark.parametrize(("amount", "outcome"), [(100, "accepted"), (101, "balance_too_low")])
def test_everything_can_be_spent_and_one_point_more_cannot(shop: World, amount: int, outcome: str) -> None:
    code = digest(b"everything")
    shop.do("bai", "offer.make", offer_body(shop, code_hash=code, amount=amount))
    record = shop.record("li", "points.redeem", redeem_body(offer=code, shop="bai", amount=amount))
    assert shop.block(record) == [outcome]


def test_redeeming_refusals_stand_in_their_order(shop: World) -> None:
    """Every fault at once: an offer of a shop that is the payer's own, over, redeemed, of another amount, too dear."""
    shop.publish_roll("shops", [(("ma",), 1)])
    shop.do("sun", "points.grant", grant_body(activity="more"))
    spent, dear = digest(b"spent"), digest(b"dear")
    shop.do("ma", "offer.make", offer_body(shop, code_hash=spent))
    shop.do("ma", "offer.make", offer_body(shop, code_hash=dear, amount=900))
    shop.do("li", "points.redeem", redeem_body(offer=spent))
    late = {"after_ms": 6 * MINUTE_MS, "made_ms": shop.time_ms + 5 * MINUTE_MS}
    codes = [
        shop.refuse("ma", "points.redeem", redeem_body(offer=digest(b"no offer"), amount=7)),
        shop.copy().refuse("ma", "points.redeem", redeem_body(offer=spent, amount=7), **late),
        shop.refuse("ma", "points.redeem", redeem_body(offer=spent, amount=7)),
        shop.refuse("ma", "points.redeem", redeem_body(offer=dear, amount=7)),
        shop.refuse("ma", "points.redeem", redeem_body(offer=dear, amount=900)),
        shop.refuse("li", "points.redeem", redeem_body(offer=dear, amount=900)),
    ]
    assert codes == [refusal.value for refusal in RedeemPoints.Refusal]


def test_an_offer_is_redeemed_at_its_own_shop(shop: World) -> None:
    assert shop.refuse("li", "points.redeem", redeem_body(shop="bai")) == "offer_not_found"


def test_an_offer_ends_exactly_at_its_due_time(shop: World) -> None:
    offer = shop.get(Offer, CODE)
    assert offer is not None
    for before_ms, outcome in ((1, "accepted"), (0, "offer_expired")):
        twin = shop.copy()
        record = twin.record("li", "points.redeem", redeem_body())
        assert twin.block(record, after_ms=offer.due_ms - before_ms - twin.time_ms) == [outcome]


def test_an_undo_returns_the_points_and_the_code_stays_used(shop: World) -> None:
    shop.do("li", "points.redeem", redeem_body())
    record = shop.do("ma", "redemption.undo", {"member": "li", "offer": CODE})
    assert (balance(shop, "member/li"), balance(shop, "merchant/ma")) == (100, 0)
    offer = shop.get(Offer, CODE)
    assert offer is not None and (offer.state, offer.undo) == ("undone", record)
    assert len(shop.all(Transfer)) == 3
    assert shop.refuse("li", "points.redeem", redeem_body()) == "offer_already_redeemed"


def test_undoing_refusals_stand_in_their_order(shop: World) -> None:
    """Settlement can empty a shop's account; here the row is set as a settlement would leave it."""
    undone = digest(b"undone")
    shop.do("sun", "points.grant", grant_body(activity="more"))
    shop.do("ma", "offer.make", offer_body(shop, code_hash=undone))
    shop.do("li", "points.redeem", redeem_body(offer=undone))
    shop.do("ma", "redemption.undo", {"member": "li", "offer": undone})
    body = {"member": "chen", "offer": digest(b"no offer")}
    codes = [shop.refuse("bai", "redemption.undo", body)]
    body.update(offer=CODE)
    codes.append(shop.refuse("bai", "redemption.undo", body))
    codes.append(shop.refuse("ma", "redemption.undo", body))
    codes.append(shop.refuse("ma", "redemption.undo", {**body, "offer": undone}))
    shop.do("li", "points.redeem", redeem_body())
    late = {"after_ms": UNDO_MS_MAX + 1, "made_ms": shop.time_ms + UNDO_MS_MAX}
    codes.append(shop.copy().refuse("ma", "redemption.undo", body, **late))
    codes.append(shop.refuse("ma", "redemption.undo", body))
    shop.rows[Key(Account.table, "merchant/ma")] = Account("merchant/ma", 59, 118)
    codes.append(shop.refuse("ma", "redemption.undo", {**body, "member": "li"}))
    assert codes == [refusal.value for refusal in UndoRedemption.Refusal]


@pytest.mark.parametrize(("over_ms", "outcome"), [(0, "accepted"), (1, "undo_too_late")])
def test_ten_minutes_are_enough_and_one_millisecond_more_is_not(shop: World, over_ms: int, outcome: str) -> None:
    shop.do("li", "points.redeem", redeem_body())
    after_ms = UNDO_MS_MAX + over_ms
    record = shop.record("ma", "redemption.undo", {"member": "li", "offer": CODE})
    assert shop.block(record, after_ms=after_ms) == [outcome]


@pytest.mark.parametrize(
    ("author", "kind", "body"),
    [
        ("li", "points.grant", grant_body(member="chen")),
        ("ma", "points.grant", grant_body()),
        ("sun", "points.redeem", redeem_body()),
        ("li", "redemption.undo", {"member": "li", "offer": CODE}),
    ],
)
def test_each_hand_has_its_own_role(shop: World, author: str, kind: str, body: dict[str, Any]) -> None:
    assert shop.refuse(author, kind, body) == "role_missing"


MEMBERS = ("li", "chen", "wang")
SHOPS = ("ma", "bai")


class Books(RuleBasedStateMachine):
    """Random grants, offers, redemptions and undos, right and wrong; a plain model keeps its own balances."""

    offers: Bundle[tuple[str, str, int]] = Bundle("offers")

    def __init__(self) -> None:
        super().__init__()
        self.world = settled_world()
        self.balances: dict[str, int] = {}
        self.rewarded: set[tuple[str, str]] = set()
        self.payer: dict[str, str] = {}
        self.undone: set[str] = set()
        self.made = 0

    def move(self, debit: str, credit: str, amount: int) -> None:
        self.balances[debit] = self.balances.get(debit, 0) - amount
        self.balances[credit] = self.balances.get(credit, 0) + amount

    def order(self, author: str, kind: str, body: dict[str, Any]) -> str:
        return self.world.block(self.world.record(author, kind, body), after_ms=10)[0]

    @rule(member=st.sampled_from(MEMBERS), amount=st.integers(1, 300), activity=st.sampled_from("abcdef"))
    def earn(self, member: str, amount: int, activity: str) -> None:
        outcome = self.order("sun", "points.grant", grant_body(member=member, amount=amount, activity=activity))
        assert outcome == ("already_granted" if (activity, member) in self.rewarded else "accepted")
        if outcome == "accepted":
            self.rewarded.add((activity, member))
            self.move("issuer/green", f"member/{member}", amount)

    @rule(target=offers, shop=st.sampled_from(SHOPS), amount=st.integers(1, 200))
    def offer(self, shop: str, amount: int) -> tuple[str, str, int]:
        self.made += 1
        code = digest(f"code {self.made}".encode())
        assert self.order(shop, "offer.make", offer_body(self.world, code_hash=code, amount=amount)) == "accepted"
        return code, shop, amount

    @rule(offer=offers, member=st.sampled_from(MEMBERS))
    def redeem(self, offer: tuple[str, str, int], member: str) -> None:
        code, shop, amount = offer
        outcome = self.order(member, "points.redeem", redeem_body(offer=code, shop=shop, amount=amount))
        if code in self.payer:
            assert outcome == "offer_already_redeemed"
        elif self.balances.get(f"member/{member}", 0) < amount:
            assert outcome == "balance_too_low"
        else:
            assert outcome == "accepted"
            self.payer[code] = member
            self.move(f"member/{member}", f"merchant/{shop}", amount)

    @rule(offer=offers, member=st.sampled_from(MEMBERS))
    def undo(self, offer: tuple[str, str, int], member: str) -> None:
        code, shop, amount = offer
        outcome = self.order(shop, "redemption.undo", {"member": member, "offer": code})
        if code not in self.payer:
            assert outcome == "not_redeemed"
        elif code in self.undone:
            assert outcome == "already_undone"
        elif self.payer[code] != member:
            assert outcome == "member_differs"
        else:
            assert outcome == "accepted"
            self.undone.add(code)
            self.move(f"merchant/{shop}", f"member/{member}", amount)

    @invariant()
    def books_balance(self) -> None:
        accounts = {row.id: row for row in self.world.all(Account)}
        assert sum(row.balance for row in accounts.values()) == 0
        assert {name: row.balance for name, row in accounts.items()} == self.balances
        assert all(row.balance >= 0 for name, row in accounts.items() if not name.startswith("issuer/"))
        transfers = self.world.all(Transfer)
        for name, row in accounts.items():
            assert row.debits == sum(one.amount for one in transfers if one.debit == name)
            assert row.credits == sum(one.amount for one in transfers if one.credit == name)


TestBooks = Books.TestCase
TestBooks.settings = settings(max_examples=30, stateful_step_count=30)
