"""Beijing, Hangzhou and Weifang, as far as their rules differ and were read; what they do not say is the Code's.

Only articles whose text was read are cited, nothing was guessed; the version is the day on which they were read.
"""

from __future__ import annotations

import msgspec

from server.domain.rulepacks.civil_code import CIVIL_CODE
from server.domain.rulepacks.shape import Cited, Clause, Electronic, Proxies, RulePack, Window


def _sense(statute: str, article: str, text: str) -> Clause:
    return Clause(f"{statute}{article}", text, is_quoted=False)


_BEIJING = "《北京市物业管理条例》"
BEIJING: RulePack = msgspec.structs.replace(
    CIVIL_CODE,
    id="beijing",
    version="2025-04-01",
    name_zh="北京市",
    name_en="Beijing",
    electronic=Cited(Electronic.CITY_SYSTEM, _sense(_BEIJING, "第三十五条", "电子表决使用全市统一的业主电子投票系统")),
    publication_days=Cited(3, _sense(_BEIJING, "第三十七条", "决定作出之日起三日内公布")),
)
_HANGZHOU = "《杭州市物业管理条例》"
HANGZHOU: RulePack = msgspec.structs.replace(
    CIVIL_CODE,
    id="hangzhou",
    version="2025-04-01",
    name_zh="杭州市",
    name_en="Hangzhou",
    window=Cited(Window(5, 60), _sense(_HANGZHOU, "第二十条", "表决期限为五日以上六十日以下")),
    electronic=Cited(Electronic.DEFAULT, _sense(_HANGZHOU, "第二十条", "以电子投票为主，业主要求的，提供纸质选票")),
)
_WEIFANG = "《潍坊市物业管理条例》"
WEIFANG: RulePack = msgspec.structs.replace(
    CIVIL_CODE,
    id="weifang",
    version="2025-04-01",
    name_zh="潍坊市",
    name_en="Weifang",
    proxies=Cited(Proxies(held_max=3), _sense(_WEIFANG, "第三十二条", "一个代理人接受委托不超过三人")),
    electronic=Cited(Electronic.CITY_SYSTEM, _sense(_WEIFANG, "第三十二条", "电子表决使用政府提供的系统")),
)
