"""What the autopsy reads in logs: failures, and whether what befell a node explains them."""

from __future__ import annotations

from pathlib import Path

from cluster import NodePlace
from drills.autopsy import find_bugs


def test_a_failure_is_excused_only_by_its_own_reason(tmp_path: Path) -> None:
    node = NodePlace("property", tmp_path, 1, 2)
    node.log.write_text(
        'timestamp=1 level=critical event=node_failed detail="OSError: [Errno 28] No space left on device"\n'
        "Traceback (most recent call last):\n  File x\nOSError: [Errno 28] No space left on device\n"
        'timestamp=2 level=critical event=node_failed detail="KeyError: 3"\n'
    )
    assert len(list(find_bugs([node], {}))) == 1
    [fault] = find_bugs([node], {"property": ("No space left on device",)})
    assert "has 1 lines" in fault and "KeyError" in fault
