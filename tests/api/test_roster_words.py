"""Every reason why a roster is refused is said in both languages."""

from __future__ import annotations

import pytest

from server.api.language import LANGUAGE_ZH
from server.api.roster_words import FILE_WORDS, LINE_WORDS, word_file, word_line
from server.gateway.identity_number import NumberFault
from server.gateway.roster_cells import LineFault
from server.gateway.roster_file import FileFault, RosterError


@pytest.mark.parametrize("fault", [*LineFault, *NumberFault])
def test_fault_of_a_line_has_its_english_sentence(fault: LineFault | NumberFault) -> None:
    assert word_line(fault.value, LANGUAGE_ZH) == fault.value
    assert word_line(fault.value, "en").isascii()


@pytest.mark.parametrize("fault", list(FileFault))
def test_fault_of_a_file_has_its_english_sentence_with_the_same_detail(fault: FileFault) -> None:
    error = RosterError(fault, "7")
    assert word_file(error, LANGUAGE_ZH) == str(error)
    assert word_file(error, "en").isascii()
    assert ("7" in word_file(error, "en")) == ("{}" in fault.value)


def test_no_sentence_is_left_of_a_fault_that_is_no_more() -> None:
    assert set(LINE_WORDS) == {*LineFault, *NumberFault}
    assert set(FILE_WORDS) == set(FileFault)
