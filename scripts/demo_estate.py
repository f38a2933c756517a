"""The demo estate: organisations, residents, motions, tickets and points, made through the API as everybody else would.

Nothing is written as rows: rosters are imported by each organisation's officer, codes come by (simulated) text message,
and every change is a record signed by the device of the person who makes it.
"""

from __future__ import annotations

import asyncio
import io
import json
import re
import secrets
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

import aiohttp
from PIL import Image, ImageDraw

from client import ApiError, Person, SignedRecord, rehearsal
from cluster import Cluster
from server.gateway.roster import read_roster
from server.gateway.roster_homes import Roster
from server.gateway.roster_line import RosterLine
from server.limits import DAY_MS
from server.record.canonical import digest
from server.record.signature import DeviceSigner

ROOT = Path(__file__).resolve().parents[1]
SHARED_ROSTER = ROOT.parent / "shared" / "data" / "rosters" / "xiangshanyuan.xlsx"
OWN_ROSTER = ROOT / "scripts" / "samples" / "roster.csv"
OWN_PHOTO = ROOT / "scripts" / "samples" / "photo.jpg"
SHARED_PHOTOS = ROOT.parent / "shared" / "data" / "photos"
PRIVACY_VERSION = 1
CHOICES = [{"id": "for", "text": "同意"}, {"id": "against", "text": "反对"}, {"id": "abstain", "text": "弃权"}]
SHOP = "东门便民早餐店"
CODE_S = 10.0
ROLL_S = 10.0
"""How long a node may be behind the roll that another organisation published."""
_CODE_CHARACTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"


class Steps:
    """Mutable. What was done and how long it took; prints each step as it ends."""

    def __init__(self) -> None:
        self.done: list[tuple[str, float]] = []

    @contextmanager
    def step(self, text: str) -> Iterator[None]:
        """Time one step."""
        begin = time.perf_counter()
        if sys.stderr.isatty():  # in a file the line could not be written over
            print(f"  … {text}", end="\r", file=sys.stderr, flush=True)
        try:
            yield
        except BaseException:
            print(f"  ✗ {text}", file=sys.stderr, flush=True)
            raise
        seconds = time.perf_counter() - begin
        self.done.append((text, seconds))
        print(f"  ✓ {text}  ({seconds:.1f} s)", file=sys.stderr, flush=True)


