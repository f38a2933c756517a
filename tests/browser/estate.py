"""The demo estate as tests use it: three node processes with their people, started once, and a person for every part.

What a test needs and no screen offers (a resident of its own, a motion, points to spend) is made as the demo makes
it: by a client, as signed records. That client has a thread of its own: the browser's driver holds this one's loop.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import socket
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

import demo
from client import Person
from cluster import PEER_PORTS_ABOVE, PORTS, Cluster
from demo_estate import ROLES, DemoEstate, born, roster_path, today
from server.domain.motion import VOTING_MS_MIN
from server.gateway.roster import read_roster
from server.gateway.roster_line import RosterLine
from server.limits import DAY_MS, SECOND_MS
from server.record.signature import DeviceSigner

ROOT = Path(__file__).resolve().parents[2]
TAKEN_BY_DEMO = 2 + len(ROLES)
"""Owners that the demo verified from the head of the roster, besides the eldest."""
COUPLE = 2
PATIENCE_S = 30.0
RESULT_S = 100.0


@dataclass(frozen=True, slots=True)
class Login:
    """A member and the device key (PEM) that acts for him."""

    member: str
    name: str
    key_pem: str


class Estate:
    """Mutable. The running demo: its addresses, its logins, and people nobody has used yet."""

    def __init__(self, data: Path, port_base: int) -> None:
        self.cluster = Cluster(data)
        self.urls = self.cluster.urls
        self.outbox_url = demo.outbox_url(port_base)
        logins = json.loads((data / "logins.json").read_text("utf-8"))
        self.logins = {
            role: Login(login["member"], login["name"], login["device_key_pem"]) for role, login in logins.items()
        }
        self.logins["officer"] = self.officer("street")
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="estate-client")
        self._thread.start()
        self._people: dict[str, Person] = {}
        self._http = self._do(_open_http())
        self._demo = DemoEstate(self.cluster, self._http, self.outbox_url)
        self._demo.roster = read_roster(roster_path().read_bytes(), today())
        self._unused = self._unused_owners()
        self._unused_couples = self._couples()
        self.closing_motion = self.open_short_motion("大门夜间关闭")

    def close(self) -> None:
        """End the client and its thread, and nodes that a test started again."""
        self.cluster.stop_all()
        self._do(self._http.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE_S)

    def _unused_owners(self) -> Iterator[RosterLine]:
        owners = self._demo.owners()
        eldest = min(owners, key=born)
        return iter([line for line in owners if line is not eldest][TAKEN_BY_DEMO:])

    def _couples(self) -> Iterator[tuple[RosterLine, RosterLine]]:
        """Two who own one home together, and no other."""
        lines = [line for line in self._demo.roster.good if line.phone]
        documents = Counter(line.id_number for line in lines)
        for _, group in itertools.groupby(lines, key=lambda line: line.room):
            owners = [line for line in group if documents[line.id_number] == 1]
            if len(owners) == COUPLE:
                yield owners[0], owners[1]

    # ---- people

    def officer(self, organisation: str) -> Login:
        """An organisation's officer, whose device stands in the founding document."""
        pem = (self.cluster.data / organisation / f"officer-{organisation}.pem").read_text("utf-8")
        return Login(f"officer-{organisation}", organisation, pem)

    def next_couple(self) -> tuple[Login, Login]:
        """Two residents who own one home together and have verified themselves."""
        first, second = next(self._unused_couples)
        return self.new_resident(first), self.new_resident(second)

    def next_owner(self) -> RosterLine:
        """An owner of one home whom no test and no demo has used."""
        return next(self._unused)

    def new_resident(self, line: RosterLine | None = None) -> Login:
        """A resident who verified himself just now, by a client of the API; his key is handed to a phone."""
        person: Person = self._do(self._demo.verify(line or self.next_owner()))
        self._people[person.member] = person
        return Login(person.member, person.name, person.signer.pem().decode())

    def codes(self, phone: str) -> list[str]:
        """The codes that were texted to a number, the newest last."""
        url = f"{self.outbox_url}/outbox?{urllib.parse.urlencode({'phone': phone})}"
        with urllib.request.urlopen(url, timeout=5) as answer:
            messages = json.load(answer)["messages"]
        return [str(message["values"]["code"]) for message in messages]

    def await_code(self, phone: str, known: int) -> str:
        """The code that comes after the first `known` ones."""
        wait_for(lambda: len(self.codes(phone)) > known, f"a code for {phone}")
        return self.codes(phone)[-1]

    # ---- what the screens do not offer

    def ask(self, login: Login, path: str, node: int = 0) -> Any:
        """GET something in a member's session."""
        return self._do(self._ask(login, path, node))

    async def _ask(self, login: Login, path: str, node: int) -> Any:
        person = await self._person(login)
        await person.open_session(node)
        return await person.call("GET", path, node=node)

    async def _person(self, login: Login) -> Person:
        if login.member not in self._people:
            signer = DeviceSigner.from_pem(login.key_pem.encode())
            person = Person(self._http, list(self.urls), signer, member=login.member, name=login.name)
            await person.open_session()
            self._people[login.member] = person
        return self._people[login.member]

    def grant_points(self, login: Login, amount: int) -> None:
        """Staff give a resident points."""
        self._do(self._grant(login, amount))

    async def _grant(self, login: Login, amount: int) -> None:
        staff, resident = await self._person(self.logins["staff"]), await self._person(login)
        activity = f"test-{time.time_ns()}"
        await self._demo.points(staff, resident, amount, activity, "参加楼道清洁")

    @contextmanager
    def second_member(self) -> Iterator[Login]:
        """A resident who sits on the committee meanwhile: then it takes the signatures of both."""
        login = self.new_resident()
        organisation = next(held for held in self.ask(login, "/api/v1/estate")["nodes"])["id"]
        self._do(self._change_committee("role.grant", login, organisation))
        try:
            yield login
        finally:
            self._do(self._change_committee("role.revoke", login, organisation))

    async def _change_committee(self, kind: str, login: Login, organisation: str) -> None:
        for node in self.cluster.nodes[:2]:
            officer = await self._person(self.officer(node.id))
            await officer.do(kind, {"member": login.member, "organisation": organisation, "role": "committee"})

    def open_motion(self, title: str) -> str:
        """The committee opens a motion with one question; returns its id."""
        return str(self._do(self._open_motion(title)))

    async def _open_motion(self, title: str, open_ms: int = 7 * DAY_MS) -> str:
        committee = await self._person(self.logins["committee"])
        if not self._demo.roll:
            motions = await committee.call("GET", "/api/v1/motions")
            page = await committee.call("GET", f"/api/v1/motions/{motions['items'][0]['id']}")
            self._demo.roll = page["roll"]
        text = "清洗并加装水箱护栏,费用从公共收益中支出。"
        return await self._demo.open_motion(committee, title, text, f"是否同意{title}?", open_ms)

    def open_short_motion(self, title: str) -> str:
        """A motion with three ballots that closes after the shortest time there may be; returns its id."""
        return str(self._do(self._open_short_motion(title)))

    async def _open_short_motion(self, title: str) -> str:
        motion = await self._open_motion(title, VOTING_MS_MIN + 5 * SECOND_MS)
        for role, choice in (("resident", "for"), ("resident_2", "against"), ("elder", "for")):
            voter = await self._person(self.logins[role])
            await voter.deliver(await self._demo.ballot(voter, motion, choice))
        return motion

    def await_result(self, motion: str) -> None:
        """Until a motion has closed, its votes are counted and all organisations have confirmed it."""
        committee, path = self.logins["committee"], f"/api/v1/motions/{motion}"
        wait_for(lambda: self.ask(committee, path).get("result", {}).get("grade") == "final", "a result", RESULT_S)

    def turnout(self, motion: str) -> int:
        """Heads that have voted, as the first node that runs has it."""
        node = next(place for place, one in enumerate(self.cluster.nodes) if one.pid)
        page = self.ask(self.logins["committee"], f"/api/v1/motions/{motion}", node)
        return int(page["turnout"]["heads"])


