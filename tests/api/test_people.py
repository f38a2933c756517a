"""People who own no home: an officer adds them from their document, and then they are attested like everybody."""

from __future__ import annotations

import logging
from typing import Any

import msgspec
import pytest

from server.record.signature import DeviceSigner
from tests.api.running import ME, Site

pytestmark = pytest.mark.asyncio(loop_scope="module")
CLERK = {
    "name": "周倩",
    "document_kind": "resident_card",
    "document_number": "110101199003078515",
    "phone": "13700000001",
}
ROSTER = """幢号,室号,业主姓名,证件类型,证件号码,手机号,建筑面积,产权份额
1,101,王小明,身份证,11010519491231002X,13800000001,80.00,1
"""


async def call(site: Site, method: str, path: str, **options: Any) -> tuple[int, Any]:
    headers = {"Authorization": f"Bearer {site.officer.tokens[site.url]}"}
    status, _, answer = await site.ask(method, path, headers=headers, **options)
    return status, answer


async def add(site: Site, **changes: str) -> tuple[int, Any]:
    return await call(site, "POST", "/api/v1/people/added", json=CLERK | changes)


async def test_added_person_is_attested_bound_and_given_a_role(site: Site) -> None:
    status, person = await add(site)
    assert (status, person["name"], person["rooms"], person["phone_tail"]) == (200, "周倩", [], "0001")
    member = person["member"]
    signer = DeviceSigner.generate()
    body = {"member": member, "device_key": msgspec.to_builtins(signer.public)}
    status, attested = await call(site, "POST", "/api/v1/identity/document-attestation", json=body)
    assert (status, attested["attestation"]["evidence"]) == (200, "document")
    await site.bind(member, "document")
    await site.grant(member, "staff")
    _, offices = await call(site, "GET", "/api/v1/roles")
    [held] = [one for one in offices["held"] if one["member"] == member]
    assert held == {"member": member, "name": "周倩", "role": "staff", "organisation": ME, "devices": 1}
    status, problem = await call(site, "DELETE", f"/api/v1/people/added/{member}")
    assert (status, problem["code"]) == (409, "person_has_role")
    await site.officer.do("role.revoke", {"member": member, "organisation": ME, "role": "staff"})
    assert (await call(site, "DELETE", f"/api/v1/people/added/{member}"))[0] == 204
    assert (await call(site, "GET", "/api/v1/people/added"))[1]["items"] == []


async def test_same_document_is_the_same_member_however_it_is_typed(site: Site) -> None:
    first = (await add(site, document_number="1101 0119 9003 0785 15"))[1]
    second = (await add(site, name="周茜", document_number="１１０１０１１９９００３０７８５１５"))[1]
    assert second["member"] == first["member"]
    [kept] = (await call(site, "GET", "/api/v1/people/added"))[1]["items"]
    assert (kept["name"], kept["document_masked"]) == ("周茜", "110*************15")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"document_number": "110101199003078516"}, "body.document_number"),
        ({"document_number": ""}, "body.document_number"),
        ({"document_kind": "passport", "document_number": "?"}, "body.document_number"),
        ({"document_kind": "company_code", "document_number": "91310000MA1FL00000"}, "body.document_number"),
        ({"name": "周倩、李娜"}, "body.name"),
        ({"name": "12345"}, "body.name"),
        ({"phone": "12345"}, "body.phone"),
    ],
)
async def test_what_cannot_be_a_persons_is_refused_by_its_field(
    site: Site, changes: dict[str, str], field: str
) -> None:
    status, problem = await add(site, **changes)
    assert (status, problem["code"], problem["field"]) == (400, "person_details_bad", field)


async def test_owner_keeps_the_name_that_the_roster_gives(site: Site) -> None:
    await site.import_roster(ROSTER)
    status, problem = await add(site, name="王大明", document_number="11010519491231002X")
    assert (status, problem["code"]) == (409, "person_owns")
    assert (await call(site, "GET", "/api/v1/people?query=王小明"))[1]["items"][0]["phone_tail"] == "0001"


async def test_only_officers_of_this_organisation_add_and_see_people(site: Site) -> None:
    resident = await site.bind("m-somebody")
    headers = {"Authorization": f"Bearer {resident.tokens[site.url]}"}
    for method, path, options in (
        ("POST", "/api/v1/people/added", {"json": CLERK}),
        ("GET", "/api/v1/people/added", {}),
        ("DELETE", "/api/v1/people/added/m-nobody", {}),
        ("GET", "/api/v1/roles", {}),
        ("GET", "/api/v1/roll/standing", {}),
    ):
        status, _, problem = await site.ask(method, path, headers=headers, **options)
        assert (status, problem["code"]) == (403, "role_needed")
        assert (await site.ask(method, path, **options))[0] == 401


async def test_person_whom_nobody_added_cannot_be_removed(site: Site) -> None:
    status, problem = await call(site, "DELETE", "/api/v1/people/added/m-nobody")
    assert (status, problem["code"]) == (404, "person_unknown")


async def test_roles_name_officers_and_what_each_has_signed(site: Site) -> None:
    _, offices = await call(site, "GET", "/api/v1/roles")
    assert offices["approvals"] == 1
    [officer] = [one for one in offices["held"] if one["role"] == "officer"]
    assert (officer["member"], officer["organisation"], officer["devices"]) == (site.officer.member, ME, 1)


async def test_nothing_personal_is_logged(
    site: Site, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    await add(site, phone="13700000007")
    await add(site, document_number="110101199003078516")
    await call(site, "GET", "/api/v1/people/added")
    captured = capsys.readouterr()
    written = captured.out + captured.err + caplog.text
    assert "person_added" in written
    for secret in ("周倩", "110101199003078515", "110101199003078516", "13700000007"):
        assert secret not in written
