"""The verifier's own books of points: they agree with the server's rules, and name the entry that cannot be."""

from __future__ import annotations

import random
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.domain.points import Account
from server.record.canonical import Malformed, decode, digest, encode
from tests.domain.world import World
from tests.scripts.test_verify import put_somewhere
from tests.scripts.test_verify_ballots import voted
from tests.scripts.verified import (
    Change,
    by_author,
    examine,
    lie,
    payload_of,
    places,
    said,
    with_body,
    with_kind,
    with_whole_body,
)

MINUTE_MS = 60_000


@cache
def neighbourhood() -> World:
    """Residents li and zhou, a shop, and staff who grant points."""
    world = World()
    world.publish_roll()
    for name in ("li", "zhou"):
        world.bind(name)
    world.grant("shop", "merchant", "owners")
    world.grant("staff", "staff", "property")
    return world


def grant(world: World, member: str, amount: int, activity: str = "sorting") -> str:
    body = {"activity": activity, "amount": amount, "member": member, "programme": "green", "reason": "垃圾分类"}
    return world.record("staff", "points.grant", body)


def offer(world: World, code: str, amount: int, life_ms: int = 5 * MINUTE_MS) -> str:
    body = {"amount": amount, "code_hash": digest(code.encode()), "due_ms": world.time_ms + life_ms}
    return world.record("shop", "offer.make", body)


def redeem(world: World, member: str, code: str, amount: int) -> str:
    return world.record(member, "points.redeem", {"amount": amount, "offer": digest(code.encode()), "shop": "shop"})


def undo(world: World, member: str, code: str) -> str:
    return world.record("shop", "redemption.undo", {"member": member, "offer": digest(code.encode())})


def history() -> World:
    """Grants, three payments, one undone in the last moment, and refusals of each sort."""
    world = neighbourhood().copy()
    world.block(grant(world, "li", 100), grant(world, "zhou", 30), grant(world, "li", 100))
    world.block(grant(world, "nobody", 5), grant(world, "zhou", 10_001, "much"))
    world.block(offer(world, "bread", 40), offer(world, "rice", 20), offer(world, "tea", 90))
    world.block(offer(world, "long", 1, 20 * MINUTE_MS), offer(world, "bread", 40))
    world.block(redeem(world, "li", "bread", 40), redeem(world, "zhou", "bread", 40), redeem(world, "zhou", "rice", 20))
    world.block(redeem(world, "li", "tea", 90), redeem(world, "li", "tea", 80), redeem(world, "li", "salt", 1))
    world.block(undo(world, "zhou", "bread"), undo(world, "li", "bread"), after_ms=9 * MINUTE_MS)
    world.block(undo(world, "li", "bread"), undo(world, "zhou", "rice"), after_ms=2 * MINUTE_MS)
    world.block(redeem(world, "zhou", "tea", 90))
    return world


def test_honest_books_balance_and_say_who_has_what() -> None:
    report = examine(history().entries)
    assert report.exit_code() == 0, "\n".join(report.lines())
    assert "130 points issued = 110 with members + 20 with merchants" in said(report, "books")


def swap(place: int, **changes: object) -> Change:
    return lambda entries: [*entries[:place], with_body(entries[place], **changes), *entries[place + 1 :]]


def outcome(place: int, text: str) -> Change:
    return lambda entries: [*entries[:place], entries[place] | {"outcome": text}, *entries[place + 1 :]]


def doubled(place: int) -> Change:
    return lambda entries: [*entries[: place + 1], *entries[place:]]


def without(place: int) -> Change:
    return lambda entries: entries[:place] + entries[place + 1 :]


def test_every_lie_in_the_books_is_found_and_its_entry_named() -> None:
    honest = history().entries
    grants, redemptions = places(honest, "points.grant"), places(honest, "points.redeem")
    [undone] = places(honest, "redemption.undo")
    [late] = places(honest, "redemption.undo", "undo_too_late")
    [broke] = places(honest, "points.redeem", "balance_too_low")
    again = places(honest, "points.grant", "already_granted")[0]
    offers = places(honest, "offer.make")
    [nobody] = places(honest, "points.grant", "member_not_found")
    lies = {
        "a redemption doubled": (doubled(redemptions[0]), redemptions[0] + 1, "offer_already_redeemed"),
        "a grant doubled": (doubled(grants[0]), grants[0] + 1, "already_granted"),
        "an undo doubled": (doubled(undone), undone + 1, "already_undone"),
        "an undo too late": (outcome(late, "accepted"), late, "undo_too_late"),
        "a reward twice": (outcome(again, "accepted"), again, "already_granted"),
        "a payment without the points": (outcome(broke, "accepted"), broke, "balance_too_low"),
        "a payment of another amount": (swap(redemptions[0], amount=39), redemptions[0], "amount_differs"),
        "a grant above the cap": (swap(grants[0], amount=10_001), grants[0], "over_grant_cap"),
        "a grant of nothing": (swap(grants[0], amount=0), grants[0], "an amount of 0 points"),
        "a grant smaller than what was spent": (swap(grants[1], amount=19), redemptions[1], "balance_too_low"),
        "a payment without its offer": (
            without(offers[0]),
            places(honest, "offer.make", "offer_exists")[0] - 1,
            "the books say accepted",
        ),
        "a grant to nobody": (outcome(nobody, "accepted"), nobody, "member_not_found"),
        "a grant refused as to nobody": (outcome(grants[0], "member_not_found"), grants[0], "the books say accepted"),
        "a payment refused without cause": (outcome(redemptions[0], "balance_too_low"), redemptions[0], "accepted"),
        "a payment refused for another cause": (outcome(broke, "offer_expired"), broke, "balance_too_low"),
        "an offer over before it is paid": (swap(offers[0], due_ms=1), offers[0], "offer_expired"),
        "a body of another form": (swap(grants[0], amount="100"), grants[0], "another type"),
    }
    for name, (change, place, word) in lies.items():
        report = examine(lie(honest, change))
        line = said(report, "books")
        assert line.startswith("FAILED"), name
        assert f"entry {place}: " in line and word in line, (name, line)
        assert report.exit_code(["books"]) == 1


