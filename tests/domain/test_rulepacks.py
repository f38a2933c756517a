"""Rule packs are complete and say what the statute says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, get_args

import msgspec
import pytest

from server.domain.law.majority import Majority
from server.domain.rulepacks import RULE_PACKS, find_matter, find_pack
from server.domain.rulepacks.shape import Clause, Electorate, RulePack, Source
from server.record.canonical import digest
from server.record.shape import Name

SPECIAL_ITEMS = {"第六项", "第七项", "第八项"}
"""Civil Code 278, second paragraph."""


def test_the_civil_code_lists_nine_items_and_three_of_them_are_special() -> None:
    matters = RULE_PACKS["civil-code@2021-01-01"].matters
    items = [matter.clause.article[-3:] for matter in matters if "二百七十八条" in matter.clause.article]
    assert items == [f"第{number}项" for number in "一二三四五六七八九"]
    special = {matter.clause.article[-3:] for matter in matters if matter.majority is Majority.SPECIAL}
    assert special == SPECIAL_ITEMS


def test_shanghai_decides_everything_that_the_code_lists_and_its_own_matters() -> None:
    code, shanghai = (RULE_PACKS[one].matters for one in ("civil-code@2021-01-01", "shanghai@2020-12-30"))
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
        assert matter.name_zh and matter.name_en and matter.clause.text
        assert re.match(r"《.+》第.+条", matter.clause.article)


def test_an_unknown_pack_matter_or_version_is_not_found() -> None:
    assert find_matter("civil-code@2021-01-01", "fund-raise") is not None
    assert find_matter("civil-code@2021-01-01", "area-change") is None
    assert find_matter("civil-code@2020-01-01", "fund-raise") is None
    assert find_pack("atlantis@2020-01-01") is None


def test_a_home_for_business_needs_everybody_who_is_interested() -> None:
    """Civil Code 279: a majority is no defence."""
    matter = find_matter("shanghai@2020-12-30", "home-business")
    assert matter is not None
    assert (matter.majority, matter.electorate) == (Majority.ALL, Electorate.INTERESTED)


def test_part_common_matters_are_for_those_who_share_the_part() -> None:
    """Shanghai art. 69."""
    for matter in RULE_PACKS["shanghai@2020-12-30"].matters:
        assert (matter.electorate is Electorate.PART) == matter.id.startswith("part-")


def test_places_differ_as_their_statutes_say() -> None:
    said = {
        pack.id: (pack.window.value.days_max, pack.proxies.value.held_max, pack.electronic.value.value)
        for pack in RULE_PACKS.values()
    }
    assert said == {
        "beijing": (0, 0, "city_system"),
        "civil-code": (0, 0, "agreed"),
        "hangzhou": (60, 0, "default"),
        "rehearsal": (0, 0, "agreed"),
        "shanghai": (0, 0, "agreed"),
        "weifang": (0, 3, "city_system"),
    }
    assert RULE_PACKS["beijing@2025-04-01"].publication_days.value == 3


def clauses_of(value: Any) -> Iterator[Clause]:
    """Every citation in a pack, however deep."""
    if isinstance(value, Clause):
        yield value
    elif isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            yield from clauses_of(getattr(value, name))
    elif isinstance(value, tuple):
        for one in value:
            yield from clauses_of(one)


@pytest.mark.parametrize("pack", RULE_PACKS.values(), ids=lambda pack: pack.id)
def test_everything_in_a_pack_says_where_it_comes_from(pack: RulePack) -> None:
    """A statute is named by its title; what no statute says is said to be our own choice."""
    for clause in clauses_of(pack):
        assert clause.text
        named = clause.article.startswith(("《", "（")) and clause.source is not Source.DESIGN
        assert named or (clause.article == "本平台约定" and clause.source is Source.DESIGN and not clause.is_quoted)


DIGESTS = {
    "beijing@2025-04-01": "3j57Wxco3qUR1CW_",
    "civil-code@2021-01-01": "NMsWF2zondS4lufE",
    "hangzhou@2025-04-01": "9Wjg-2uVaLv_EP3L",
    "rehearsal@2026-11-01": "zC7rb8fFgR2rE0ky",
    "shanghai@2020-12-30": "h6qlYD2r4vhk5r8i",
    "weifang@2025-04-01": "JGsVG1nQ4i90WoxC",
}


def test_a_pack_in_use_never_changes() -> None:
    """A changed law is another version: motions of long ago are judged by what they named."""
    found = {pack.reference: digest(msgspec.json.encode(pack, order="sorted"))[:16] for pack in RULE_PACKS.values()}
    assert found == DIGESTS
