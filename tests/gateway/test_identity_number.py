"""Rules of server.gateway.identity_number and the spellings that it shares with rosters."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.gateway.identity_number import (
    IdentityKind,
    NumberFault,
    check_company_code,
    check_number,
    check_phone,
    check_resident_number,
    company_check_digit,
    fold_number,
    fold_phone,
    infer_kind,
    resident_check_digit,
)
from server.gateway.spelling import fold, fold_name, fold_tight

TODAY = date(2026, 1, 15)
COMPANY_SIGNS = "0123456789ABCDEFGHJKLMNPQRTUWXY"

births = st.dates(min_value=date(1900, 1, 1), max_value=TODAY)
digits = st.characters(min_codepoint=ord("0"), max_codepoint=ord("9"))


@st.composite
def resident_numbers(draw: st.DrawFn) -> str:
    region = draw(st.integers(110000, 659999))
    first = f"{region}{draw(births):%Y%m%d}{draw(st.integers(0, 999)):03d}"
    return first + resident_check_digit(first)


@st.composite
def company_codes(draw: st.DrawFn) -> str:
    signs = st.sampled_from(COMPANY_SIGNS)
    head = draw(st.text(signs, min_size=2, max_size=2))
    region = draw(st.text(digits, min_size=6, max_size=6))
    first = head + region + draw(st.text(signs, min_size=9, max_size=9))
    return first + company_check_digit(first)


def full_width(text: str) -> str:
    return "".join(chr(ord(sign) + 0xFEE0) for sign in text)


def test_published_examples_hold() -> None:
    assert check_resident_number("11010519491231002X", TODAY) is None  # GB 11643-1999, 4.4
    assert check_resident_number("440524188001010014", TODAY) is None  # the same standard, a woman born in 1880
    assert check_company_code("91350100M000100Y43") is None  # GB 32100-2015, annex
    assert check_company_code("911101087109445456"[:17] + company_check_digit("911101087109445456"[:17])) is None


@given(resident_numbers())
def test_every_well_formed_resident_number_passes_in_every_spelling(number: str) -> None:
    for spelling in (
        number,
        number.lower(),
        full_width(number),
        f" {number[:6]} {number[6:14]}\u3000{number[14:]}\u200b",
    ):
        assert check_resident_number(fold_number(spelling), TODAY) is None
    assert infer_kind(number) is IdentityKind.RESIDENT


@given(resident_numbers(), st.integers(0, 16), st.integers(1, 9))
def test_one_wrong_digit_is_always_found(number: str, place: int, shift: int) -> None:
    wrong = number[:place] + str((int(number[place]) + shift) % 10) + number[place + 1 :]
    assert check_resident_number(wrong, TODAY) is not None


@given(resident_numbers(), st.integers(0, 15))
def test_two_swapped_neighbours_are_always_found(number: str, place: int) -> None:
    swapped = number[:place] + number[place + 1] + number[place] + number[place + 2 :]
    assert swapped == number or check_resident_number(swapped, TODAY) is not None


@given(company_codes(), st.integers(0, 16), st.sampled_from(COMPANY_SIGNS))
def test_one_wrong_sign_of_a_company_code_is_always_found(code: str, place: int, sign: str) -> None:
    assert check_company_code(code) is None
    wrong = code[:place] + sign + code[place + 1 :]
    assert wrong == code or check_company_code(wrong) is not None


@given(st.text(max_size=24))
def test_any_text_gets_an_answer_and_never_an_exception(text: str) -> None:
    for kind in IdentityKind:
        assert isinstance(check_number(kind, fold_number(text), TODAY), NumberFault | None)
    assert check_phone(fold_phone(text)) in {None, NumberFault.PHONE}
    infer_kind(fold_number(text))


@pytest.mark.parametrize(
    ("number", "fault"),
    [
        ("110105491231002", NumberFault.LEGACY),
        ("1101051949123100", NumberFault.LENGTH),
        ("", NumberFault.LENGTH),
        ("11010519491231002A", NumberFault.SIGNS),
        ("X1010519491231002X", NumberFault.SIGNS),
        ("110105194902300021", NumberFault.DATE),
        ("110105194913310021", NumberFault.DATE),
        ("110105202601160021", NumberFault.DATE),
        ("110105179912310021", NumberFault.DATE),
        ("110105194912310021", NumberFault.CHECK_DIGIT),
    ],
)
def test_a_resident_number_is_refused_for_what_is_wrong_with_it(number: str, fault: NumberFault) -> None:
    assert check_resident_number(number, TODAY) is fault


def test_somebody_born_today_is_not_from_the_future() -> None:
    first = "11010520260115001"
    assert check_resident_number(first + resident_check_digit(first), TODAY) is None


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        ("91310000MA1FL0000", NumberFault.COMPANY_LENGTH),
        ("91310000MA1FL0000I", NumberFault.COMPANY_SIGNS),
        ("9131000OMA1FL00000", NumberFault.COMPANY_SIGNS),
        ("91310000MA1FL00000", NumberFault.COMPANY_CHECK_DIGIT),
        ("91310000MA1FL0000N", None),
    ],
)
def test_a_company_code_is_refused_for_what_is_wrong_with_it(code: str, fault: NumberFault | None) -> None:
    assert check_company_code(code) is fault


@pytest.mark.parametrize(
    ("kind", "number", "fault"),
    [
        (IdentityKind.PASSPORT, "E12345678", None),
        (IdentityKind.PASSPORT, "ABCDEFGH", NumberFault.SHAPE),
        (IdentityKind.PASSPORT, "E123456中", NumberFault.SIGNS),
        (IdentityKind.HONG_KONG_MACAO, "H12345678", None),
        (IdentityKind.HONG_KONG_MACAO, "M1234567801", None),
        (IdentityKind.HONG_KONG_MACAO, "X12345678", NumberFault.SHAPE),
        (IdentityKind.TAIWAN, "01234567", None),
        (IdentityKind.TAIWAN, "1234567", NumberFault.SHAPE),
        (IdentityKind.FOREIGN_RESIDENT, "USA110000123456", None),
        (IdentityKind.FOREIGN_RESIDENT, "911001198001010017", NumberFault.CHECK_DIGIT),
    ],
)
def test_other_documents_have_their_own_shapes(kind: IdentityKind, number: str, fault: NumberFault | None) -> None:
    assert check_number(kind, number, TODAY) is fault


@given(st.from_regex(r"1[3-9][0-9]{9}", fullmatch=True))
def test_a_phone_number_is_read_in_every_spelling(phone: str) -> None:
    dashed = f"{phone[:3]}-{phone[3:7]}-{phone[7:]}"
    for spelling in (phone, dashed, f"+86 {phone}", f"0086{phone}", f"86-{phone}", f"(+86){dashed}", full_width(phone)):
        assert fold_phone(spelling) == phone
    assert check_phone(phone) is None


@pytest.mark.parametrize("phone", ["021-62345678", "12345678901", "1380013800", "138001380000", "+85291234567", "电话"])
def test_what_cannot_receive_a_code_is_no_phone_number(phone: str) -> None:
    assert check_phone(fold_phone(phone)) is NumberFault.PHONE


@given(st.text(max_size=40))
def test_folding_twice_changes_nothing(text: str) -> None:
    for folding in (fold, fold_tight, fold_name):
        assert folding(folding(text)) == folding(text)


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("  张　三 ", "张三"),
        ("张\u200b三\ufeff", "张三"),
        ("阿依古丽•买买提", "阿依古丽·买买提"),
        ("阿依古丽．买买提", "阿依古丽·买买提"),
        ("阿依古丽 · 买买提", "阿依古丽·买买提"),
        ("John   Smith", "John Smith"),
        ("上海示例（集团）有限公司", "上海示例(集团)有限公司"),
        ("𠮷田\U000e0100龘", "𠮷田龘"),
    ],
)
def test_a_name_has_one_spelling(typed: str, name: str) -> None:
    assert fold_name(typed) == name
