"""What operators do: now and then they agree on another membership, one step at a time, and one of them brings it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from random import Random

import msgspec

from server.domain import RULEBOOK
from server.domain.membership import IN_FORCE, EpochInForce
from server.domain.plan import parse_signed
from server.domain.rules import FIRST_VERSION
from server.ledger.genesis import OPERATOR, Organisation
from server.ledger.membership import Change, ChangeKind, Epoch, SignedChange, sign_change
from server.limits import HOUR_MS
from server.record.canonical import b64u_encode
from server.record.rows import key
from tests.simulation.application import Brought, Errand, LedgerState
from tests.simulation.domain_ledger import DomainLedger
from tests.simulation.estate import Neighbourhood, device, organisation_key, organisation_of, signed

JOINERS = ("archive", "district", "owners", "property", "school", "steward", "street")
FEWEST, MOST = 3, 7
HASTY, FORGETFUL = 0.3, 0.15
"""How often a change is brought while another one waits, and how often with a signature too few."""


class Operators:
    """Mutable. All operators of an estate, who trust each other."""

    def __init__(self, home: Neighbourhood, random: Random) -> None:
        self._home, self._random = home, random
        self._numbers = count(1)
        self._left: set[str] = set()
        self.plan: list[ChangeKind] = []
        """The kind of change that ends each epoch; after the last of them whatever can be."""

    def errands(self, number: int, span_ms: int) -> list[Errand]:
        """So many changes, at random moments; most that come while another one waits are dropped."""
        return [Errand(self._random.randint(0, span_ms), self._bring) for _ in range(number)]

    def _bring(self, state: LedgerState, now_ms: int) -> Sequence[Brought]:
        assert isinstance(state, DomainLedger)
        standing = state.get(key(EpochInForce, IN_FORCE))
        assert isinstance(standing, EpochInForce)
        if standing.pending and self._random.random() > HASTY:
            return ()
        change = self._step(standing.epoch)
        offered = SignedChange(change=change, signatures=())
        for member in change.members[self._random.random() < FORGETFUL :]:
            signer = organisation_key(member.id, OPERATOR)
            offered = sign_change(signer, member.id, self._home.trust.cluster_id, offered)
        number = 2**100 + next(self._numbers)
        officer = f"officer-{self._home.organisations[0]}"
        body = msgspec.to_builtins(offered)
        jws = signed(device(officer), officer, self._home.estate, "members.change", body, now_ms, number)
        work = parse_signed(jws, self._home.estate, RULEBOOK.find(FIRST_VERSION))
        return (Brought(work.signed.id, jws.encode(), now_ms + HOUR_MS, lasting=False),)

    def _step(self, epoch: Epoch) -> Change:
        """One step. The first organisation stays: its officer brings the changes."""
        random, members = self._random, list(epoch.members)
        others = [member for member in members if member.id != self._home.organisations[0]]
        joiners = [name for name in JOINERS if name not in epoch.ids and name not in self._left]
        kinds: list[ChangeKind] = ["key.rotate", "policy.set"]
        kinds += ["node.add"] * 3 if joiners and len(members) < MOST else []
        kinds += ["node.remove"] * 2 if len(members) > FEWEST else []
        kind, policy = random.choice(kinds), epoch.policy
        kind = self.plan[epoch.number] if epoch.number < len(self.plan) else kind
        if kind == "node.add":
            members.append(organisation_of(random.choice(joiners), with_officer=False))
        elif kind == "node.remove":
            gone = random.choice(others)
            self._left.add(gone.id)
            members.remove(gone)
        elif kind == "key.rotate":
            chosen = random.choice(members)
            members[members.index(chosen)] = self._rotated(chosen)
        else:
            policy = msgspec.structs.replace(policy, final_without_ms=policy.final_without_ms + 1)
        return Change(epoch.number, kind, tuple(sorted(members, key=lambda member: member.id)), policy)

    def _rotated(self, member: Organisation) -> Organisation:
        number = next(self._numbers)
        fresh = {
            f"{role}_key": b64u_encode(organisation_key(f"{member.id} {number}", role).public)
            for role in ("consensus", "cosign")
        }
        return msgspec.structs.replace(member, **fresh)
