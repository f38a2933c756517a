"""Admission: what is malformed, unauthorised or incomplete never waits to be ordered; everything else does."""

from __future__ import annotations

import asyncio
from hashlib import sha256
from typing import Any

import msgspec
import pytest

from client import Person, SignedRecord
from server.limits import OPENINGS_MAX
from server.node.admission import Admission, AttachmentMissing, Unauthorised
from server.record.canonical import Malformed
from server.record.shape import seal
from tests.api.running import Site

pytestmark = pytest.mark.asyncio(loop_scope="module")


def admission(site: Site) -> Admission:
    parts = site.node.parts
    return Admission(parts.ledger.rows, parts.attachments, parts.estate, lambda: parts.rules)


def report(person: Person, **changes: Any) -> SignedRecord:
    body = {"category": "door", "contact": person.seal(""), "home": False, "photos": [], "place": person.seal("")}
    return person.sign("ticket.report", {**body, "text": person.seal("门坏了"), **changes})


def bind(site: Site, person: Person, member: str, signed_by: Person | None = None) -> SignedRecord:
    attestation = site.node.attest(member, person.signer.kid, "phone")
    body = {
        "attestations": [msgspec.to_builtins(attestation)],
        "device_key": msgspec.to_builtins(person.signer.public),
        "label": "phone",
        "member": member,
        "privacy_version": 1,
    }
    return (signed_by or person).sign("device.bind", body, author=member)


async def test_a_good_record_is_admitted(site: Site) -> None:
    record = report(await site.bind("m-good"))
    work, _ = await admission(site).admit(record.jws, record.openings)
    assert work.envelope.id == record.id
    assert len(admission(site).pairs(work, record.openings)) == 3


async def test_what_has_no_form_is_malformed(site: Site) -> None:
    person = await site.bind("m-form")
    for jws in ("", "x", "a.b.c", report(person).jws + "=", person.sign("no.such.kind", {}).jws):
        with pytest.raises(Malformed):
            await admission(site).admit(jws, ())
    person.estate = "other." + "A" * 22
    with pytest.raises(Malformed):
        await admission(site).admit(report(person).jws, ())


async def test_openings_must_be_those_that_the_record_names(site: Site) -> None:
    record = report(await site.bind("m-openings"))
    stranger = seal("something else", bytes(16))[1]
    with pytest.raises(Malformed, match="fits no commitment"):
        await admission(site).admit(record.jws, (*record.openings, stranger))
    with pytest.raises(Malformed, match="too many"):
        await admission(site).admit(record.jws, record.openings * OPENINGS_MAX)


async def test_an_opening_must_hold_a_value_of_its_fields_type(site: Site) -> None:
    person = await site.bind("m-type")
    record = report(person, text=person.seal(7))
    with pytest.raises(Malformed):
        await admission(site).admit(record.jws, record.openings)


async def test_a_missing_opening_is_named(site: Site) -> None:
    record = report(await site.bind("m-missing"))
    with pytest.raises(AttachmentMissing) as caught:
        await admission(site).admit(record.jws, record.openings[1:])
    assert len(caught.value.names) == 1


async def test_a_photo_that_is_not_here_is_missing(site: Site) -> None:
    person = await site.bind("m-photo")
    jpeg = b"\xff\xd8\xff" + b"picture" * 10
    name = sha256(jpeg).hexdigest()
    record = report(person, photos=[{"original_sha256": "0" * 64, "sha256": name, "size": len(jpeg)}])
    with pytest.raises(AttachmentMissing) as caught:
        await admission(site).admit(record.jws, record.openings)
    assert caught.value.names == (name,)


async def test_a_key_that_the_ledger_does_not_know_is_unauthorised(site: Site) -> None:
    stranger = site.device()
    stranger.member = "m-stranger"
    record = report(stranger)
    with pytest.raises(Unauthorised, match="no device"):
        await admission(site).admit(record.jws, record.openings)


async def test_a_wrong_signature_is_unauthorised(site: Site) -> None:
    person, other = await site.bind("m-signature"), site.device()
    record, foreign = report(person), report(other)
    content, signature = record.jws.rpartition(".")[0], foreign.jws.rpartition(".")[2]
    with pytest.raises(Unauthorised, match="signature"):
        await admission(site).admit(f"{content}.{signature}", record.openings)


async def test_a_key_is_bound_only_by_itself(site: Site) -> None:
    person, other = site.device(), await site.bind("m-other")
    with pytest.raises(Unauthorised, match="binds"):
        await admission(site).admit(bind(site, person, "m-stolen", signed_by=other).jws, ())
    assert await admission(site).admit(bind(site, person, "m-own").jws, ())


async def test_a_record_may_come_before_the_binding_of_its_key_is_stored(site: Site) -> None:
    person = site.device()
    person.member = "m-early"
    record, binding = report(person), bind(site, person, "m-early")
    with pytest.raises(Unauthorised):
        await admission(site).admit(record.jws, record.openings)
    waiting = asyncio.create_task(admission(site).admit(record.jws, record.openings))
    await asyncio.sleep(0.1)
    await person.post(binding)
    work, _ = await waiting
    assert work.envelope.id == record.id


async def test_a_record_that_a_rule_will_refuse_is_admitted_all_the_same(site: Site) -> None:
    person = await site.bind("m-refused")
    record = person.sign("role.grant", {"member": "m-refused", "organisation": "street", "role": "committee"})
    work, _ = await admission(site).admit(record.jws, ())
    assert await site.node.preview(work) == "role_missing"
