"""A motion, an estate and ballots as tests print them: every kind of question, and names that few fonts have."""

from __future__ import annotations

from hashlib import sha256

from server.gateway.paper.contents import PaperBallot, PaperChoice, PaperEstate, PaperMotion, PaperQuestion

KEY = b"a key of thirty-two bytes, or so" * 2
RARE = "䶮𠮷龘𬭊喆堃祎頔彧翀"
ESTATE = PaperEstate("香山苑小区业主大会", "Qx7_pLm2-KdR9sTa")
APPROVAL = (PaperChoice("for", "同意"), PaperChoice("against", "反对"), PaperChoice("abstain", "弃权", alone=True))
CLOSE_MS = 1_796_720_400_000
"""2026-12-08 17:00 in China."""


def approvals(count: int) -> tuple[PaperQuestion, ...]:
    return tuple(PaperQuestion(f"q{n}", f"第{n}项：是否同意使用公共收益更新健身器材？", APPROVAL) for n in range(count))


def election(seats: int = 3, candidates: int = 6) -> PaperQuestion:
    people = tuple(PaperChoice(f"c{n}", f"候选人{n}（{n}号楼）") for n in range(candidates))
    abstain = PaperChoice("abstain", "弃权", alone=True)
    return PaperQuestion("seats", "选举业主委员会委员", (*people, abstain), picks_max=seats, people=True)


def options() -> PaperQuestion:
    plans = ("方案甲：设在东门北侧，占用绿地十二平方米", "方案乙：设在地下车库入口旁边", "以上都不同意")
    choices = tuple(PaperChoice(f"o{n}", text) for n, text in enumerate(plans))
    return PaperQuestion("shed", "小区东门增设充电棚", (*choices, PaperChoice("abstain", "弃权", alone=True)))


def motion_of(*questions: PaperQuestion, name: str = "motion") -> PaperMotion:
    return PaperMotion("关于公共收益使用和业主委员会选举的表决", questions, CLOSE_MS, sha256(name.encode()).digest())


def ballots_of(count: int) -> tuple[PaperBallot, ...]:
    names = (("欧阳䶮",), ("𠮷龘", "陈𬭊堃"))
    return tuple(
        PaperBallot(f"{n:04d}7Q2K", f"{n % 9 + 1}号楼{n % 3 + 1}单元{n % 20 + 1}01室", names[n % 2], 983_500 + n, n)
        for n in range(count)
    )
