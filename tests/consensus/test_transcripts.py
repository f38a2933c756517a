"""The stories in `transcripts/` are what the replicas do; `python -m tests.consensus.stories` writes them anew."""

from collections.abc import Callable

import pytest

from tests.consensus.stories import FOLDER, STORIES


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
def test_the_story_is_told_as_it_was_written_down(story: Callable[[], str]) -> None:
    assert story() == (FOLDER / f"{story.__name__}.txt").read_text(encoding="utf-8")


def test_every_transcript_has_its_story() -> None:
    assert sorted(each.stem for each in FOLDER.iterdir()) == sorted(story.__name__ for story in STORIES)
