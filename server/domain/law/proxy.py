"""Proxies: a written mandate for one vote, votes as instructed, within the limits of the place (law.md V13).

Shanghai art. 18, Weifang art. 32 (three at most), Zhoushan art. 17 (never the property company's people).
"""

from __future__ import annotations

import enum

import msgspec


class MandateFault(enum.Enum):
    """Why a mandate cannot be used, in order of precedence."""

    REVOKED = "revoked"
    OTHER_MOTION = "other_motion"
    HOLDER_BANNED = "holder_banned"
    OVER_LIMIT = "over_limit"
    PRINCIPAL_VOTED = "principal_voted"


class Mandate(msgspec.Struct, frozen=True):
    """One owner's mandate: for which motion, and whether it still holds."""

    motion: str
    is_revoked: bool = False


def fault_of(
    mandate: Mandate, motion: str, *, held: int, held_max: int, is_banned: bool, has_principal_voted: bool
) -> MandateFault | None:
    """Why the holder cannot vote by this mandate; None if he can.

    `held`: mandates that he holds for this motion, this one included; `held_max`: 0 where none are allowed. The
    principal's own ballot stands whenever he cast it first, and a mandate never counts by itself.
    """
    if mandate.is_revoked:
        return MandateFault.REVOKED
    if mandate.motion != motion:
        return MandateFault.OTHER_MOTION
    if is_banned:
        return MandateFault.HOLDER_BANNED
    if held > held_max:
        return MandateFault.OVER_LIMIT
    return MandateFault.PRINCIPAL_VOTED if has_principal_voted else None