@dataclass(slots=True)
class DemoEstate:
    """Mutable. A running cluster's people, and what they do."""

    cluster: Cluster
    http: aiohttp.ClientSession
    outbox_url: str
    steps: Steps = field(default_factory=Steps)
    roster: Roster = field(default_factory=lambda: Roster((), (), (), ()))
    roll: str = ""
    people: dict[str, Person] = field(default_factory=dict)
    homes: dict[str, RosterLine] = field(default_factory=dict)
    """Where each of the people stands on the roster, by member: so he can sign in on one more phone."""
    receipts: list[str] = field(default_factory=list)

    # ---- organisations

    async def officer(self, node_id: str) -> Person:
        """An organisation's officer, signed in at its own node."""
        place = [node.id for node in self.cluster.nodes].index(node_id)
        urls = self.cluster.urls
        pem = (self.cluster.data / node_id / f"officer-{node_id}.pem").read_bytes()
        person = Person(self.http, [urls[place], *urls[:place], *urls[place + 1 :]], DeviceSigner.from_pem(pem))
        person.member, person.name = f"officer-{node_id}", node_id
        await person.open_session()
        return person

    async def import_roster(self, path: Path) -> None:
        """Each organisation imports the roster; the first publishes the roll, the others confirm it."""
        self.roster = read_roster(path.read_bytes(), today())
        for node in self.cluster.nodes:
            officer = await self.officer(node.id)
            preview = await self._preview(officer, path, 0)
            if preview["bad_lines"]:
                preview = await self._preview(officer, path, len(preview["bad_lines"]))
            self.roll = await self._apply(officer, preview["import_id"])

    async def _apply(self, officer: Person, import_id: str) -> str:
        """Sign what an import still lacks; returns the roll.

        Another officer may be faster, or the node a block behind him: then it is asked again what is left, as the
        officer's page does.
        """
        deadline = time.monotonic() + ROLL_S
        while True:
            unsigned = await officer.call("POST", "/api/v1/roll/apply", json={"import_id": import_id})
            try:
                for record in unsigned["records"]:
                    self.keep(await officer.do(record["kind"], record["body"]))
            except ApiError as error:
                if error.code != "roll_part_out_of_order" or time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.1)
            else:
                return str(unsigned["roll"])

    async def _preview(self, officer: Person, path: Path, leave_out: int) -> Any:
        """What the roster says; its bad lines are left out once the officer has seen how many they are."""
        form = aiohttp.FormData()
        form.add_field("file", path.read_bytes(), filename=path.name)
        return await officer.call("POST", f"/api/v1/roll/preview?leave_out={leave_out}", data=form)

    async def grant(self, person: Person, role: str, organisation: str) -> None:
        """Officers of two organisations give a member a role."""
        for node in self.cluster.nodes[:2]:
            officer = await self.officer(node.id)
            body = {"member": person.member, "organisation": organisation, "role": role}
            self.keep(await officer.do("role.grant", body))

    async def name_shop(self, merchant: Person, name: str) -> None:
        """Each organisation names a merchant's shop at its own node."""
        for node in self.cluster.nodes:
            officer = await self.officer(node.id)
            await self._until_listed(officer, merchant)
            await officer.call("POST", "/api/v1/shops", json={"shop": merchant.member, "name": name})

    async def _until_listed(self, officer: Person, merchant: Person) -> None:
        """A node that is a block behind does not know the merchant yet."""
        for _ in range(100):
            shops = await officer.call("GET", "/api/v1/shops")
            if any(shop["id"] == merchant.member for shop in shops["items"]):
                return
            await asyncio.sleep(0.05)
        raise TimeoutError(f"{officer.name} does not list the merchant {merchant.member}")

    # ---- people

    def owners(self) -> list[RosterLine]:
        """Owners who are alone in one home and have a phone, in the order of the roster."""
        homes: dict[str, int] = {}
        documents: dict[str, int] = {}
        for line in self.roster.good:
            homes[line.room] = homes.get(line.room, 0) + 1
            documents[line.id_number] = documents.get(line.id_number, 0) + 1
        return [line for line in self.roster.good if line.phone and homes[line.room] == documents[line.id_number] == 1]

    async def verify(self, line: RosterLine, label: str = "phone") -> Person:
        """A resident proves himself to two organisations by the codes they send, and binds a new key."""
        person = Person(self.http, list(self.cluster.urls), DeviceSigner.generate())
        person.name = line.owner
        public = person.signer.public
        device_key = {"crv": public.crv, "kty": public.kty, "x": public.x, "y": public.y}
        attestations = []
        for node in range(2):
            asked = {"phone": line.phone, "name": line.owner, "room": line.room}
            seen = await self._codes(line.phone)
            await person.call("POST", "/api/v1/identity/phone-code", node=node, json=asked)
            code = await self._next_code(line.phone, seen)
            shown = {"phone": line.phone, "code": code, "device_key": device_key}
            answer = await person.call("POST", "/api/v1/identity/phone-attestation", node=node, json=shown)
            attestations.append(answer["attestation"])
            person.member = answer["member"]
        self.homes[person.member] = line
        person.estate = await self._estate(person)
        body = {
            "attestations": attestations,
            "device_key": device_key,
            "label": label,
            "member": person.member,
            "privacy_version": PRIVACY_VERSION,
        }
        self.keep(await person.do("device.bind", body))
        for node in range(len(self.cluster.urls)):
            await self._session(person, node)
        return person

    async def _session(self, person: Person, node: int) -> None:
        """A node that is a block behind does not know the device yet."""
        for attempt in range(20):
            try:
                await person.open_session(node)
                return
            except Exception:
                if attempt == 19:
                    raise
                await asyncio.sleep(0.1)

    async def _estate(self, person: Person) -> str:
        estate = await person.call("GET", "/api/v1/estate")
        return f"{estate['id']}.{estate['cluster_id'][:22]}"

    async def _codes(self, phone: str) -> list[str]:
        async with self.http.get(f"{self.outbox_url}/outbox", params={"phone": phone}) as response:
            messages = (await response.json())["messages"]
        return [str(message["values"]["code"]) for message in messages]

    async def _next_code(self, phone: str, seen: Sequence[str]) -> str:
        deadline = time.monotonic() + CODE_S
        while time.monotonic() < deadline:
            codes = await self._codes(phone)
            if len(codes) > len(seen):
                return codes[-1]
            await asyncio.sleep(0.05)
        raise TimeoutError(f"no code came by text message within {CODE_S:.0f} s")

    def keep(self, answer: Any) -> Any:
        """Keep an answer's receipt for the verifier."""
        if isinstance(answer, dict) and answer.get("receipt"):
            self.receipts.append(str(answer["receipt"]))
        return answer

    # ---- the three jobs

    async def open_motion(self, committee: Person, title: str, text: str, question: str, open_ms: int) -> str:
        """The committee opens a motion with one question on the roll in force; returns its id."""
        questions = [{"choices": CHOICES, "id": "q1", "seats": 0, "text": question}]
        body = rehearsal("other", self.roll, title, text, questions, time.time_ns() // 1_000_000 + open_ms)
        motion = str(self.keep(await committee.do("motion.propose", body))["id"])
        await committee.wait_for_motion(motion)
        return motion

    async def ballot(self, voter: Person, motion: str, choice: str, *, node: int = 0) -> Any:
        """A signed ballot for the voter's head, not yet posted."""
        page = await voter.call("GET", f"/api/v1/motions/{motion}", node=node)
        mine = page["mine"][0]
        body = {
            "choice": voter.seal([choice]),
            "motion": motion,
            "position": mine["position"],
            "question": mine["question"],
            "replaces": mine["ballot"],
            "roll": page["roll"],
        }
        return voter.sign("ballot.cast", body)

    async def photo(self, person: Person, data: bytes, *, node: int = 0) -> dict[str, Any]:
        """Upload a photo; returns how a record names it."""
        form = aiohttp.FormData()
        form.add_field("photo", data, filename="photo.jpg")
        answer = await person.call("POST", "/api/v1/photos", node=node, data=form)
        return {name: answer[name] for name in ("original_sha256", "sha256", "size")}

    async def report(self, person: Person, category: str, place: str, text: str, photos: list[dict[str, Any]]) -> str:
        """A ticket; returns its id."""
        body = {
            "category": category,
            "contact": person.seal(""),
            "home": False,
            "photos": photos,
            "place": person.seal(place),
            "text": person.seal(text),
        }
        return str(self.keep(await person.do("ticket.report", body))["id"])

    async def points(self, staff: Person, member: Person, amount: int, activity: str, reason: str) -> Any:
        """A grant of points."""
        body = {
            "activity": activity,
            "amount": amount,
            "member": member.member,
            "programme": "volunteer",
            "reason": reason,
        }
        return self.keep(await staff.do("points.grant", body))

    async def offer(self, merchant: Person, amount: int) -> tuple[str, str]:
        """A merchant's one-time code; returns (code, offer id)."""
        code = "".join(secrets.choice(_CODE_CHARACTERS) for _ in range(26))
        name = digest(code.encode())
        due_ms = time.time_ns() // 1_000_000 + 600_000
        self.keep(await merchant.do("offer.make", {"amount": amount, "code_hash": name, "due_ms": due_ms}))
        return code, name

    async def http_post(self, person: Person, record: SignedRecord, node: int) -> Any:
        """Post a record to one node."""
        return await person.deliver(record, first=node)

    # ---- the whole estate

    def write_logins(self) -> None:
        """DIR/logins.json, for people and tests that drive the demo (demo only: it holds private keys)."""
        logins = {role: self._login(person) for role, person in self.people.items()}
        path = self.cluster.data / "logins.json"
        path.touch(mode=0o600)
        path.write_text(json.dumps(logins, ensure_ascii=False, indent=1), "utf-8")

    def _login(self, person: Person) -> dict[str, Any]:
        return {
            "member": person.member,
            "name": person.name,
            "base_urls": self.cluster.urls,
            "device_key_pem": person.signer.pem().decode(),
            "kid": person.signer.kid,
            "room": self.homes[person.member].room,
            "phone": self.homes[person.member].phone,
        }


def today() -> date:
    """The day here, by which a birth date may not lie in the future."""
    return datetime.now().astimezone().date()


def roster_path() -> Path:
    """The roster of the demo estate: the shared one if it is there, else the project's own small one."""
    return SHARED_ROSTER if SHARED_ROSTER.exists() else OWN_ROSTER


def born(line: RosterLine) -> int:
    """Year of birth on an identity card, or 2000."""
    found = re.fullmatch(r"\d{6}(\d{4})\d{7}[\dX]", line.id_number)
    return int(found[1]) if found else 2000


ROLES = {
    "staff": ("staff", "property"),
    "committee": ("committee", "owners"),
    "property": ("staff", "property"),
    "merchant": ("merchant", "property"),
    "auditor": ("auditor", "street"),
}
"""Logins that hold a role, and for which organisation."""


async def load_estate(estate: DemoEstate) -> None:
    """Fill a new cluster: roll, people with their roles, motions, tickets, points."""
    step = estate.steps.step
    with step("名册导入并由两家机构确认 / roster imported, confirmed by the organisations"):
        await estate.import_roster(roster_path())
    owners = estate.owners()
    eldest = min(owners, key=born)
    others = iter(line for line in owners if line is not eldest)
    with step("居民与工作人员实名核验 / eight people verified by two organisations each"):
        estate.people["elder"] = await estate.verify(eldest, "tablet")
        for role in ("resident", "resident_2", *ROLES):
            estate.people[role] = await estate.verify(next(others))
    with step("两家机构授予岗位 / roles granted by officers of two organisations"):
        for role, (name, organisation) in ROLES.items():
            await estate.grant(estate.people[role], name, organisation)
    with step("各机构登记商户名称 / the shop named by each organisation"):
        await estate.name_shop(estate.people["merchant"], SHOP)
    estate.write_logins()
    with step("表决、诉求、积分 / motions, tickets and points"):
        await _fill(estate)


async def _fill(estate: DemoEstate) -> None:
    people = estate.people
    committee, staff, merchant = people["committee"], people["staff"], people["merchant"]
    resident, elder = people["resident"], people["elder"]
    lift = "3号楼加装电梯:费用由受益业主分摊,方案与预算见公示栏。请您选择是否同意。"
    await estate.open_motion(committee, "3号楼加装电梯表决", lift, "是否同意在3号楼加装电梯?", 14 * DAY_MS)
    parking = "西门停车位改为昼夜分时使用,白天对访客开放,收益归公共收益账户。"
    await estate.open_motion(committee, "西门停车位分时使用", parking, "是否同意西门停车位分时使用?", 30 * DAY_MS)
    picture = await estate.photo(resident, sample_photo())
    ticket = await estate.report(resident, "lighting", "2号楼大堂", "大堂顶灯不亮,晚上看不清台阶。", [picture])
    estate.keep(await staff.do("ticket.assign", {"handler": staff.member, "ticket": ticket}))
    await estate.report(elder, "lift", "5号楼电梯", "电梯关门时有异响。", [])
    for person in (resident, elder, people["resident_2"]):
        await estate.points(staff, person, 120, f"welcome-{secrets.token_hex(4)}", "参加楼道清洁")
    _, offer = await estate.offer(merchant, 30)
    body = {"amount": 30, "offer": offer, "shop": merchant.member}
    estate.keep(await people["resident_2"].do("points.redeem", body))


def sample_photo() -> bytes:
    """A real photo if the shared ones are there, else a small drawn one; another one each time.

    Cameras print the time into a corner, and so does this: a photo belongs to the ticket that named it first.
    """
    shared = SHARED_PHOTOS / "landscape_6.jpg"
    taken, written = io.BytesIO(), f"{datetime.now().astimezone():%Y-%m-%d %H:%M:%S} {secrets.token_hex(4)}"
    with Image.open(shared if shared.exists() else OWN_PHOTO) as picture:
        ImageDraw.Draw(picture).text((8, 8), written, fill="orange")
        picture.save(taken, "JPEG", quality=90, exif=picture.getexif())
    return taken.getvalue()
