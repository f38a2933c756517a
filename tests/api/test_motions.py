"""What people see of a vote: turnout and their own ballots before the close, results after it; nobody else's choice."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from client import ApiError, Person, rehearsal
from server.domain import proposal
from tests.api.running import Site

pytestmark = pytest.mark.asyncio(loop_scope="module")
CHOICES = [{"id": "for", "text": "同意"}, {"id": "against", "text": "反对"}, {"id": "abstain", "text": "弃权"}]


async def open_motion(site: Site, roll: str, life_ms: int = 3_600_000, questions: int = 1) -> str:
    """A motion of the officer, who sits on the committee too."""
    member = await site.officer.call("GET", "/api/v1/session")
    if "committee@street" not in member["roles"]:
        await site.grant(site.officer.member, "committee")
    asked = [
        {"choices": CHOICES, "id": f"q{number}", "seats": 0, "text": f"第{number}题"}
        for number in range(1, questions + 1)
    ]
    body = rehearsal("manager", roll, "选聘物业", "是否续聘现物业？", asked, site.node.clock.now_ms() + life_ms)
    motion = str((await site.officer.do("motion.propose", body))["id"])
    await site.officer.wait_for_motion(motion)
    return motion


def ballot(person: Person, motion: str, roll: str, choice: str, position: int, replaces: str = "") -> dict[str, Any]:
    return {
        "choice": person.seal([choice]),
        "motion": motion,
        "position": position,
        "question": "q1",
        "replaces": replaces,
        "roll": roll,
    }


async def test_voter_sees_his_own_choice_and_others_see_only_that_somebody_voted(site: Site) -> None:
    roll = await site.enrol((10_000, ("v-wife", "v-husband")), (20_000, ("v-other",)))
    wife, husband, other = [await site.bind(member) for member in ("v-wife", "v-husband", "v-other")]
    motion = await open_motion(site, roll)
    cast = await wife.do("ballot.cast", ballot(wife, motion, roll, "against", 0))
    path = f"/api/v1/motions/{motion}"
    [mine] = (await wife.call("GET", path))["mine"]
    assert (mine["ballot"], mine["choice"], mine["by_me"]) == (cast["id"], "against", True)
    [his] = (await husband.call("GET", path))["mine"]
    assert (his["ballot"], his["choice"], his["by_me"]) == (cast["id"], "", False)
    seen = await other.call("GET", path)
    assert [one["ballot"] for one in seen["mine"]] == [""]
    assert seen["turnout"] == {
        "heads": 1,
        "area_cm2": 10_000,
        "heads_total": 2,
        "area_total_cm2": 30_000,
        "heads_missing": 1,
        "area_missing_cm2": 10_000,
    }
    assert seen["state"] == "open"
    assert "result" not in seen


async def test_no_answer_before_the_close_tells_a_choice(site: Site) -> None:
    roll = await site.enrol((10_000, ("v-secret",)), (10_000, ("v-curious",)))
    secret, curious = await site.bind("v-secret"), await site.bind("v-curious")
    motion = await open_motion(site, roll)
    await secret.do("ballot.cast", ballot(secret, motion, roll, "abstain", 0))
    answers = [
        await curious.call("GET", f"/api/v1/motions/{motion}"),
        await site.officer.call("GET", f"/api/v1/motions/{motion}"),
        (await site.ask("GET", f"/api/v1/motions/{motion}"))[2],
    ]
    for answer in answers:
        assert [one["choice"] for one in answer["mine"]] == ([""] if answer["mine"] else [])
        without_choices = {**answer, "questions": []}
        assert "abstain" not in json.dumps(without_choices)


async def test_second_ballot_of_a_head_is_answered_with_the_first_receipt(site: Site) -> None:
    roll = await site.enrol((10_000, ("v-first", "v-second")), (10_000, ("v-third",)))
    first, second, third = [await site.bind(member) for member in ("v-first", "v-second", "v-third")]
    motion = await open_motion(site, roll)
    cast = await first.do("ballot.cast", ballot(first, motion, roll, "for", 0))
    with pytest.raises(ApiError) as refused:
        await second.do("ballot.cast", ballot(second, motion, roll, "against", 0))
    assert (refused.value.status, refused.value.code) == (409, "ballot_already_cast")
    stored = (await site.ask("GET", f"/api/v1/records/{cast['id']}/receipt"))[2].decode()
    assert refused.value.problem["first_receipt"] == stored
    with pytest.raises(ApiError) as strange:
        await third.do("ballot.cast", ballot(third, motion, roll, "against", 0))
    assert strange.value.code == "not_on_roll"
    assert "first_receipt" not in strange.value.problem


async def test_replaced_ballot_shows_the_new_choice(site: Site) -> None:
    roll = await site.enrol((10_000, ("v-change",)))
    person = await site.bind("v-change")
    motion = await open_motion(site, roll)
    first = await person.do("ballot.cast", ballot(person, motion, roll, "for", 0))
    second = await person.do("ballot.cast", ballot(person, motion, roll, "against", 0, replaces=first["id"]))
    [mine] = (await person.call("GET", f"/api/v1/motions/{motion}"))["mine"]
    assert (mine["ballot"], mine["choice"]) == (second["id"], "against")


async def test_result_appears_after_the_close_with_both_counts(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proposal, "VOTING_MS_MIN", 100)
    roll = await site.enrol((10_000, ("v-yes",)), (30_000, ("v-no",)), (10_000, ("v-silent",)))
    yes, no = await site.bind("v-yes"), await site.bind("v-no")
    motion = await open_motion(site, roll, life_ms=5_000)
    await yes.do("ballot.cast", ballot(yes, motion, roll, "for", 0))
    await no.do("ballot.cast", ballot(no, motion, roll, "against", 1))
    page = await wait_for_result(yes, motion)
    [result] = page["result"]["questions"]
    assert page["state"] in ("closed", "final")
    assert {one["choice"]: (one["heads"], one["area_cm2"]) for one in result["choices"]} == {
        "for": (1, 10_000),
        "against": (1, 30_000),
        "abstain": (0, 0),
    }
    assert (result["quorum"], result["majority"], result["passed"], result["result"]) == (
        True,
        False,
        False,
        "not_passed",
    )
    assert result["participating"] == {"heads": 2, "area_cm2": 40_000}
    assert result["clause"]
    assert page["result"]["grade"] in ("closed", "final")


async def wait_for_result(person: Person, motion: str) -> dict[str, Any]:
    """The motion's page once it is tallied."""
    async with asyncio.timeout(20):
        while True:
            page = dict(await person.call("GET", f"/api/v1/motions/{motion}"))
            if page.get("result"):
                return page
            await asyncio.sleep(0.1)


async def test_motions_are_listed_page_by_page(site: Site) -> None:
    roll = await site.enrol((10_000, ("v-list",)))
    made = {await open_motion(site, roll, life_ms=7_200_000 + number) for number in range(3)}
    seen: list[str] = []
    cursor = ""
    while True:
        page = (await site.ask("GET", f"/api/v1/motions?limit=2&cursor={cursor}"))[2]
        seen += [motion["id"] for motion in page["items"]]
        cursor = page.get("cursor", "")
        if not cursor:
            break
    assert len(seen) == len(set(seen))
    assert made <= set(seen)


async def test_unknown_motion_is_a_404(site: Site) -> None:
    status, _, problem = await site.ask("GET", f"/api/v1/motions/{'A' * 43}")
    assert (status, problem["code"]) == (404, "motion_unknown")


async def test_matters_are_named_in_the_language_asked_for(site: Site) -> None:
    chinese = (await site.ask("GET", "/api/v1/matters"))[2]["items"]
    english = (await site.ask("GET", "/api/v1/matters", headers={"Accept-Language": "en"}))[2]["items"]
    assert chinese[0]["name"] == "议事规则"
    assert english[0]["name"] == "Rules of procedure"
