"""The signer's file never goes back (consensus.md 1.3 H10, 2.8)."""

from dataclasses import replace
from pathlib import Path

import pytest

from server.consensus.restored import SignerMark
from server.storage.signer import SignerFile, SignerRefused

MARK = SignerMark(epoch=1, size=10, root=bytes(range(32)), time_s=100)


def test_the_mark_is_there_after_opening_again(tmp_path: Path) -> None:
    signer = SignerFile.open(tmp_path / "signer")
    assert signer.mark is None
    signer.advance(MARK)
    assert SignerFile.open(tmp_path / "signer", expected=True).mark == MARK
    assert [each.name for each in tmp_path.iterdir()] == ["signer"]


@pytest.mark.parametrize(
    "changes",
    [{"size": 9}, {"epoch": 0}, {"time_s": 99}, {"root": bytes(32)}],
    ids=lambda changes: next(iter(changes)),
)
def test_it_refuses_to_go_back(tmp_path: Path, changes: dict[str, int]) -> None:
    signer = SignerFile.open(tmp_path / "signer")
    signer.advance(MARK)
    with pytest.raises(SignerRefused):
        signer.advance(replace(MARK, **changes))  # type: ignore[arg-type]
    assert SignerFile.open(tmp_path / "signer").mark == MARK


def test_the_same_mark_again_and_larger_ones_are_fine(tmp_path: Path) -> None:
    signer = SignerFile.open(tmp_path / "signer")
    for mark in (MARK, MARK, replace(MARK, size=11, root=bytes(32)), replace(MARK, epoch=2, size=12, time_s=101)):
        signer.advance(mark)
    assert SignerFile.open(tmp_path / "signer").mark == replace(MARK, epoch=2, size=12, time_s=101)


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b'{"epoch":1,"root":"AA","size":1,"time_s":1}', b'{"epoch": 1}', b"\xff"],
)
def test_a_damaged_file_refuses_to_sign(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "signer").write_bytes(content)
    with pytest.raises(SignerRefused):
        SignerFile.open(tmp_path / "signer")


def test_a_new_file_says_that_nothing_was_signed_and_then_must_be_there(tmp_path: Path) -> None:
    assert SignerFile.open(tmp_path / "signer").mark is None
    assert SignerFile.open(tmp_path / "signer", expected=True).mark is None


def test_a_lost_file_refuses_to_sign(tmp_path: Path) -> None:
    with pytest.raises(SignerRefused, match="missing"):
        SignerFile.open(tmp_path / "signer", expected=True)


def test_a_crash_before_the_new_file_takes_its_name_keeps_the_old_mark(tmp_path: Path) -> None:
    signer = SignerFile.open(tmp_path / "signer")
    signer.advance(MARK)
    (tmp_path / "signer.new").write_bytes(b'{"epoch":1')
    assert SignerFile.open(tmp_path / "signer").mark == MARK
