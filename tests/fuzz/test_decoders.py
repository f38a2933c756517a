"""Whatever the bytes are, a decoder gives a value or what it declares to raise; and what it reads has one spelling."""

from __future__ import annotations

import re
import tracemalloc
from typing import get_args, get_origin

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server.consensus.effects import JournalEntry
from server.consensus.messages import Message
from server.limits import MIB
from server.storage.journal import JournalCorrupt, scan
from tests.fuzz import examples
from tests.fuzz.changes import SPITE, changed
from tests.fuzz.decoders import DECODERS, Decoder

each_decoder = pytest.mark.parametrize("decoder", DECODERS, ids=lambda decoder: decoder.name.replace(" ", "-"))
EXAMPLES, DEAR_EXAMPLES = 200, 40
MEMORY_MAX = 64 * MIB
"""No decoder needs so much for a few kilobytes; a length that is believed would."""


def budget(decoder: Decoder) -> settings:
    """How many examples."""
    return settings(max_examples=DEAR_EXAMPLES if decoder.dear else EXAMPLES, suppress_health_check=list(HealthCheck))


@each_decoder
def test_what_the_program_makes_is_read_and_written_alike(decoder: Decoder) -> None:
    samples = decoder.samples()
    assert samples
    assert all(decoder.survives(sample) for sample in samples)


@each_decoder
def test_changed_bytes_are_read_or_refused_as_declared(decoder: Decoder) -> None:
    @budget(decoder)
    @given(changed(decoder.samples()))
    def check(data: bytes) -> None:
        decoder.survives(data)

    check()


@each_decoder
def test_random_bytes_are_read_or_refused_as_declared(decoder: Decoder) -> None:
    @budget(decoder)
    @given(st.binary(max_size=300) | st.text(max_size=100).map(str.encode))
    def check(data: bytes) -> None:
        decoder.survives(data)

    check()


@each_decoder
def test_bytes_cut_anywhere_are_read_or_refused_as_declared(decoder: Decoder) -> None:
    for sample in decoder.samples()[:3]:
        for end in range(0, len(sample), max(1, len(sample) // (20 if decoder.dear else 200))):
            decoder.survives(sample[:end])


@each_decoder
def test_hostile_bytes_cost_little(decoder: Decoder) -> None:
    """Lengths of four gigabytes, a hundred thousand brackets, numbers of as many digits: refused without ado."""
    size, sample = decoder.hostile_bytes, decoder.samples()[0]
    hostile = [spite * (size // len(spite)) for spite in (*SPITE, b"[", b'{"a":', b"1", b"A", b"x000/", b"[a]\n")]
    hostile += [b"a = " + b"[" * size, b"a" + b".a" * (size // 2) + b" = 1"]
    hostile += [sample[: len(sample) // 2] + b"\xff\xff\xff\xff" * (size // 4), sample + sample]
    tracemalloc.start()
    for data in hostile:
        decoder.survives(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < MEMORY_MAX


def test_every_type_of_message_is_among_the_samples() -> None:
    """Message names its types; a signed body travels as one of them."""
    types = {get_origin(each) or each for each in get_args(Message)}
    assert {each.__name__ for each in types} == set(examples.message_types())


def written(journal: bytes) -> list[JournalEntry]:
    return scan(journal)[0]


@settings(max_examples=150)
@given(st.sampled_from(examples.journals()), st.data())
def test_a_changed_journal_is_refused_or_gives_a_beginning_of_what_was_written(
    journal: bytes, data: st.DataObject
) -> None:
    """Never an entry that was not written, nor one without those before it."""
    place, bit = data.draw(st.integers(0, len(journal) - 1)), data.draw(st.integers(0, 7))
    flipped = journal[:place] + bytes([journal[place] ^ (1 << bit)]) + journal[place + 1 :]
    torn = flipped[: data.draw(st.integers(0, len(journal)))]
    for damaged in (flipped, torn):
        try:
            entries, _, good = scan(damaged)
        except JournalCorrupt:
            continue
        assert entries == written(journal)[: len(entries)]
        assert good <= len(damaged)


@pytest.mark.parametrize("journal", examples.journals()[1:])
def test_of_a_torn_journal_every_whole_record_is_kept(journal: bytes) -> None:
    kept = [written(journal[:end]) for end in range(len(journal) + 1) if _is_readable(journal[:end])]
    assert all(entries == written(journal)[: len(entries)] for entries in kept)
    assert list(map(len, kept)) == sorted(map(len, kept))
    assert kept[-1] == written(journal)


def _is_readable(data: bytes) -> bool:
    try:
        scan(data)
    except JournalCorrupt:
        return False
    return True


def test_no_two_decoders_have_one_name() -> None:
    names = [re.sub(r"\W", "-", decoder.name) for decoder in DECODERS]
    assert len(set(names)) == len(names)
