"""The committed vectors are those that the program makes, and their description lists every file."""

from pathlib import Path

import vectors
from tests.vector_files import FOLDER, read_vectors


def test_the_committed_vectors_are_those_that_the_program_makes() -> None:
    assert vectors.differing(FOLDER) == []


def test_a_changed_missing_or_foreign_file_is_noticed(tmp_path: Path) -> None:
    for name, text in vectors.make_vectors().items():
        (tmp_path / name).write_text(text, "utf-8")
    assert vectors.differing(tmp_path) == []
    (tmp_path / "base64.json").unlink()
    (tmp_path / "receipts.json").write_text("{}", "utf-8")
    (tmp_path / "other.json").write_text("{}", "utf-8")
    assert vectors.differing(tmp_path) == ["base64.json", "receipts.json", "other.json"]


def test_every_file_says_what_it_is_and_has_good_and_bad_cases() -> None:
    text = (FOLDER / "README.md").read_text("utf-8")
    for path in FOLDER.glob("*.json"):
        content = read_vectors(path.name)
        assert content["description"]
        assert f"`{path.name}`" in text
        answers = {case["valid"] for case in content["cases"]}
        assert answers == ({True} if path.name == "merkle_roots.json" else {True, False})
        assert all(("reason" in case) is not case["valid"] for case in content["cases"])
