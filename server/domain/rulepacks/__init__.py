"""Rule packs: which matters owners decide together, by which majority and in which way, place by place.

The creator of a motion picks the matter, never the threshold. A motion names a pack by its reference, `id@version`.
"""

from server.domain.rulepacks.cities import BEIJING, HANGZHOU, WEIFANG
from server.domain.rulepacks.civil_code import CIVIL_CODE
from server.domain.rulepacks.rehearsal import REHEARSAL
from server.domain.rulepacks.shanghai import SHANGHAI
from server.domain.rulepacks.shape import Matter, RulePack

RULE_PACKS = {pack.reference: pack for pack in (REHEARSAL, BEIJING, HANGZHOU, WEIFANG, CIVIL_CODE, SHANGHAI)}
"""Rule packs by reference. None is ever taken away: motions of long ago name theirs."""


def find_pack(reference: str) -> RulePack | None:
    """The rule pack with this reference."""
    return RULE_PACKS.get(reference)


def find_matter(reference: str, matter_id: str) -> Matter | None:
    """The matter of a pack, or None when the pack or the matter does not exist."""
    pack = RULE_PACKS.get(reference)
    return pack.matter(matter_id) if pack else None
