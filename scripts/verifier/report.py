"""What was checked and what came of it: one line a check, and the exit code that follows."""

from __future__ import annotations

import enum
from collections.abc import Collection


class Result(enum.Enum):
    """What became of a check."""

    OK = "ok"
    FAILED = "FAILED"
    NOT_CHECKED = "NOT CHECKED"


EXIT_OK, EXIT_FAILED, EXIT_NOT_CHECKED = 0, 1, 2


class Report:
    """Mutable. Results by the name of the check, in the order in which they are printed."""

    def __init__(self, names: Collection[str]) -> None:
        self._results: dict[str, tuple[Result, str]] = dict.fromkeys(
            names, (Result.NOT_CHECKED, "an earlier check failed")
        )

    @property
    def names(self) -> list[str]:
        """The checks, in order."""
        return list(self._results)

    def say(self, name: str, result: Result, text: str) -> None:
        """Settle a check."""
        self._results[name] = (result, text)

    def result(self, name: str) -> Result:
        """What became of a check so far."""
        return self._results[name][0]

    def lines(self) -> list[str]:
        """One line a check; further lines of its text stand below it, indented."""
        width = max(map(len, self._results))
        indent = "\n" + " " * (width + 15)
        return [
            f"{result.value:<12} {name:<{width}}  {indent.join(text.splitlines())}"
            for name, (result, text) in self._results.items()
        ]

    def exit_code(self, only: Collection[str] = ()) -> int:
        """1 when a check failed, else 2 when one was not made, else 0; `only`: the checks that decide."""
        results = {self._results[name][0] for name in only or self._results}
        if Result.FAILED in results:
            return EXIT_FAILED
        return EXIT_NOT_CHECKED if Result.NOT_CHECKED in results else EXIT_OK
