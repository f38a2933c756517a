"""What a passed motion allows to be paid: what was voted, once, and not after it was revoked (law.md V19)."""

from __future__ import annotations

import enum


class PaymentFault(enum.Enum):
    """Why a payment does not follow from a motion, in order of precedence."""

    NOT_PASSED = "not_passed"
    REVOKED = "revoked"
    USED = "used"
    OVER_AMOUNT = "over_amount"


def fault_of_payment(
    *, has_passed: bool, is_revoked: bool, voted_fen: int, paid_before_fen: int, amount_fen: int, is_closed: bool
) -> PaymentFault | None:
    """Why `amount_fen` may not be paid by a motion of `voted_fen`; None if it may.

    `is_revoked`: a court revoked the decision (Civil Code 280); `is_closed`: all that was voted has been settled.
    """
    if not has_passed:
        return PaymentFault.NOT_PASSED
    if is_revoked:
        return PaymentFault.REVOKED
    if is_closed:
        return PaymentFault.USED
    return PaymentFault.OVER_AMOUNT if paid_before_fen + amount_fen > voted_fen else None
