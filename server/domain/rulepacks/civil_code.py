"""The Civil Code of 2021 with the national rules on property management: what holds where no local rule says more.

The State Council's regulations of 2018 (art. 12) still print the majorities from before the Code; the Code prevails.
"""

from __future__ import annotations

from server.domain.law.majority import Majority
from server.domain.law.share import Rounding
from server.domain.rulepacks.shape import (
    Cited,
    Clause,
    Electorate,
    Electronic,
    Matter,
    Proxies,
    RulePack,
    Source,
    Window,
)

CODE = "《中华人民共和国民法典》第二百七十八条"
REGULATIONS = "《物业管理条例》"
INTERPRETATION = "《最高人民法院关于审理建筑物区分所有权纠纷案件适用法律若干问题的解释》"
GUIDING_RULES = "《业主大会和业主委员会指导规则》"
QUORUM = "业主共同决定事项，应当由专有部分面积占比三分之二以上的业主且人数占比三分之二以上的业主参与表决。"
ORDINARY = "应当经参与表决专有部分面积过半数的业主且参与表决人数过半数的业主同意。"
SPECIAL = "应当经参与表决专有部分面积四分之三以上的业主且参与表决人数四分之三以上的业主同意。"


def chosen(text: str) -> Clause:
    """What no statute says, so that we had to choose."""
    return Clause("本平台约定", text, is_quoted=False, source=Source.DESIGN)


def item(number: str, text: str) -> Clause:
    """An item of Civil Code 278, first paragraph."""
    return Clause(f"{CODE}第一款第{number}项", text)


MATTERS = (
    Matter(
        "procedure-rules", "议事规则", "Rules of procedure", Majority.ORDINARY,
        item("一", "制定和修改业主大会议事规则"),
    ),
    Matter("covenant", "管理规约", "Covenant", Majority.ORDINARY, item("二", "制定和修改管理规约")),
    Matter(
        "committee", "业主委员会选举", "Election of the owners' committee", Majority.ORDINARY,
        item("三", "选举业主委员会或者更换业主委员会成员"), is_election=True,
    ),
    Matter(
        "manager", "选聘和解聘物业", "Hiring or dismissing the property manager", Majority.ORDINARY,
        item("四", "选聘和解聘物业服务企业或者其他管理人"), documents=("contract",),
    ),
    Matter(
        "fund-use", "使用维修资金", "Use of the repair fund", Majority.ORDINARY,
        item("五", "使用建筑物及其附属设施的维修资金"), documents=("budget", "quotes"),
    ),
    Matter(
        "fund-raise", "筹集维修资金", "Raising the repair fund", Majority.SPECIAL,
        item("六", "筹集建筑物及其附属设施的维修资金"), documents=("budget",),
    ),
    Matter(
        "rebuild", "改建、重建", "Rebuilding", Majority.SPECIAL,
        item("七", "改建、重建建筑物及其附属设施"), documents=("budget", "contract"),
    ),
    Matter(
        "common-use", "改变共有部分用途或者经营", "Change of use of, or business on, common parts", Majority.SPECIAL,
        item("八", "改变共有部分的用途或者利用共有部分从事经营活动"), documents=("contract",),
    ),
    Matter(
        "other", "其他重大事项", "Other major matters", Majority.ORDINARY,
        item("九", "有关共有和共同管理权利的其他重大事项"), free_choices=True,
    ),
    Matter(
        "home-business", "住宅改为经营性用房", "A home used for business", Majority.ALL,
        Clause("《中华人民共和国民法典》第二百七十九条", "应当经有利害关系的业主一致同意", is_quoted=False),
        electorate=Electorate.INTERESTED,
    ),
)  # fmt: skip

CIVIL_CODE = RulePack(
    id="civil-code",
    version="2021-01-01",
    name_zh="民法典",
    name_en="Civil Code",
    quorum=Clause(CODE + "第二款", QUORUM),
    ordinary=Clause(CODE + "第二款", ORDINARY),
    special=Clause(CODE + "第二款", SPECIAL),
    matters=MATTERS,
    notice_days=Cited(
        15, Clause(REGULATIONS + "第十四条", "召开业主大会会议，应当于会议召开15日以前通知全体业主，并告知居民委员会")
    ),
    window=Cited(Window(), chosen("法律没有规定表决期限")),
    proxies=Cited(
        Proxies(), Clause(REGULATIONS + "第十二条", "业主可以书面委托代理人参加；人数由议事规则约定", is_quoted=False)
    ),
    electronic=Cited(
        Electronic.AGREED,
        Clause(
            "《电子签名法》第三条、第十三条、第十四条",
            "当事人约定使用电子签名的，可靠的电子签名与手写签名效力相同",
            is_quoted=False,
        ),
    ),
    silence=Clause(
        "（2022）沪02民初16号",
        "“送达即参与”“未投票视为同意已表决的多数意见”须由议事规则约定，并确已送达、告知议题和后果",
        is_quoted=False,
        source=Source.QUOTED,
    ),
    garages=Clause(
        GUIDING_RULES + "第二十五条",
        "车位、摊位等是否计入由议事规则约定",
        is_quoted=False,
        source=Source.QUOTED,
    ),
    publication_days=Cited(7, chosen("表决结果七日内公布；法律没有规定天数")),
    objection_days_min=Cited(7, chosen("结果公布后至少七日可以提出异议")),
    keeping=Clause(
        INTERPRETATION + "第十二条",
        "业主请求撤销决定，应在知道之日起一年内行使；选票和证明至少保存一年以上",
        is_quoted=False,
    ),
    committee=Clause(GUIDING_RULES, "决定须经全体委员过半数签字", is_quoted=False, source=Source.QUOTED),
    change_over=chosen("换届期间不作重大表决，参照上海市规定"),
    emergencies=Cited((), chosen("法律没有列举紧急维修事项")),
    rounding=Cited(Rounding.DOWN, chosen("百分比截去尾数，不进位；结果只看分数")),
    void_takes_part=Cited(False, chosen("废票不计入参与表决")),
)  # fmt: skip
