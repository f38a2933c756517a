"""The time as this machine tells it. Only gateway, node and api may ask; the pure packages get times as arguments."""

import time
from typing import Protocol


class Clock(Protocol):
    """What is asked of a clock: wall time for people and records, monotonic time for durations."""

    def now_ms(self) -> int:
        """Milliseconds since the Unix epoch (UTC); may step when the machine's clock is corrected."""
        ...

    def monotonic_ms(self) -> int:
        """Milliseconds since some fixed moment; never runs backwards, means nothing to another process."""
        ...


class SystemClock:
    """The operating system's clock."""

    def now_ms(self) -> int:
        """Wall time in milliseconds since the Unix epoch."""
        return time.time_ns() // 1_000_000

    def monotonic_ms(self) -> int:
        """Monotonic time in milliseconds."""
        return time.monotonic_ns() // 1_000_000
