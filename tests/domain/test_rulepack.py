"""Rule packs are complete and say what the statute says."""

from __future__ import annotations

import re
from typing import get_args

import pytest

from server.domain.law import Majority
from server.domain.rulepack import RULE_PACKS, RulePack, find_matter
from server.record.shape import Name

SPECIAL_ITEMS = {"第六项", "第七项", "第八项"}
"""Civil Code 278, second paragraph."""


def test_the_civil_code_lists_nine_items_and_three_of_them_are_special() -> None:
    matters = RULE_PACKS["civil-code"].matters
    items = [matter.clause[-3:] for matter in matters]
    assert items == [f"第{number}项" for number in "一二三四五六七八九"]
    special = {matter.clause[-3:] for matter in matters if matter.majority is Majority.SPECIAL}
    assert special == SPECIAL_ITEMS


def test_shanghai_decides_everything_that_the_code_lists_and_its_own_matters() -> None:
    code, shanghai = RULE_PACKS["civil-code"].matters, RULE_PACKS["shanghai"].matters
    assert shanghai[: len(code)] == code
    own = {matter.id: matter.majority for matter in shanghai[len(code) :]}
    assert own == {
        "area-change": Majority.ORDINARY,
        "self-management": Majority.ORDINARY,
        "part-fund-use": Majority.ORDINARY,
        "part-fund-raise": Majority.SPECIAL,
        "part-rebuild": Majority.SPECIAL,
        "part-other": Majority.ORDINARY,
    }


@pytest.mark.parametrize("pack", RULE_PACKS.values(), ids=lambda pack: pack.id)
def test_every_matter_has_a_name_a_clause_and_a_text(pack: RulePack) -> None:
    pattern = get_args(Name)[1].pattern
    assert len({matter.id for matter in pack.matters}) == len(pack.matters)
    for matter in pack.matters:
        assert re.match(pattern, matter.id)
        assert matter.name_zh and matter.name_en and matter.text
        assert re.match(r"《.+》第.+条", matter.clause)


def test_an_unknown_pack_or_matter_is_not_found() -> None:
    assert find_matter("civil-code", "fund-raise") is not None
    assert find_matter("civil-code", "area-change") is None
    assert find_matter("atlantis", "fund-raise") is None