def test_points_out_of_nothing_are_found() -> None:
    """Who grants without the role, and who redeems for a member without a grant."""
    honest = history().entries
    place = places(honest, "points.grant")[0]
    report = examine(lie(honest, lambda all_: [*all_[:place], by_author(all_[place], "zhou"), *all_[place + 1 :]]))
    assert f"entry {place}: points.grant accepted: zhou does not hold committee or staff" in said(report, "roles")
    assert report.exit_code(["roles"]) == 1
    report = examine(lie(honest, without(place)))
    assert said(report, "books").startswith("FAILED")


def test_a_role_refused_to_its_holder_is_found() -> None:
    honest = history().entries
    place = places(honest, "points.grant")[0]
    report = examine(lie(honest, outcome(place, "role_missing")))
    assert f"entry {place}: points.grant role_missing: staff holds committee or staff" in said(report, "roles")


def test_movements_of_kinds_that_are_not_known_are_not_checked_and_said_so() -> None:
    honest = history().entries
    place = places(honest, "points.grant")[0]

    report = examine(lie(honest, lambda all_: [*all_[:place], with_kind(all_[place], "transfer.make")]))
    assert said(report, "books").startswith("NOT CHECKED")
    assert "1 of transfer.make" in said(report, "books")


@pytest.mark.parametrize("seed", range(8))
def test_books_agree_with_the_rules_of_the_server_on_any_history(seed: int) -> None:
    """Random records, most of them refused: every outcome and the balances are those of the server's rules."""
    chance = random.Random(seed)
    world = neighbourhood().copy()
    codes = [f"code {number}" for number in range(4)]
    for _ in range(25):
        records = []
        for _ in range(chance.randint(1, 4)):
            member, code, amount = chance.choice(["li", "zhou", "shop"]), chance.choice(codes), chance.choice([5, 8])
            make = chance.choice(
                [
                    lambda m=member, a=amount: grant(world, m, a, chance.choice("abcdefgh")),
                    lambda c=code, a=amount: offer(
                        world, c, a, chance.choice([MINUTE_MS, 14 * MINUTE_MS, 16 * MINUTE_MS])
                    ),
                    lambda m=member, c=code, a=amount: redeem(world, m, c, a),
                    lambda m=member, c=code, a=amount: redeem(world, m, c, a),
                    lambda m=member, c=code: undo(world, m, c),
                ]
            )
            records.append(make())
        world.block(*records, after_ms=chance.choice([1_000, MINUTE_MS, 4 * MINUTE_MS]))
    report = examine(world.entries)
    assert report.exit_code() == 0, "\n".join(report.lines())
    held = dict.fromkeys(("issuer", "member", "merchant"), 0)
    for account in world.all(Account):
        held[account.id.partition("/")[0]] += account.balance
    expected = f"{-held['issuer']} points issued = {held['member']} with members + {held['merchant']} with merchants"
    assert expected in said(report, "books")


@given(st.data())
@settings(max_examples=80, deadline=None)
def test_no_body_of_points_or_votes_breaks_the_verifier(chance: st.DataObject) -> None:
    """Whatever a record or a tally says, and whatever its outcome is, there is an answer."""
    world = history().entries if chance.draw(st.booleans()) else voted().entries
    entry = decode(world[chance.draw(st.integers(0, len(world) - 1))])
    place = entry["index"]
    if "record" in entry:
        entry = with_whole_body(entry, put_somewhere(payload_of(entry)["body"], chance))
        entry["outcome"] = chance.draw(st.sampled_from(["accepted", "role_missing", "not_on_roll", "balance_too_low"]))
    else:
        entry["system"]["body"] = put_somewhere(entry["system"]["body"], chance)
    try:
        changed = [*world[:place], encode(entry), *world[place + 1 :]]
    except Malformed:
        return
    assert examine(changed).exit_code() in (0, 1, 2)
