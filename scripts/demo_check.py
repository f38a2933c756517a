"""`demo.py --check`: the main job end to end, over HTTP, as clients do it; a table with times, exit code 0 or 1."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import aiohttp

from client import ApiError, Person, SignedRecord
from cluster import Cluster, NodePlace
from demo_estate import DemoEstate, born, roster_path, sample_photo, today
from server.gateway.roster import read_roster
from server.limits import DAY_MS
from server.record.signature import DeviceSigner

ROOT = Path(__file__).resolve().parents[1]
RECOVERY_S = 10.0
CATCH_UP_S = 30.0
SEAL_S = 30.0


class CheckFailed(Exception):
    """A step did not give what it must."""


def require(holds: bool, what: str) -> None:
    """Fail the check with a sentence."""
    if not holds:
        raise CheckFailed(what)


async def check(data: Path, outbox_url: str) -> int:
    """Drive the main job on a running demo; print the table; 0 when everything held."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as http:
        estate = DemoEstate(Cluster(data), http, outbox_url)
        failure = ""
        try:
            await _drive(estate)
        except (CheckFailed, ApiError, TimeoutError, aiohttp.ClientError) as error:
            failure = f"{type(error).__name__}: {error}"
    print()
    for text, seconds in estate.steps.done:
        print(f"  {seconds:7.2f} s  {text}")
    print(f"\n  FAILED: {failure}" if failure else "\n  Everything held.")
    return 1 if failure else 0


async def _drive(estate: DemoEstate) -> None:
    step = estate.steps.step
    await _sign_in(estate)
    with step("two residents verified by two organisations each"):
        first, second = await _verify_two(estate)
    with step("a motion opened; two ballots, one of them sent twice: one result"):
        motion = await _vote(estate, first, second)
    with step("a ticket with a real photo, assigned, progressed, done with an after-photo, confirmed"):
        await _ticket(estate, first)
    with step("points granted; one balance redeemed at two merchants at the same moment: one wins"):
        await _redeem(estate, first)
    with step("kill -9 of the primary, and a ballot again within 10 s"):
        primary, seconds = await _kill_primary(estate, motion, second)
    print(f"    a ballot was accepted {seconds:.1f} s after the kill", file=sys.stderr)
    with step("the killed node restarts and catches up"):
        await _catch_up(estate, primary)
    with step("everything is sealed by all three organisations"):
        await _seal(estate)
    with step(f"{len(estate.receipts)} receipts verified by the independent verifier"):
        await asyncio.to_thread(_verify_receipts, estate)


async def _sign_in(estate: DemoEstate) -> None:
    """Take up the demo's people with the keys of logins.json."""
    import json

    estate.roster = read_roster(roster_path().read_bytes(), today())
    logins = json.loads((estate.cluster.data / "logins.json").read_text("utf-8"))
    for role, login in logins.items():
        person = Person(estate.http, list(estate.cluster.urls), DeviceSigner.from_pem(login["device_key_pem"].encode()))
        person.name = login["name"]
        for node in range(len(person.urls)):
            await person.open_session(node)
        require(person.member == login["member"], f"the session of {role} is of another member")
        estate.people[role] = person
    motions = await estate.people["resident"].call("GET", "/api/v1/motions")
    page = await estate.people["resident"].call("GET", f"/api/v1/motions/{motions['items'][0]['id']}")
    estate.roll = page["roll"]


async def _verify_two(estate: DemoEstate) -> tuple[Person, Person]:
    """Two residents whom no check before this one has verified: who binds another phone may not vote for a day."""
    owners = [line for line in estate.owners() if line is not min(estate.owners(), key=born)]
    place_file = estate.cluster.data / "checked"
    first = int(place_file.read_text()) if place_file.exists() else len(estate.people) - 1
    found: list[Person] = []
    for place in range(first, len(owners)):
        place_file.write_text(str(place + 1))
        person = await estate.verify(owners[place])
        if await _may_vote(person):
            found.append(person)
        if len(found) == 2:
            return found[0], found[1]
    raise CheckFailed(f"this demo has no residents left to be verified: remove {estate.cluster.data} to make a new one")


async def _may_vote(person: Person) -> bool:
    """Not when somebody tried the demo as this resident and has bound a phone."""
    devices = (await person.call("GET", "/api/v1/devices"))["items"]
    own = next(device for device in devices if device["kid"] == person.signer.kid)
    return bool(own["votes_from_ms"] <= own["bound_ms"])


async def _vote(estate: DemoEstate, first: Person, second: Person) -> str:
    committee = estate.people["committee"]
    text = "清洗并加装水箱护栏,费用从公共收益中支出。"
    motion = await estate.open_motion(committee, "水箱清洗", text, "是否同意清洗水箱?", 7 * DAY_MS)
    ballot = await estate.ballot(first, motion, "for")
    once, twice = await asyncio.gather(estate.http_post(first, ballot, 0), estate.http_post(first, ballot, 1))
    require(once["id"] == twice["id"] and once["index"] == twice["index"], "one ballot sent twice had two results")
    estate.keep(once)
    estate.keep(await second.deliver(await estate.ballot(second, motion, "against"), first=1))
    page = await committee.call("GET", f"/api/v1/motions/{motion}")
    require(page["turnout"]["heads"] == 2, f"turnout is {page['turnout']['heads']} heads after two ballots")
    other = await estate.ballot(first, motion, "against")
    forged = SignedRecord(other.id, other.jws, other.openings)
    estate.keep(await first.deliver(forged))  # he names the ballot that it replaces
    page = await committee.call("GET", f"/api/v1/motions/{motion}")
    require(page["turnout"]["heads"] == 2, "a replaced ballot changed the turnout")
    return motion


