"""Tickets and their photos are shown to those who have to do with them; to everybody else they do not exist."""

from __future__ import annotations

import hashlib
import io
from typing import Any

import aiohttp
import pytest

from client import ApiError, Person
from server.api import photos
from server.domain.ticket import TRANSITIONS, Ticket
from tests.api.pictures import jpeg
from tests.api.running import Site

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def upload(person: Person, data: bytes, name: str = "photo") -> dict[str, Any]:
    form = aiohttp.FormData()
    form.add_field(name, data, filename="a.jpg", content_type="image/jpeg")
    return dict(await person.call("POST", "/api/v1/photos", data=form))


def named(photo: dict[str, Any]) -> dict[str, Any]:
    return {name: photo[name] for name in ("original_sha256", "sha256", "size")}


async def report(person: Person, *pictures: dict[str, Any]) -> str:
    body = {
        "category": "water",
        "contact": person.seal("13800000000"),
        "home": True,
        "photos": [named(picture) for picture in pictures],
        "place": person.seal("1-301 厨房"),
        "text": person.seal("水管漏水"),
    }
    return str((await person.do("ticket.report", body))["id"])


async def staff(site: Site, member: str) -> Person:
    person = await site.bind(member)
    await site.grant(member, "staff")
    return person


async def status_of(person: Person, path: str) -> int:
    headers = {"Authorization": f"Bearer {person.tokens[person.urls[0]]}"}
    async with person.http.get(person.urls[0] + path, headers=headers) as response:
        return response.status


async def test_reporter_and_staff_read_the_private_texts_others_find_nothing(site: Site) -> None:
    reporter, neighbour, worker = await site.bind("t-1"), await site.bind("t-2"), await staff(site, "t-staff-1")
    ticket = await report(reporter)
    for person in (reporter, worker):
        page = await person.call("GET", f"/api/v1/tickets/{ticket}")
        assert (page["place"], page["text"], page["contact"]) == ("1-301 厨房", "水管漏水", "13800000000")
        assert page["state"] == "submitted"
    assert await status_of(neighbour, f"/api/v1/tickets/{ticket}") == 404
    assert (await neighbour.call("GET", "/api/v1/tickets"))["items"] == []
    assert ticket in [one["id"] for one in (await worker.call("GET", "/api/v1/tickets"))["items"]]
    [summary] = (await reporter.call("GET", "/api/v1/tickets"))["items"]
    assert (summary["id"], summary["place"], summary["state"]) == (ticket, "1-301 厨房", "submitted")


async def test_whole_life_of_a_ticket_is_told_step_by_step(site: Site) -> None:
    reporter, worker = await site.bind("t-3"), await staff(site, "t-staff-2")
    ticket = await report(reporter, await upload(reporter, jpeg("green")))
    await worker.do("ticket.assign", {"handler": worker.member, "ticket": ticket})
    await worker.do("ticket.progress", {"note": worker.seal("已到现场"), "photos": [], "ticket": ticket})
    after = await upload(worker, jpeg("blue"))
    await worker.do("ticket.complete", {"note": worker.seal("已换水管"), "photos": [named(after)], "ticket": ticket})
    await reporter.do("ticket.confirm", {"ticket": ticket})
    page = await reporter.call("GET", f"/api/v1/tickets/{ticket}")
    steps = [(step["kind"], step["state"], step["by"], step["note"]) for step in page["history"]]
    assert steps == [
        ("ticket.report", "submitted", "t-3", ""),
        ("ticket.assign", "assigned", "t-staff-2", ""),
        ("ticket.progress", "in_progress", "t-staff-2", "已到现场"),
        ("ticket.complete", "done", "t-staff-2", "已换水管"),
        ("ticket.confirm", "confirmed", "t-3", ""),
    ]
    assert page["history"][3]["photos"] == [after["sha256"]]
    assert (page["state"], page["organisation"], page["may"]) == ("confirmed", "street", ["reopen"])


async def test_what_one_may_do_follows_state_and_person(site: Site) -> None:
    reporter, worker, colleague = (
        await site.bind("t-4"),
        await staff(site, "t-staff-3"),
        await staff(site, "t-staff-4"),
    )
    ticket = await report(reporter)

    async def may() -> list[list[str]]:
        people = (reporter, worker, colleague)
        return [(await person.call("GET", f"/api/v1/tickets/{ticket}"))["may"] for person in people]

    assert await may() == [[], ["assign"], ["assign"]]
    await worker.do("ticket.assign", {"handler": worker.member, "ticket": ticket})
    assert await may() == [[], ["assign", "progress", "complete"], ["assign", "progress"]]
    photo = await upload(worker, jpeg("white"))
    await worker.do("ticket.complete", {"note": worker.seal(""), "photos": [named(photo)], "ticket": ticket})
    assert await may() == [["confirm", "reopen"], [], []]
    row = await site.node.queries.get(Ticket, ticket)
    assert row is not None
    assert set(TRANSITIONS[row.state]) >= {"ticket.confirm", "ticket.reopen"}


async def test_photo_is_cleaned_and_shown_by_right(site: Site) -> None:
    reporter, neighbour, worker = await site.bind("t-5"), await site.bind("t-6"), await staff(site, "t-staff-5")
    original = jpeg("purple")
    photo = await upload(reporter, original)
    assert photo["original_sha256"] == hashlib.sha256(original).hexdigest()
    path = f"/api/v1/photos/{photo['sha256']}"
    assert [await status_of(person, path) for person in (reporter, neighbour, worker)] == [200, 404, 404]
    await report(reporter, photo)
    assert [await status_of(person, path) for person in (reporter, neighbour, worker)] == [200, 404, 200]
    kept = await worker.call("GET", path)
    assert hashlib.sha256(kept).hexdigest() == photo["sha256"]
    assert (len(kept), b"my home" in kept, b"my home" in original) == (photo["size"], False, True)
    small = await worker.call("GET", photo["thumbnail"])
    assert small[8:12] == b"WEBP"


