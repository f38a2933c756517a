"""A rehearsal: the matters of the Code without legal effect, so that people may practise with nothing at stake."""

from __future__ import annotations

import msgspec

from server.domain.rulepacks.civil_code import CIVIL_CODE, chosen
from server.domain.rulepacks.shanghai import SHANGHAI
from server.domain.rulepacks.shape import Cited, RulePack

REHEARSAL: RulePack = msgspec.structs.replace(
    SHANGHAI,
    id="rehearsal",
    version="2026-11-01",
    name_zh="演练（无法律效力）",
    name_en="Rehearsal (no legal effect)",
    notice_days=Cited(0, chosen("演练不需要公告")),
    objection_days_min=Cited(0, chosen("演练没有异议期")),
    window=CIVIL_CODE.window,
    is_binding=False,
)
