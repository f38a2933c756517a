"""The books of points, kept anew from the log's records: double entry, every movement possible, the sum always 0.

Written from the rules of points (an activity rewards a member once, a code is paid once before it expires, an undo
comes once and within ten minutes), not from the server's code. Who may sign what is the check `roles`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from verifier.encoding import Rejected
from verifier.offices import Offices
from verifier.record import ACCEPTED, Record
from verifier.report import Result
from verifier.seen import COMMON_REFUSALS, Seen

NOUNS = frozenset({"account", "coupon", "offer", "payment", "points", "redemption", "settlement", "transfer"})
"""A kind that begins so moves points; one that is not known here makes the books NOT CHECKED."""
GRANT_MAX = 10_000
AMOUNT_MAX = 10**9
OFFER_LIFE_MS_MAX = 15 * 60_000
UNDO_MS_MAX = 10 * 60_000
ISSUER, MEMBER, MERCHANT = "issuer", "member", "merchant"


@dataclass
class Offer:
    """Mutable. A one-time code; `index` is that of the entry that changed it last."""

    shop: str
    amount: int
    due_ms: int
    index: int
    payer: str = ""
    paid_ms: int = 0
    is_undone: bool = False


class Books:
    """Every record of points had the outcome that the books give, and no balance but an issuer's falls below 0."""

    def __init__(self, offices: Offices) -> None:
        self._offices = offices
        self._debits: Counter[str] = Counter()
        self._credits: Counter[str] = Counter()
        self._granted: dict[tuple[str, str], int] = {}
        self._offers: dict[str, Offer] = {}
        self._rules = {
            "points.grant": self._grant,
            "offer.make": self._offer,
            "points.redeem": self._redeem,
            "redemption.undo": self._undo,
        }
        self._records = self._movements = 0
        self._unknown: Counter[str] = Counter()

    def see(self, seen: Seen) -> None:
        """Look at the next entry."""
        record, outcome = seen.record, seen.entry.outcome
        if record is None or record.kind.partition(".")[0] not in NOUNS:
            return
        rule = self._rules.get(record.kind)
        if rule is None:
            self._unknown[record.kind] += 1
            return
        self._records += 1
        if outcome not in COMMON_REFUSALS:
            rule(seen, record)

    def conclude(self) -> tuple[Result, str]:
        """The result at the end."""
        if self._debits.total() != self._credits.total():
            raise Rejected("log", f"{self._debits.total()} points went out, {self._credits.total()} came in")
        said = f"{self._records} records, {self._movements} movements; {self._balances()}"
        if self._unknown:
            kinds = ", ".join(f"{count} of {kind}" for kind, count in sorted(self._unknown.items()))
            return Result.NOT_CHECKED, f"{said}. NOT CHECKED: records of kinds that this program does not know: {kinds}"
        return Result.OK, said if self._records else "no records of points in this log"

    def _balances(self) -> str:
        """What issuers have given out and who has it: as much, or the sum would not be 0."""
        held = Counter({ISSUER: 0, MEMBER: 0, MERCHANT: 0})
        for account in self._debits.keys() | self._credits.keys():
            held[account.partition("/")[0]] += self._balance(account)
        return f"{-held[ISSUER]} points issued = {held[MEMBER]} with members + {held[MERCHANT]} with merchants"

    def _balance(self, account: str) -> int:
        return self._credits[account] - self._debits[account]

    def _move(self, seen: Seen, debit: str, credit: str, amount: int) -> None:
        self._debits[debit] += amount
        self._credits[credit] += amount
        self._movements += 1
        if self._balance(debit) < 0 and not debit.startswith(f"{ISSUER}/"):
            raise seen.reject(f"the account {debit} falls to {self._balance(debit)}")

    def _grant(self, seen: Seen, record: Record) -> None:
        body = seen.body("activity member programme reason", "amount")
        name, amount = (body["activity"], body["member"]), _amount(seen, body["amount"])
        earlier = self._granted.get(name)
        if record.author == body["member"]:
            due, why = "self_grant", "a grant to its own author"
        elif earlier is not None:
            due, why = "already_granted", f"entry {earlier} rewarded {name[1]} for {name[0]} before"
        elif not self._offices.knows(body["member"]):
            due, why = "member_not_found", f"nobody has bound a key for {body['member']} or put him on a roll"
        else:
            due, why = (ACCEPTED, "") if amount <= GRANT_MAX else ("over_grant_cap", f"more than {GRANT_MAX} points")
        _compare(seen, due, why)
        if due == ACCEPTED:
            self._granted[name] = seen.entry.index
            self._move(seen, f"{ISSUER}/{body['programme']}", f"{MEMBER}/{body['member']}", amount)

    def _offer(self, seen: Seen, record: Record) -> None:
        body = seen.body("code_hash", "amount due_ms")
        name, now_ms, due_ms = body["code_hash"], seen.entry.time_ms, body["due_ms"]
        if due_ms > now_ms + OFFER_LIFE_MS_MAX:
            due, why = "offer_too_long", "it lives longer than 15 minutes"
        elif due_ms <= now_ms:
            due, why = "offer_expired", f"it was over at {due_ms} ms"
        elif name in self._offers:
            due, why = "offer_exists", f"the code is that of entry {self._offers[name].index}"
        else:
            due, why = ACCEPTED, ""
        _compare(seen, due, why)
        if due == ACCEPTED:
            self._offers[name] = Offer(record.author, _amount(seen, body["amount"]), due_ms, seen.entry.index)

    def _redeem(self, seen: Seen, record: Record) -> None:
        body = seen.body("offer shop", "amount")
        offer, amount = self._offers.get(body["offer"]), _amount(seen, body["amount"])
        payer = f"{MEMBER}/{record.author}"
        due, why = _judge_redemption(offer, seen, record, body["shop"], amount)
        if due == ACCEPTED and self._balance(payer) < amount:
            due, why = "balance_too_low", f"{payer} has {self._balance(payer)} of {amount}"
        _compare(seen, due, why)
        if due == ACCEPTED and offer is not None:
            offer.payer, offer.paid_ms, offer.index = record.author, seen.entry.time_ms, seen.entry.index
            self._move(seen, payer, f"{MERCHANT}/{offer.shop}", amount)

    def _undo(self, seen: Seen, record: Record) -> None:
        body = seen.body("member offer")
        offer, merchant = self._offers.get(body["offer"]), f"{MERCHANT}/{record.author}"
        due, why = _judge_undo(offer, seen, record, body["member"])
        if due == ACCEPTED and offer is not None and self._balance(merchant) < offer.amount:
            due, why = "balance_too_low", f"{merchant} has {self._balance(merchant)} of {offer.amount}"
        _compare(seen, due, why)
        if due == ACCEPTED and offer is not None:
            offer.is_undone, offer.index = True, seen.entry.index
            self._move(seen, merchant, f"{MEMBER}/{offer.payer}", offer.amount)