async def test_naming_another_members_photo_gives_no_right_to_it(site: Site) -> None:
    reporter, curious, worker = await site.bind("t-12"), await site.bind("t-13"), await staff(site, "t-staff-12")
    photo = await upload(reporter, jpeg("teal"))
    path = f"/api/v1/photos/{photo['sha256']}"
    await report(reporter, photo)
    await report(curious, photo)
    assert [await status_of(person, path) for person in (reporter, curious, worker)] == [200, 404, 200]
    assert (await upload(curious, jpeg("teal")))["sha256"] == photo["sha256"]
    assert await status_of(curious, path) == 200, "he has the picture himself"


@pytest.mark.parametrize(
    ("said", "detail"), [({"size": 5}, "another size"), ({"original_sha256": "0" * 64}, "not the photo's original")]
)
async def test_a_record_says_of_its_photos_what_the_upload_answered(
    site: Site, said: dict[str, Any], detail: str
) -> None:
    reporter = await site.bind(f"t-says-{next(iter(said))[0]}")
    photo = await upload(reporter, jpeg("purple"))
    with pytest.raises(ApiError) as caught:
        await report(reporter, {**photo, **said})
    assert caught.value.status == 400
    assert detail in str(caught.value.problem)
    await report(reporter, photo)


async def test_who_no_longer_handles_tickets_sees_none_that_was_his(site: Site) -> None:
    reporter, worker = await site.bind("t-14"), await staff(site, "t-staff-14")
    ticket = await report(reporter)
    await worker.do("ticket.assign", {"handler": worker.member, "ticket": ticket})
    assert await status_of(worker, f"/api/v1/tickets/{ticket}") == 200
    await site.officer.do("role.revoke", {"member": worker.member, "organisation": "street", "role": "staff"})
    assert await status_of(worker, f"/api/v1/tickets/{ticket}") == 404


async def test_photo_is_private_to_caches_and_not_sent_twice(site: Site) -> None:
    person = await site.bind("t-7")
    photo = await upload(person, jpeg("yellow"))
    headers = {"Authorization": f"Bearer {person.tokens[site.url]}"}
    path = f"/api/v1/photos/{photo['sha256']}"
    status, first, _ = await site.ask("GET", path, headers=headers)
    assert (status, first["Content-Type"]) == (200, "image/jpeg")
    assert first["Cache-Control"].startswith("private")
    status, _, body = await site.ask("GET", path, headers=headers | {"If-None-Match": first["ETag"]})
    assert (status, body) == (304, b"")
    _, small, _ = await site.ask("GET", f"{path}?size=thumbnail", headers=headers)
    assert (small["Content-Type"], small["ETag"] != first["ETag"]) == ("image/webp", True)


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (b"", 415, "photo_not_readable"),
        (b"not a picture", 415, "photo_not_readable"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", 415, "photo_not_readable"),
        (jpeg()[:400], 422, "photo_damaged"),
        (jpeg() + bytes(12 * 1024 * 1024), 413, "photo_too_large"),
    ],
)
async def test_bad_photo_is_refused_by_name(site: Site, data: bytes, status: int, code: str) -> None:
    person = await site.bind("t-8")
    headers = {"Authorization": f"Bearer {person.tokens[site.url]}"}
    form = aiohttp.FormData()
    form.add_field("photo", io.BytesIO(data), filename="a.jpg", content_type="image/jpeg")
    answered, _, problem = await site.ask("POST", "/api/v1/photos", data=form, headers=headers)
    assert (answered, problem["code"]) == (status, code)


async def test_form_must_hold_exactly_one_file_in_its_field(site: Site) -> None:
    person = await site.bind("t-9")
    headers = {"Authorization": f"Bearer {person.tokens[site.url]}"}
    for names in (["picture"], ["photo", "photo"], ["photo", "other"]):
        form = aiohttp.FormData()
        for name in names:
            form.add_field(name, jpeg(), filename="a.jpg")
        status, _, problem = await site.ask("POST", "/api/v1/photos", data=form, headers=headers)
        assert (status, problem["code"], problem["field"]) == (400, "malformed", "photo")
    form_type = {"Content-Type": "multipart/form-data; boundary=x"}
    for body in (b"", b"--x", b"--x\r\n\r\n", b"--x\r\n[]--x--\r\n", b"\x00" * 100):
        status, _, problem = await site.ask("POST", "/api/v1/photos", data=body, headers=headers | form_type)
        assert (status, problem["code"]) == (400, "malformed")


async def test_member_cannot_upload_more_than_the_quota_in_a_day(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photos, "QUOTA_BYTES", 1)
    person, other = await site.bind("t-10"), await site.bind("t-11")
    await upload(person, jpeg("black"))
    headers = {"Authorization": f"Bearer {person.tokens[site.url]}"}
    form = aiohttp.FormData()
    form.add_field("photo", jpeg("orange"), filename="a.jpg")
    status, _, problem = await site.ask("POST", "/api/v1/photos", data=form, headers=headers)
    assert (status, problem["code"]) == (429, "photo_quota")
    assert (await upload(other, jpeg("orange")))["sha256"]
