"""Releases: each member says which rules it knows, in a frame that older ones drop; what one does not know stops it.

`frames_before_releases.json` holds frames as the code sent them before there was such a frame (one of each type, of the
story that `test_frames.every_frame` plays): nodes of that release and of this one run together.
"""

import json
from pathlib import Path

import pytest

from server.consensus import events
from server.consensus.config import RELEASE_AGE_MAX
from server.consensus.effects import NoteRelease, Stop
from server.consensus.frames import decode_frame, encode_frame, frame_name
from server.consensus.messages import Release, SyncRequest
from server.consensus.packing import pack
from server.record.canonical import Malformed
from tests.consensus.cluster import Bench, heights, only, without
from tests.consensus.test_frames import every_frame

RECORDED: dict[str, str] = json.loads(Path(__file__).with_name("frames_before_releases.json").read_text("utf-8"))


@pytest.mark.parametrize("name", RECORDED)
def test_a_frame_of_the_release_before_is_understood_to_the_byte(name: str) -> None:
    frame = bytes.fromhex(RECORDED[name])
    assert frame_name(frame) == name
    assert encode_frame(decode_frame(frame)) == frame


@pytest.mark.parametrize("name", RECORDED)
def test_a_release_that_knows_the_first_rules_only_sends_the_frames_of_the_one_before(name: str) -> None:
    assert every_frame()[name].hex() == RECORDED[name]


def sent_types(bench: Bench) -> set[str]:
    """The types of all frames of two blocks and the STATUSes after them."""
    found: set[str] = set()
    for _ in range(2):
        bench.submit("a", f"r{bench.now}")
        bench.tick(after_ms=300)
        while bench.wire:
            found |= {*bench.names()}
            bench.deliver_one()
    return found


def test_a_later_release_sends_one_type_of_frame_that_the_one_before_does_not_know() -> None:
    assert "release" not in sent_types(Bench())
    later = sent_types(Bench(releases=dict.fromkeys("abc", 2)))
    assert later - {*RECORDED} == {"release"}


def test_a_frame_of_a_type_that_is_not_known_is_counted_and_does_no_harm() -> None:
    bench = Bench()
    bench.receive("a", "b", pack([b"of-a-later-release", b"{}"]))
    assert bench["a"].state.counters["malformed"] == 1
    bench.agree()
    assert heights(bench) == [1, 1, 1]


def test_a_release_may_say_more_than_this_one_understands() -> None:
    assert decode_frame(pack([b"release", b'{"rules":3,"words":["later"]}'])) == Release(rules=3)
    for raw in (b'{"rules":-1}', b"{}", b'{"rules":"2"}', b"\xff", b'{"rules":1e3}'):
        with pytest.raises(Malformed):
            decode_frame(pack([b"release", raw]))


def told(bench: Bench, member: str) -> list[tuple[str, int]]:
    """What a member's driver was told of the others' releases."""
    return [(one.member, one.rules) for one in bench[member].asked(NoteRelease)]


def test_the_driver_hears_once_what_each_peer_s_release_knows() -> None:
    bench = Bench(releases={"b": 2, "c": 3})
    for _ in range(4):
        bench.tick(after_ms=250)
        bench.deliver()
    assert sorted(told(bench, "a")) == [("b", 2), ("c", 3)]
    assert told(bench, "b") == [("c", 3)], "a knows the first rules only, and says nothing"


def test_a_member_that_goes_back_to_an_older_release_is_taken_for_one_after_a_while() -> None:
    bench = Bench(releases={"b": 2})
    bench.tick(after_ms=250)
    bench.deliver()
    del bench.releases["b"]
    bench.restart("b")
    for _ in range(RELEASE_AGE_MAX + 1):
        assert told(bench, "a") == [("b", 2)]
        bench.tick(after_ms=250)
        bench.deliver()
    assert told(bench, "a") == [("b", 2), ("b", 1)]


def test_what_a_member_announced_holds_as_long_as_it_goes_on_saying_so() -> None:
    """Else the nodes that heard it once and those that were started since would differ about an activation."""
    bench = Bench(releases={"b": 2})
    bench.tick(after_ms=250)
    bench.deliver()
    for _ in range(RELEASE_AGE_MAX + 1):
        assert told(bench, "a") == told(bench, "c") == [("b", 2)]
        bench.tick("a", "c", after_ms=250)
        bench.deliver(only("a", "c"))
    assert told(bench, "a") == told(bench, "c") == [("b", 2), ("b", 1)]


def test_some_lost_frames_make_no_release_older() -> None:
    bench = Bench(releases={"b": 2})
    for turn in range(3 * RELEASE_AGE_MAX):
        bench.tick(after_ms=250)
        bench.deliver(without("release") if turn % RELEASE_AGE_MAX else lambda source, target, name: True)
    assert told(bench, "a") == [("b", 2)]


def stop_of(bench: Bench, member: str) -> Stop:
    [stop] = bench[member].asked(Stop)
    return stop


def test_a_replica_stops_when_the_next_block_is_of_rules_that_its_release_does_not_know() -> None:
    bench = Bench(releases={"b": 2, "c": 2})
    bench.agree()
    for member in bench.members:
        bench.step(member, events.Agenda(rules=2))
    stop = stop_of(bench, "a")
    assert stop.reason == "outdated"
    assert "too old: it knows rules up to 1, and block 2 is of rules 2" in stop.detail
    assert not bench["b"].asked(Stop)


def test_a_certified_block_of_unknown_rules_is_not_executed_and_what_was_stored_is_served() -> None:
    bench = Bench(releases={"b": 2, "c": 2})
    bench.agree()
    bench["b"].rules = bench["c"].rules = 2
    bench.submit("b", "r2")
    bench.deliver(only("b", "c"))
    for _ in range(30):
        bench.tick("b", "c", after_ms=300)
        bench.deliver(only("b", "c"))
    assert heights(bench, "bc") == [2, 2]
    executed = len(bench["a"].performed)
    for _ in range(6):
        bench.tick(after_ms=300)
        bench.deliver()
    assert heights(bench, "a") == [1]
    assert stop_of(bench, "a").reason == "outdated"
    assert not any(getattr(effect, "block", None) for effect in bench["a"].performed[executed:])
    served = bench.receive("a", "b", encode_frame(SyncRequest(from_height=1)))
    assert [type(effect).__name__ for effect in served] == ["ReadBlocks"]


def test_an_outdated_replica_goes_on_when_it_is_started_with_the_later_release() -> None:
    bench = Bench(releases={"b": 2, "c": 2})
    bench.agree()
    for member in bench.members:
        bench.step(member, events.Agenda(rules=2))
        bench[member].rules = 2
    bench.releases["a"] = 2
    bench.restart("a")
    bench.agree()
    assert heights(bench) == [2, 2, 2]
    assert [block.header.rules for block, *_ in bench["a"].blocks] == [1, 2]
