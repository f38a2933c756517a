"""Numbers that identify people and companies in China: their shapes and check digits. Pure; knows no person, no roll.

A number that passes here is well formed, no more: whether it belongs to anybody is a matter of roll and documents.
"""

import re
from datetime import date
from enum import StrEnum

from server.gateway.spelling import fold_dashes, fold_tight

RESIDENT_LENGTH = 18
LEGACY_LENGTH = 15
"""First-generation cards, void since 2013-01-01 (Resident Identity Card Law, 2011 decision, art. 23)."""
COMPANY_LENGTH = 18
OLDEST_BIRTH_YEAR = 1880
"""Nobody born before is alive; an earlier date is a slip of the pen."""

_RESIDENT_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_RESIDENT_CHECK_SIGNS = "10X98765432"
_COMPANY_SIGNS = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_COMPANY_WEIGHTS = (1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28)

_RESIDENT_SHAPE = re.compile(r"[1-9][0-9]{16}[0-9X]")
_COMPANY_SHAPE = re.compile(rf"[{_COMPANY_SIGNS}]{{2}}[0-9]{{6}}[{_COMPANY_SIGNS}]{{10}}")
_MOBILE_SHAPE = re.compile(r"1[3-9][0-9]{9}")
_COUNTRY_PREFIX = re.compile(r"(?:\+|00)?86(?=1[0-9]{10}$)")


class IdentityKind(StrEnum):
    """Kinds of document that a roll names."""

    RESIDENT = "resident_card"
    COMPANY = "company_code"
    PASSPORT = "passport"
    HONG_KONG_MACAO = "hong_kong_macao_permit"
    TAIWAN = "taiwan_permit"
    FOREIGN_RESIDENT = "foreign_resident_card"


class NumberFault(StrEnum):
    """What can be wrong with a number; the value is the sentence that people read."""

    LEGACY = "十五位旧证件号码，请提供十八位新号码"
    LENGTH = "证件号码长度不对"
    SIGNS = "证件号码含有不能用的字"
    DATE = "证件号码日期不对"
    CHECK_DIGIT = "证件号码校验位不对"
    SHAPE = "证件号码格式不对"
    COMPANY_LENGTH = "统一社会信用代码长度不对"
    COMPANY_SIGNS = "统一社会信用代码含有不能用的字"
    COMPANY_CHECK_DIGIT = "统一社会信用代码校验位不对"
    PHONE = "手机号不对"


_OTHER_SHAPES = {
    # ICAO 9303 leaves numbers to the issuing state: letters and digits, at least one digit.
    IdentityKind.PASSPORT: re.compile(r"(?=.*[0-9])[A-Z0-9]{5,17}"),
    # 港澳居民来往内地通行证: H or M and 8 digits, formerly with two digits that counted re-issues.
    IdentityKind.HONG_KONG_MACAO: re.compile(r"[HM][0-9]{8}(?:[0-9]{2})?"),
    # 台湾居民来往大陆通行证: 8 digits; earlier booklets 10 digits and a letter.
    IdentityKind.TAIWAN: re.compile(r"[0-9]{8}|[0-9]{10}[A-Z]?"),
    # 外国人永久居留身份证 of 2017: 3 letters and 12 digits; that of 2023 has the shape of a resident's number.
    IdentityKind.FOREIGN_RESIDENT: re.compile(r"[A-Z]{3}[0-9]{12}"),
}


def fold_number(text: str) -> str:
    """Return a document number as it is compared: NFKC, upper case, without spaces and dashes."""
    return fold_dashes(fold_tight(text)).replace("-", "").upper()


def resident_check_digit(first_17: str) -> str:
    """Return the 18th sign of a resident's number (GB 11643-1999: ISO 7064 MOD 11-2) for its first 17 digits."""
    total = sum(int(digit) * weight for digit, weight in zip(first_17, _RESIDENT_WEIGHTS, strict=True))
    return _RESIDENT_CHECK_SIGNS[total % 11]


def company_check_digit(first_17: str) -> str:
    """Return the 18th sign of a unified social credit code (GB 32100-2015: MOD 31, weights 3**i) for its first 17."""
    total = sum(_COMPANY_SIGNS.index(sign) * weight for sign, weight in zip(first_17, _COMPANY_WEIGHTS, strict=True))
    return _COMPANY_SIGNS[-total % 31]


def check_resident_number(number: str, today: date) -> NumberFault | None:
    """Return the first fault of a folded resident's number, or None. `today` decides which births lie ahead.

    Cards of residents from Hong Kong, Macao and Taiwan (区码 81-83) follow the same standard and are checked likewise.
    """
    if len(number) == LEGACY_LENGTH and number.isascii() and number.isdigit():
        return NumberFault.LEGACY
    if len(number) != RESIDENT_LENGTH:
        return NumberFault.LENGTH
    if not _RESIDENT_SHAPE.fullmatch(number):
        return NumberFault.SIGNS
    if not _is_birth_date(number[6:14], today):
        return NumberFault.DATE
    return None if resident_check_digit(number[:17]) == number[17] else NumberFault.CHECK_DIGIT


def check_company_code(code: str) -> NumberFault | None:
    """Return the first fault of a folded unified social credit code (GB 32100-2015), or None."""
    if len(code) != COMPANY_LENGTH:
        return NumberFault.COMPANY_LENGTH
    if not _COMPANY_SHAPE.fullmatch(code):
        return NumberFault.COMPANY_SIGNS
    return None if company_check_digit(code[:17]) == code[17] else NumberFault.COMPANY_CHECK_DIGIT


def check_number(kind: IdentityKind, number: str, today: date) -> NumberFault | None:
    """Return the first fault of a folded number of that kind of document, or None."""
    if kind is IdentityKind.COMPANY:
        return check_company_code(number)
    if kind is IdentityKind.RESIDENT:
        return check_resident_number(number, today)
    if kind is IdentityKind.FOREIGN_RESIDENT and number.isascii() and number.isdigit():
        return check_resident_number(number, today)
    if not number.isascii() or not number.isalnum():
        return NumberFault.SIGNS
    return None if _OTHER_SHAPES[kind].fullmatch(number) else NumberFault.SHAPE


def infer_kind(number: str) -> IdentityKind | None:
    """Return the kind that the shape of a folded number leaves no doubt about, else None.

    Only a resident's number and a company's code are told by shape; 18 digits are a resident's when the check digit of
    a resident's number holds, because a company's code may consist of digits too.
    """
    if _RESIDENT_SHAPE.fullmatch(number):
        if resident_check_digit(number[:17]) == number[17] or not _COMPANY_SHAPE.fullmatch(number):
            return IdentityKind.RESIDENT
        return IdentityKind.COMPANY if check_company_code(number) is None else IdentityKind.RESIDENT
    return IdentityKind.COMPANY if _COMPANY_SHAPE.fullmatch(number) else None


def fold_phone(text: str) -> str:
    """Return a mainland mobile number as 11 digits where `text` is a spelling of one, else the folded text.

    Dashes, spaces, brackets and the country code 86 are taken off.
    """
    bare = re.sub(r"[-().]", "", fold_dashes(fold_tight(text)))
    return _COUNTRY_PREFIX.sub("", bare)


def check_phone(phone: str) -> NumberFault | None:
    """Return PHONE unless `phone` is a mainland mobile number of 11 digits: only those receive the code by SMS."""
    return None if _MOBILE_SHAPE.fullmatch(phone) else NumberFault.PHONE


def _is_birth_date(digits: str, today: date) -> bool:
    try:
        born = date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    except ValueError:
        return False
    return born.year >= OLDEST_BIRTH_YEAR and born <= today
