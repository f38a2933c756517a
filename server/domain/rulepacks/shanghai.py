"""Shanghai: provisions on the management of residential property, as amended on 2020-12-30."""

from __future__ import annotations

import msgspec

from server.domain.law.majority import Majority
from server.domain.rulepacks.civil_code import CIVIL_CODE, CODE, MATTERS, QUORUM, chosen
from server.domain.rulepacks.shape import Cited, Clause, Electorate, Matter, Proxies, RulePack

STATUTE = "《上海市住宅物业管理规定》"
_PART_ORDINARY = "部分共用部位、共用设施设备的事项，由共有的业主共同决定；使用等事项经过半数同意"
_PART_SPECIAL = "部分共用部位、共用设施设备的事项，由共有的业主共同决定；筹集资金、改建、重建经四分之三以上同意"


def sense(article: str, text: str) -> Clause:
    """An article of the provisions, by its sense."""
    return Clause(f"{STATUTE}{article}", text, is_quoted=False)


OWN_MATTERS = (
    Matter(
        "area-change", "调整物业管理区域", "Change of the management area", Majority.ORDINARY,
        sense("第十条", "调整物业管理区域，由相关业主共同决定"),
    ),
    Matter(
        "self-management", "自行管理", "Self-management", Majority.ORDINARY,
        sense("第五十三条", "业主自行管理物业，由业主大会决定"), documents=("budget",),
    ),
    Matter(
        "part-fund-use", "部分共用：使用维修资金", "Part-common: use of the repair fund", Majority.ORDINARY,
        sense("第六十九条", _PART_ORDINARY), electorate=Electorate.PART, documents=("budget", "quotes"),
    ),
    Matter(
        "part-fund-raise", "部分共用：筹集维修资金", "Part-common: raising the repair fund", Majority.SPECIAL,
        sense("第六十九条", _PART_SPECIAL), electorate=Electorate.PART, documents=("budget",),
    ),
    Matter(
        "part-rebuild", "部分共用：改建、重建", "Part-common: rebuilding", Majority.SPECIAL,
        sense("第六十九条", _PART_SPECIAL), electorate=Electorate.PART, documents=("budget", "contract"),
    ),
    Matter(
        "part-other", "部分共用：其他事项", "Part-common: other matters", Majority.ORDINARY,
        sense("第六十九条", _PART_ORDINARY), electorate=Electorate.PART, free_choices=True,
    ),
)  # fmt: skip

SHANGHAI: RulePack = msgspec.structs.replace(
    CIVIL_CODE,
    id="shanghai",
    version="2020-12-30",
    name_zh="上海市",
    name_en="Shanghai",
    quorum=Clause(f"{CODE}第二款，{STATUTE}第十八条", QUORUM),
    matters=(*MATTERS, *OWN_MATTERS),
    notice_days=Cited(15, sense("第十六条、第二十五条", "提前十五日公告并通知全体业主，邀请居民委员会、房管机构参加")),
    proxies=Cited(Proxies(), sense("第十八条", "业主可以书面委托代理人，代理人按委托内容表决；人数由议事规则约定")),
    publication_days=Cited(7, chosen("上海市规定没有业主大会结果的公布天数，由议事规则约定；默认七日")),
    committee=sense(
        "第二十条、第二十六条", "委员为单数，五人以上；面积一万平方米以下可为三人；决定须经全体委员过半数签字"
    ),
    change_over=sense(
        "第二十八条", "换届改选小组成立至新一届业主委员会产生前，不得选聘、解聘物业，不得决定其他重大事项"
    ),
    emergencies=Cited(
        ("pump", "lift", "fire", "facade", "leak"),
        sense("第七十三条", "水泵、电梯、消防、外墙脱落、严重漏水等危及安全的，不经业主大会表决，可以先行维修"),
    ),
)
