"""Openings, photos, sessions, tries, codes and WeChat accounts: what a node keeps beside the ledger."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest

from server.domain.plan import RecordWork
from server.record.canonical import digest
from server.storage.attempts import AttemptStore, PhoneCodeStore, WechatIdentityStore
from server.storage.database import Database
from server.storage.openings import HeldOpening, OpeningStore
from server.storage.photos import KeptPhoto, PhotoIndex, PhotoUpload
from server.storage.sessions import FAMILY_LIFE_MS, REUSE_MS, SessionStore
from server.storage.statements import fetch
from server.storage.transcripts import TranscriptStore
from server.storage.vault import Cell, Vault, WrongKey, check_vault, create_key
from tests.storage.estate import VAULT_KEY, Estate

NOW_MS = 1_800_000_000_000
DAY_MS = 86_400_000


@pytest.fixture
def vault() -> Vault:
    return Vault(VAULT_KEY)


# Vault


def test_sealed_value_opens_only_in_its_place(vault: Vault) -> None:
    cell = Cell("person", "sealed_name", "m-1")
    sealed = vault.seal(cell, "薛伟强".encode())
    assert vault.unseal(cell, sealed).decode() == "薛伟强"
    assert vault.seal(cell, b"x") != vault.seal(cell, b"x"), "equal values do not look equal"
    for other in (Cell("home", *cell[1:]), cell._replace(column="sealed_identity"), cell._replace(id="m-2")):
        with pytest.raises(WrongKey, match="does not open"):
            vault.unseal(other, sealed)
    for damaged in (b"", sealed[:-1], sealed[1:], b"\x02" + sealed[1:], sealed[:-1] + bytes([sealed[-1] ^ 1])):
        with pytest.raises(WrongKey):
            vault.unseal(cell, damaged)
    with pytest.raises(WrongKey):
        Vault(bytes(32)).unseal(cell, sealed)


def test_keyed_hashes_differ_by_key_and_purpose(vault: Vault) -> None:
    hashes = {vault.keyed_hash("phone", "1"), vault.keyed_hash("name", "1"), Vault(bytes(32)).keyed_hash("phone", "1")}
    assert len(hashes) == 3
    assert vault.keyed_hash("phone", "1") == Vault(VAULT_KEY).keyed_hash("phone", "1")


def test_key_is_never_shown(vault: Vault) -> None:
    assert VAULT_KEY.hex() not in repr(vault) and str(VAULT_KEY) not in repr(vault)
    with pytest.raises(WrongKey, match="32 bytes") as caught:
        Vault(b"short key")
    assert "short key" not in str(caught.value)


def test_key_file_must_be_there_right_and_private(tmp_path: Path) -> None:
    path = tmp_path / "vault.key"
    with pytest.raises(WrongKey, match="missing"):
        Vault.from_file(path)
    create_key(path)
    Vault.from_file(path)
    with pytest.raises(FileExistsError):
        create_key(path)
    path.chmod(0o640)
    with pytest.raises(WrongKey, match="read by others"):
        Vault.from_file(path)
    path.chmod(0o600)
    path.write_text("not a key\n")
    with pytest.raises(WrongKey, match="not a key"):
        Vault.from_file(path)


async def test_wrong_key_is_noticed_at_the_start(database: Database, vault: Vault) -> None:
    await check_vault(database, vault)
    await check_vault(database, Vault(VAULT_KEY))
    with pytest.raises(WrongKey, match="restore the right one"):
        await check_vault(database, Vault(bytes(32)))


# Openings


async def test_openings_are_held_sealed_and_by_record(database: Database, vault: Vault) -> None:
    store = OpeningStore(database, vault)
    one, two = digest(b"record 1"), digest(b"record 2")
    opening = b"0123456789abcdef" + '"私下的话"'.encode()
    commitment = digest(opening)
    await store.hold([HeldOpening(one, commitment, opening)], NOW_MS)
    assert await store.missing([(one, commitment), (two, commitment)]) == [(two, commitment)], "a copy opens nothing"
    assert await store.of_records([one, two]) == {one: {commitment: opening}}
    [(sealed,)] = await database.read(lambda connection: fetch(connection, 'SELECT "sealed_opening" FROM "opening"'))
    assert b"0123456789abcdef" not in bytes(sealed)
    await store.hold([HeldOpening(one, commitment, b"another")], NOW_MS)
    assert await store.of_records([one]) == {one: {commitment: opening}}
    await store.forget(two)
    assert await store.missing([(one, commitment)]) == []
    await store.forget(one)
    assert await store.of_records([one]) == {}
    assert await store.missing([]) == []


async def test_openings_that_no_block_ordered_are_collected(estate: Estate, vault: Vault) -> None:
    motion = await estate.add_motion(2)
    ballot, store = estate.ballot(motion, 0), estate.ledger.openings
    [(commitment, opening)] = estate.openings.items()
    estate.openings.clear()
    _, works = await estate.execute([ballot])
    assert isinstance(works[0], RecordWork)
    record, orphan = works[0].signed.id, digest(b"orphan")
    held = [HeldOpening(record, commitment, opening), HeldOpening(orphan, commitment, opening)]
    await store.hold(held, NOW_MS)
    await estate.accept(ballot)
    assert await store.collect_orphans(NOW_MS) == 0, "not older than that"
    assert await store.collect_orphans(NOW_MS + 1) == 1
    assert await store.of_records([record, orphan]) == {record: {commitment: opening}}


async def test_record_whose_fields_share_a_commitment_is_stored(estate: Estate) -> None:
    await estate.accept(estate.bind(7, "m-7"))
    same = estate.hide("同", "one salt")
    body = {"category": "water", "contact": same, "home": True, "photos": [], "place": same, "text": same}
    record = await estate.accept(estate.sign(7, "m-7", "ticket.report", body))
    assert set((await estate.ledger.openings.of_records([record]))[record]) == {same}


# Photos


def photo(name: bytes, kept_ms: int = NOW_MS, source: str = "owners") -> KeptPhoto:
    return KeptPhoto(sha256(name).hexdigest(), 1_000, source, kept_ms)


def upload(kept: KeptPhoto, member: str, original: bytes = b"original") -> PhotoUpload:
    original_sha256 = sha256(original).hexdigest()
    return PhotoUpload(kept.sha256, original_sha256, member, kept.source, kept.photo_bytes, kept.kept_ms)


async def test_photo_is_known_with_everybody_who_uploaded_it(database: Database) -> None:
    index, kept = PhotoIndex(database), photo(b"1")
    uploads = [upload(kept, "m-0"), upload(kept, "m-9"), upload(kept, "m-9", b"another file of the same picture")]
    for one in uploads:
        await index.keep([kept], [one])
    await index.keep([kept], uploads)
    assert sorted(await index.uploads(kept.sha256)) == sorted(uploads)
    assert await index.uploads(photo(b"2").sha256) == []


async def test_quota_counts_what_a_member_uploaded_at_a_node_since(database: Database) -> None:
    index = PhotoIndex(database)
    for name, kept_ms in ((b"1", NOW_MS), (b"2", NOW_MS + 5), (b"3", NOW_MS - 1)):
        await index.keep([photo(name, kept_ms)], [upload(photo(name, kept_ms), "m-0")])
    await index.keep([photo(b"4")], [upload(photo(b"4"), "m-9")])
    elsewhere = photo(b"5", source="street")
    await index.keep([elsewhere], [upload(elsewhere, "m-0")])
    assert await index.uploaded_bytes("m-0", "owners", NOW_MS) == 2_000
    assert await index.uploaded_bytes("m-0", "street", NOW_MS) == 1_000
    assert await index.uploaded_bytes("m-5", "owners", NOW_MS) == 0
    assert (await index.unnamed_bytes("owners"), await index.unnamed_bytes("street")) == (4_000, 1_000)


async def test_photo_that_an_ordered_record_names_is_no_orphan(estate: Estate) -> None:
    index = PhotoIndex(estate.ledger.database)
    await estate.accept(estate.bind(100, "m-0"))
    mine, unused, others = photo(b"1"), photo(b"2"), photo(b"3", source="street")
    for kept, member in ((mine, "m-0"), (unused, "m-0"), (others, "m-9")):
        await index.keep([kept], [upload(kept, member)])
    body = {
        "category": "lift",
        "contact": estate.hide("", "c"),
        "home": False,
        "photos": [{"original_sha256": "0" * 64, "sha256": kept.sha256, "size": 1_000} for kept in (mine, others)],
        "place": estate.hide("", "p"),
        "text": estate.hide("电梯异响", "t"),
    }
    await estate.accept(estate.sign(100, "m-0", "ticket.report", body))
    assert await index.orphans(NOW_MS + 1, 9) == [unused.sha256]
    assert await index.orphans(NOW_MS, 9) == []
    assert (await index.unnamed_bytes("owners"), await index.unnamed_bytes("street")) == (1_000, 0)


async def test_photo_that_is_wanted_again_is_not_forgotten(database: Database) -> None:
    index, kept = PhotoIndex(database), photo(b"1")
    await index.keep([kept], [upload(kept, "m-0")])
    await index.keep([photo(b"1", NOW_MS + 7)])
    await index.keep([photo(b"1", NOW_MS + 3)])
    assert not await index.forget(kept.sha256, NOW_MS + 7)
    assert await index.uploads(kept.sha256)
    assert await index.forget(kept.sha256, NOW_MS + 8)
    assert not await index.forget(kept.sha256, NOW_MS + 8)
    assert await index.uploads(kept.sha256) == []


# Sessions


async def test_refresh_token_is_used_once(database: Database, vault: Vault) -> None:
    sessions = SessionStore(database, vault)
    first = await sessions.open("m-1", "kid-1", NOW_MS)
    second = await sessions.rotate(first.text, NOW_MS + 60_000)
    assert second is not None
    assert (second.family, second.member, second.kid) == (first.family, "m-1", "kid-1")
    assert second.text != first.text
    again = await sessions.rotate(first.text, NOW_MS + 60_000 + REUSE_MS)
    assert again == second, "the answer was lost on its way"
    assert await sessions.rotate(first.text, NOW_MS + 60_001 + REUSE_MS) is None
    assert await sessions.rotate(second.text, NOW_MS + 60_001 + REUSE_MS) is None, "a stolen token ends its family"


async def test_older_token_ends_the_family_however_soon(database: Database, vault: Vault) -> None:
    sessions = SessionStore(database, vault)
    first = await sessions.open("m-1", "kid-1", NOW_MS)
    second = await sessions.rotate(first.text, NOW_MS)
    assert second is not None
    third = await sessions.rotate(second.text, NOW_MS)
    assert third is not None
    assert await sessions.rotate(first.text, NOW_MS) is None
    assert await sessions.rotate(third.text, NOW_MS) is None


async def test_forged_token_is_refused_and_harms_nobody(database: Database, vault: Vault) -> None:
    sessions = SessionStore(database, vault)
    token = await sessions.open("m-1", "kid-1", NOW_MS)
    family, _, mac = token.text.split(".")
    forged = [
        f"{family}.1.{mac}",
        f"{family}.0.{mac[::-1]}",
        f"{family}.00.{mac}",
        f"x.0.{mac}",
        "",
        ".",
        f"{family}.é.x",
    ]
    for text in [*forged, f"{family}.{'9' * 200}.{mac}", f"{family}.-1.{mac}"]:
        assert await sessions.rotate(text, NOW_MS) is None
    assert await SessionStore(database, Vault(bytes(32))).rotate(token.text, NOW_MS) is None
    assert await sessions.rotate(token.text, NOW_MS) is not None


async def test_session_lasts_half_a_year_at_most_however_often_it_is_used(database: Database, vault: Vault) -> None:
    sessions = SessionStore(database, vault)
    token = await sessions.open("m-1", "kid-1", NOW_MS)
    for month in range(1, 7):
        used = await sessions.rotate(token.text, NOW_MS + month * 29 * DAY_MS)
        assert used is not None
        token = used
    assert await sessions.rotate(token.text, NOW_MS + 180 * DAY_MS) is None


async def test_session_ends_when_it_is_revoked_or_not_used(database: Database, vault: Vault) -> None:
    sessions = SessionStore(database, vault)
    one, two = await sessions.open("m-1", "kid-1", NOW_MS), await sessions.open("m-1", "kid-2", NOW_MS)
    await sessions.revoke(one.family)
    assert await sessions.rotate(one.text, NOW_MS) is None
    assert await sessions.rotate(two.text, NOW_MS + FAMILY_LIFE_MS) is None
    await sessions.open("m-1", "kid-4", NOW_MS + FAMILY_LIFE_MS)
    [(left,)] = await database.read(lambda connection: fetch(connection, 'SELECT COUNT(*) FROM "session_family"'))
    assert left == 1


async def test_table_of_sessions_holds_no_token(database: Database, vault: Vault) -> None:
    token = await SessionStore(database, vault).open("m-1", "kid-1", NOW_MS)
    rows = await database.read(lambda connection: fetch(connection, 'SELECT * FROM "session_family"'))
    assert token.text.rpartition(".")[2] not in str([list(row) for row in rows])


# Tries, codes, WeChat


async def test_tries_are_counted_durably_until_they_are_forgotten(url: str) -> None:
    async with await Database.open(url) as database:
        attempts = AttemptStore(database)
        assert [await attempts.add("code/u-1/20500", NOW_MS, NOW_MS + DAY_MS) for _ in range(3)] == [1, 2, 3]
    async with await Database.open(url) as database:
        attempts = AttemptStore(database)
        assert await attempts.tries("code/u-1/20500", NOW_MS) == 3
        assert await attempts.tries("code/u-2/20500", NOW_MS) == 0
        assert await attempts.tries("code/u-1/20500", NOW_MS + DAY_MS) == 0
        assert await attempts.add("code/u-1/20500", NOW_MS + DAY_MS, NOW_MS + 2 * DAY_MS) == 1


async def test_code_is_good_once_for_its_phone_until_it_expires(database: Database, vault: Vault) -> None:
    codes = PhoneCodeStore(database, vault)
    await codes.keep("19903736540", "m-1", "123456", NOW_MS + 300_000)
    await codes.keep("19903736540", "m-2", "654321", NOW_MS + 300_000)
    assert await codes.take("19903736540", "000000", NOW_MS) is None
    assert await codes.take("19905936468", "123456", NOW_MS) is None
    assert await codes.take("19903736540", "654321", NOW_MS) == "m-2", "a couple shares the phone"
    assert await codes.take("19903736540", "654321", NOW_MS) is None
    assert await codes.take("19903736540", "123456", NOW_MS + 300_000) is None
    await codes.keep("19903736540", "m-1", "111111", NOW_MS + 300_000)
    await codes.keep("19903736540", "m-1", "222222", NOW_MS + 300_000)
    assert await codes.take("19903736540", "111111", NOW_MS) is None, "a newer code replaces it"


async def test_wechat_account_belongs_to_one_member(database: Database, vault: Vault) -> None:
    accounts = WechatIdentityStore(database, vault)
    await accounts.bind("openid-1", "m-1", NOW_MS)
    await accounts.bind("openid-2", "m-1", NOW_MS)
    await accounts.bind("openid-1", "m-2", NOW_MS)
    assert await accounts.member_of("openid-1") == "m-2"
    assert await accounts.openids("m-1") == ["openid-2"]
    await accounts.forget("m-1")
    assert await accounts.member_of("openid-2") is None


async def test_transcripts_are_kept_for_ever_by_digest(database: Database) -> None:
    store = TranscriptStore(database)
    await store.keep("new-view", "d1", b"frame")
    await store.keep("new-view", "d1", b"another")
    await store.keep("evidence", "d2", b"proof")
    assert await store.find("d1") == b"frame"
    assert await store.find("d3") is None
    assert await store.of_kind("evidence") == [("d2", b"proof")]
