"""The journal's file: what was synced comes back, a torn end is dropped, any other damage refuses to start."""

import zlib
from pathlib import Path
from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.consensus.effects import Entry, JournalEntry
from server.storage.journal import Journal, JournalCorrupt, encode_file, encode_record, scan

ENTRIES = [JournalEntry(kind, kind.name.encode() * 3) for kind in Entry]
RECORDS = [tuple(ENTRIES[:2]), (ENTRIES[2],), (ENTRIES[3],)]


def image() -> tuple[bytes, list[int]]:
    """A journal of three appends, and where each record begins."""
    data, starts = encode_file(0, ()), []
    for lsn, entries in enumerate(RECORDS):
        starts.append(len(data))
        data += encode_record(lsn, entries)
    return data, starts


def test_what_was_appended_is_there_after_opening_again(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path / "journal", expected=False)
    assert journal.entries == ()
    for entries in RECORDS:
        journal.append(entries)
    journal.close()
    again = Journal.open(tmp_path / "journal", expected=True)
    assert again.entries == tuple(entry for entries in RECORDS for entry in entries)
    again.append([ENTRIES[0]])
    again.close()
    assert len(Journal.open(tmp_path / "journal", expected=True).entries) == 5


def test_the_format_is_length_checksum_lsn_entries() -> None:
    covered = pack(">Q", 7) + pack(">BI", Entry.VOTE, 3) + b"abc"
    assert (
        encode_record(7, [JournalEntry(Entry.VOTE, b"abc")]) == pack(">II", len(covered), zlib.crc32(covered)) + covered
    )


def test_a_torn_last_record_is_dropped_wherever_it_was_torn() -> None:
    data, starts = image()
    for end in range(starts[2], len(data)):
        entries, next_lsn, good = scan(data[:end])
        assert entries == ENTRIES[:3]
        assert (next_lsn, good) == (2, starts[2])


def test_a_torn_first_append_leaves_an_empty_journal() -> None:
    data, starts = image()
    for end in range(starts[0], starts[1]):
        assert scan(data[:end])[0] == []


def test_a_torn_end_is_cut_off_before_anything_is_appended(tmp_path: Path) -> None:
    data, _ = image()
    path = tmp_path / "journal"
    path.write_bytes(data[:-5])
    journal = Journal.open(path, expected=True)
    journal.append([ENTRIES[0]])
    journal.close()
    assert Journal.open(path, expected=True).entries == (*ENTRIES[:3], ENTRIES[0])


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_a_changed_byte_before_the_last_record_refuses_to_start(position: int, change: int) -> None:
    data, starts = image()
    position %= starts[2]
    damaged = data[:position] + bytes([data[position] ^ change]) + data[position + 1 :]
    with pytest.raises(JournalCorrupt, match="must not vote or"):
        scan(damaged)


def test_a_missing_record_in_the_middle_refuses_to_start() -> None:
    data, starts = image()
    with pytest.raises(JournalCorrupt):
        scan(data[: starts[1]] + data[starts[2] :])


def test_a_changed_byte_in_the_last_record_drops_it() -> None:
    data, _ = image()
    damaged = data[:-1] + bytes([data[-1] ^ 1])
    assert scan(damaged)[0] == ENTRIES[:3]


def test_damage_to_what_was_written_with_the_file_is_never_taken_for_a_torn_end() -> None:
    data = encode_file(9, ENTRIES)
    for end in range(len(data)):
        with pytest.raises(JournalCorrupt):
            scan(data[:end])
    assert scan(data)[:2] == (ENTRIES, 10)


def test_a_lost_journal_refuses_to_start(tmp_path: Path) -> None:
    with pytest.raises(JournalCorrupt, match="missing"):
        Journal.open(tmp_path / "journal", expected=True)


def test_another_file_refuses_to_start(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    path.write_bytes(b"# notes\n")
    with pytest.raises(JournalCorrupt, match="does not begin"):
        Journal.open(path, expected=False)


def test_an_entry_of_an_unknown_type_refuses_to_start() -> None:
    payload = pack(">Q", 0) + pack(">BI", 99, 1) + b"x"
    with pytest.raises(JournalCorrupt):
        scan(encode_file(0, ()) + pack(">II", len(payload), zlib.crc32(payload)) + payload)


def test_truncation_keeps_what_is_named_and_numbers_go_on(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    journal = Journal.open(path, expected=False)
    for entries in RECORDS:
        journal.append(entries)
    journal.rewrite([ENTRIES[3]])
    journal.append([ENTRIES[0]])
    journal.rewrite([])
    journal.append([ENTRIES[1]])
    journal.close()
    again = Journal.open(path, expected=True)
    assert again.entries == (ENTRIES[1],)
    again.close()
    assert [each.name for each in tmp_path.iterdir()] == ["journal"]


def test_a_crash_before_the_new_file_takes_its_name_keeps_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    journal = Journal.open(path, expected=False)
    journal.append([ENTRIES[0]])
    journal.close()
    path.with_suffix(".new").write_bytes(encode_file(1, [ENTRIES[1]])[:-3])
    assert Journal.open(path, expected=True).entries == (ENTRIES[0],)


def test_a_second_writer_is_refused(tmp_path: Path) -> None:
    first = Journal.open(tmp_path / "journal", expected=False)
    with pytest.raises(BlockingIOError):
        Journal.open(tmp_path / "journal", expected=True)
    first.rewrite([ENTRIES[0]])
    with pytest.raises(BlockingIOError):
        Journal.open(tmp_path / "journal", expected=True)
    first.close()
    Journal.open(tmp_path / "journal", expected=True).close()


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused_but_never_an_error(tail: bytes) -> None:
    for data in (tail, encode_file(0, ()) + tail, encode_file(3, ENTRIES) + tail):
        try:
            scan(data)
        except JournalCorrupt:
            continue
