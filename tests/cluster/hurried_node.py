"""A node's process that tells its state every eight blocks, so that a test need not order a thousand and a half.

`LINLI_TEST_END_AT` names a moment of joining by a snapshot at which it kills itself with SIGKILL: as a power cut would.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from server import __main__ as program
from server.domain.state_root import Schedule
from server.node import joining, snapshot_desk
from server.node.opening import open_node
from server.record.rows import Row
from server.storage.joining import JoiningFolder

END_AT = "LINLI_TEST_END_AT"
SCHEDULE = Schedule(every=8, lag=4)
PAGE_BLOCKS = 5


def end() -> NoReturn:
    """Kill this process."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("a killed process does nothing more")


def then_end(act: Callable[..., None]) -> Callable[..., None]:
    """Do it, then kill this process."""

    def act_and_end(*arguments: Any) -> None:
        act(*arguments)
        end()

    return act_and_end


def end_while_loading(*arguments: Any) -> Iterator[Sequence[Row]]:
    """The first rows of the state, inside the transaction, and no more."""
    yield next(whole_chunks(*arguments))
    end()


async def load_and_end(*arguments: Any) -> None:
    """The transaction is durable, what lies in the folder is not yet cleared away."""
    await load_snapshot(*arguments)
    end()


whole_chunks, load_snapshot = joining.whole_chunks, joining.load_snapshot
MOMENTS: dict[str, tuple[Any, str, Any]] = {
    "chunk": (JoiningFolder, "keep_chunk", then_end(JoiningFolder.keep_chunk)),
    "page": (JoiningFolder, "keep_page", then_end(JoiningFolder.keep_page)),
    "load": (joining, "whole_chunks", end_while_loading),
    "loaded": (joining, "load_snapshot", load_and_end),
}


def main() -> int:
    """Run the server's own command line."""
    program.open_node = partial(open_node, schedule=SCHEDULE)  # type: ignore[attr-defined]
    snapshot_desk.HISTORY_BLOCKS_MAX = PAGE_BLOCKS
    if END_AT in os.environ:
        setattr(*MOMENTS[os.environ[END_AT]])
    return program.main([str(Path(sys.argv[1]))])


if __name__ == "__main__":
    sys.exit(main())