async def _ticket(estate: DemoEstate, resident: Person) -> None:
    staff = estate.people["staff"]
    before = await estate.photo(resident, sample_photo())
    ticket = await estate.report(resident, "water", "1号楼地下室", "水管漏水,地面积水。", [before])
    estate.keep(await staff.do("ticket.assign", {"handler": staff.member, "ticket": ticket}))
    note = {"note": staff.seal("已关闭阀门,等待配件。"), "photos": [], "ticket": ticket}
    estate.keep(await staff.do("ticket.progress", note))
    after = await estate.photo(staff, sample_photo(), node=1)
    done = {"note": staff.seal("已更换接头。"), "photos": [after], "ticket": ticket}
    estate.keep(await staff.do("ticket.complete", done, first=1))
    page = await resident.call("GET", f"/api/v1/tickets/{ticket}", node=2)
    require(page["text"] == "水管漏水,地面积水。", "the reporter cannot read his own text at another node")
    picture = await resident.call("GET", f"/api/v1/photos/{after['sha256']}", node=2)
    require(picture[:2] == b"\xff\xd8", "the after-photo is not served by another organisation's node")
    estate.keep(await resident.do("ticket.confirm", {"ticket": ticket}))
    page = await resident.call("GET", f"/api/v1/tickets/{ticket}")
    require(page["state"] == "confirmed", f"the ticket is {page['state']}")
    try:
        await estate.people["resident_2"].call("GET", f"/api/v1/tickets/{ticket}")
    except ApiError as error:
        require(error.status == 404, "another resident's ticket is not 404")
    else:
        raise CheckFailed("another resident can read the ticket")


async def _redeem(estate: DemoEstate, resident: Person) -> None:
    people = estate.people
    activity = f"check-{time.time_ns() // 1_000_000}"
    await estate.points(people["staff"], resident, 50, activity, "志愿巡逻")
    merchants = [people["merchant"], await _second_merchant(estate)]
    offers = [await estate.offer(merchant, 50) for merchant in merchants]
    signed = [
        resident.sign("points.redeem", {"amount": 50, "offer": offer, "shop": merchant.member})
        for merchant, (_, offer) in zip(merchants, offers, strict=True)
    ]
    answers = await asyncio.gather(
        *(resident.deliver(record, first=node) for node, record in enumerate(signed)), return_exceptions=True
    )
    won = [answer for answer in answers if isinstance(answer, dict)]
    lost = [answer for answer in answers if isinstance(answer, ApiError)]
    require(len(won) == 1 and len(lost) == 1, f"not exactly one redemption won: {answers}")
    require(lost[0].code == "balance_too_low", f"the other was refused with {lost[0].code}")
    estate.keep(won[0])
    estate.keep(lost[0].problem)
    account = await resident.call("GET", "/api/v1/points/account")
    require(account["balance"] == 0, f"the balance is {account['balance']}")


async def _second_merchant(estate: DemoEstate) -> Person:
    """The property's login sells too: officers of two organisations give it the role, once."""
    person = estate.people["property"]
    session = await person.call("GET", "/api/v1/session")
    if "merchant@property" not in session["roles"]:
        await estate.grant(person, "merchant", "property")
        await estate.name_shop(person, "物业便利店")
    return person


async def _kill_primary(estate: DemoEstate, motion: str, voter: Person) -> tuple[NodePlace, float]:
    cluster = estate.cluster
    state = await voter.call("GET", "/api/v1/cluster")
    place = state["view"] % len(cluster.nodes)
    primary = cluster.nodes[place]
    ballot = await estate.ballot(voter, motion, "abstain", node=(place + 1) % len(cluster.nodes))
    cluster.kill(primary)
    begin = time.monotonic()
    estate.keep(await voter.deliver(ballot, first=place, within_s=RECOVERY_S))
    return primary, time.monotonic() - begin


async def _catch_up(estate: DemoEstate, node: NodePlace) -> None:
    cluster = estate.cluster
    cluster.start(node)
    await asyncio.to_thread(cluster.wait_ready, node, CATCH_UP_S)
    deadline, sizes = time.monotonic() + CATCH_UP_S, [-1]
    while time.monotonic() < deadline:
        sizes = [(await _state(estate, one))["size"] for one in cluster.nodes]
        if len(set(sizes)) == 1:
            return
        await asyncio.sleep(0.2)
    raise CheckFailed(f"the nodes hold logs of {sizes} entries")


async def _seal(estate: DemoEstate) -> None:
    deadline, states = time.monotonic() + SEAL_S, [{"sealed_size": -1, "size": -1}]
    while time.monotonic() < deadline:
        states = [await _state(estate, node) for node in estate.cluster.nodes]
        if all(state["sealed_size"] == state["size"] == states[0]["size"] for state in states):
            return
        await asyncio.sleep(0.2)
    raise CheckFailed(f"not sealed: {[(state['sealed_size'], state['size']) for state in states]}")


async def _state(estate: DemoEstate, node: NodePlace) -> dict[str, Any]:
    async with estate.http.get(f"{node.url}/api/v1/cluster") as response:
        state: dict[str, Any] = await response.json()
        return state


def _verify_receipts(estate: DemoEstate) -> None:
    data = estate.cluster.data
    with tempfile.TemporaryDirectory() as folder:
        for number, receipt in enumerate(estate.receipts):
            path = Path(folder) / f"{number}.receipt"
            path.write_text(receipt, "utf-8")
            command = [sys.executable, str(ROOT / "scripts" / "verify.py"), "receipt", str(path)]
            command += ["--policy", str(data / "policy.txt"), "--genesis", str(data / "genesis.json")]
            found = subprocess.run(command, capture_output=True, text=True, check=False)
            require(found.returncode == 0, f"receipt {number}: {found.stdout}{found.stderr}")