def _judge_redemption(offer: Offer | None, seen: Seen, record: Record, shop: str, amount: int) -> tuple[str, str]:
    if offer is None or offer.shop != shop:
        return "offer_not_found", "the shop made no such offer"
    if seen.entry.time_ms >= offer.due_ms:
        return "offer_expired", f"the offer was over at {offer.due_ms} ms"
    if offer.payer:
        return "offer_already_redeemed", f"the offer was paid or undone by entry {offer.index}"
    if offer.amount != amount:
        return "amount_differs", f"the offer is for {offer.amount}"
    return ("self_redemption", "a shop pays itself") if record.author == shop else (ACCEPTED, "")


def _judge_undo(offer: Offer | None, seen: Seen, record: Record, member: str) -> tuple[str, str]:
    if offer is None:
        return "offer_not_found", "there is no such offer"
    if offer.shop != record.author:
        return "not_your_offer", f"the offer is of {offer.shop}"
    if not offer.payer:
        return "not_redeemed", "nobody paid the offer"
    if offer.is_undone:
        return "already_undone", f"entry {offer.index} undid it before"
    if seen.entry.time_ms > offer.paid_ms + UNDO_MS_MAX:
        return "undo_too_late", f"later than 10 minutes after {offer.paid_ms} ms"
    return ("member_differs", f"{offer.payer} paid") if offer.payer != member else (ACCEPTED, "")


def _amount(seen: Seen, amount: int) -> int:
    if not 1 <= amount <= AMOUNT_MAX:
        raise seen.reject(f"an amount of {amount} points")
    return amount


def _compare(seen: Seen, due: str, why: str) -> None:
    if seen.entry.outcome != due:
        raise seen.reject(f"{seen.kind} says {seen.entry.outcome}, the books say {due}{': ' * bool(why)}{why}")
