"""Rule packs: which matters owners decide together, and with which majority, by jurisdiction. Data, no rules.

The creator of a motion picks the matter, never the threshold. A pack in use never changes: a changed law is a new pack.
Texts are the statute's own words where they were at hand; a text that only gives its sense says so (`quoted`).
"""

from __future__ import annotations

import msgspec

from server.domain.law import Majority


class Matter(msgspec.Struct, frozen=True):
    """A kind of decision, and the clause that governs it."""

    id: str
    name_zh: str
    name_en: str
    majority: Majority
    clause: str
    text: str
    quoted: bool = True
    free_choices: bool = False
    """May the question offer its own options (always with `abstain`) instead of for, against and abstain?"""


class RulePack(msgspec.Struct, frozen=True):
    """The rules of one jurisdiction."""

    id: str
    name_zh: str
    name_en: str
    quorum_clause: str
    quorum_text: str
    ordinary_text: str
    special_text: str
    matters: tuple[Matter, ...]
    notice_days: int = 15
    needs_procedure: bool = True

    def matter(self, matter_id: str) -> Matter | None:
        """The matter with this id."""
        return next((matter for matter in self.matters if matter.id == matter_id), None)


_CODE = "《中华人民共和国民法典》第二百七十八条"
_QUORUM = "业主共同决定事项，应当由专有部分面积占比三分之二以上的业主且人数占比三分之二以上的业主参与表决。"
_ORDINARY = "应当经参与表决专有部分面积过半数的业主且参与表决人数过半数的业主同意。"
_SPECIAL = "应当经参与表决专有部分面积四分之三以上的业主且参与表决人数四分之三以上的业主同意。"

_CODE_MATTERS = (
    Matter(
        "procedure-rules", "议事规则", "Rules of procedure", Majority.ORDINARY,
        _CODE + "第一款第一项", "制定和修改业主大会议事规则",
    ),
    Matter(
        "covenant", "管理规约", "Covenant", Majority.ORDINARY,
        _CODE + "第一款第二项", "制定和修改管理规约",
    ),
    Matter(
        "committee", "业主委员会选举", "Election of the owners' committee", Majority.ORDINARY,
        _CODE + "第一款第三项", "选举业主委员会或者更换业主委员会成员",
    ),
    Matter(
        "manager", "选聘和解聘物业", "Hiring or dismissing the property manager", Majority.ORDINARY,
        _CODE + "第一款第四项", "选聘和解聘物业服务企业或者其他管理人",
    ),
    Matter(
        "fund-use", "使用维修资金", "Use of the repair fund", Majority.ORDINARY,
        _CODE + "第一款第五项", "使用建筑物及其附属设施的维修资金",
    ),
    Matter(
        "fund-raise", "筹集维修资金", "Raising the repair fund", Majority.SPECIAL,
        _CODE + "第一款第六项", "筹集建筑物及其附属设施的维修资金",
    ),
    Matter(
        "rebuild", "改建、重建", "Rebuilding", Majority.SPECIAL,
        _CODE + "第一款第七项", "改建、重建建筑物及其附属设施",
    ),
    Matter(
        "common-use", "改变共有部分用途或者经营", "Change of use of, or business on, common parts", Majority.SPECIAL,
        _CODE + "第一款第八项", "改变共有部分的用途或者利用共有部分从事经营活动",
    ),
    Matter(
        "other", "其他重大事项", "Other major matters", Majority.ORDINARY,
        _CODE + "第一款第九项", "有关共有和共同管理权利的其他重大事项", free_choices=True,
    ),
)  # fmt: skip

_SHANGHAI = "《上海市住宅物业管理规定》"
_PART_ORDINARY = "部分共用部位、共用设施设备的事项，由共有的业主共同决定；使用等事项经过半数同意"
_PART_SPECIAL = "部分共用部位、共用设施设备的事项，由共有的业主共同决定；筹集资金、改建、重建经四分之三以上同意"
_SHANGHAI_MATTERS = (
    *_CODE_MATTERS,
    Matter(
        "area-change", "调整物业管理区域", "Change of the management area", Majority.ORDINARY,
        _SHANGHAI + "第十条", "调整物业管理区域，由相关业主共同决定", quoted=False,
    ),
    Matter(
        "self-management", "自行管理", "Self-management", Majority.ORDINARY,
        _SHANGHAI + "第五十三条", "业主自行管理物业，由业主大会决定", quoted=False,
    ),
    Matter(
        "part-fund-use", "部分共用：使用维修资金", "Part-common: use of the repair fund", Majority.ORDINARY,
        _SHANGHAI + "第六十九条", _PART_ORDINARY, quoted=False,
    ),
    Matter(
        "part-fund-raise", "部分共用：筹集维修资金", "Part-common: raising the repair fund", Majority.SPECIAL,
        _SHANGHAI + "第六十九条", _PART_SPECIAL, quoted=False,
    ),
    Matter(
        "part-rebuild", "部分共用：改建、重建", "Part-common: rebuilding", Majority.SPECIAL,
        _SHANGHAI + "第六十九条", _PART_SPECIAL, quoted=False,
    ),
    Matter(
        "part-other", "部分共用：其他事项", "Part-common: other matters", Majority.ORDINARY,
        _SHANGHAI + "第六十九条", _PART_ORDINARY, quoted=False, free_choices=True,
    ),
)  # fmt: skip

CIVIL_CODE = RulePack(
    "civil-code", "民法典", "Civil Code", _CODE + "第二款", _QUORUM, _ORDINARY, _SPECIAL, _CODE_MATTERS
)
_SHANGHAI_QUORUM = f"{_CODE}第二款，{_SHANGHAI}第十八条"
SHANGHAI = RulePack("shanghai", "上海市", "Shanghai", _SHANGHAI_QUORUM, _QUORUM, _ORDINARY, _SPECIAL, _SHANGHAI_MATTERS)
REHEARSAL = RulePack(
    "rehearsal", "演练（无法律效力）", "Rehearsal (no legal effect)", _CODE + "第二款", _QUORUM, _ORDINARY, _SPECIAL,
    _CODE_MATTERS, notice_days=0, needs_procedure=False,
)  # fmt: skip
RULE_PACKS = {pack.id: pack for pack in (REHEARSAL, CIVIL_CODE, SHANGHAI)}
"""Rule packs by id."""


def find_pack(pack_id: str) -> RulePack | None:
    """The rule pack with this id."""
    return RULE_PACKS.get(pack_id)


def find_matter(pack_id: str, matter_id: str) -> Matter | None:
    """The matter of a pack, or None when the pack or the matter does not exist."""
    pack = RULE_PACKS.get(pack_id)
    return pack.matter(matter_id) if pack else None