async def _open_http() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=PATIENCE_S))


def wait_for(holds: Callable[[], bool], what: str, within_s: float = PATIENCE_S) -> None:
    """Ask until it holds. Raises TimeoutError that says what was waited for."""
    deadline = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not come within {within_s:.0f} s")
        time.sleep(0.05)


@contextmanager
def running_estate(folder: Path) -> Iterator[Estate]:
    """`scripts/demo.py` with a new estate in this folder; stopped at the end, whatever happened."""
    port_base = find_demo_ports()
    command = [sys.executable, str(ROOT / "scripts" / "demo.py"), "--data", str(folder)]
    try:
        subprocess.run([*command, "--port-base", str(port_base), "--no-wait"], check=True, stdin=subprocess.DEVNULL)
        estate = Estate(folder, port_base)
        try:
            yield estate
        finally:
            estate.close()
    finally:
        subprocess.run([*command, "--stop"], check=True, stdin=subprocess.DEVNULL)


def find_demo_ports() -> int:
    """A first port such that those of three nodes, of their peers and of the simulators are free now."""
    above = [place + more for place in range(3) for more in (0, PEER_PORTS_ABOVE)] + [2000, 2001]
    for port_base in random.sample(PORTS, len(PORTS)):
        if all(_is_free(port_base + more) for more in above):
            return port_base
    raise RuntimeError("no free ports on this machine")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
