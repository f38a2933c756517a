"""Links that lose, delay, reorder, duplicate and replay frames, and partitions, some of them one-way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random


@dataclass(frozen=True, slots=True)
class Weather:
    """How bad the links are. Probabilities; milliseconds."""

    loss: float = 0.0
    duplicate: float = 0.0
    replay: float = 0.0
    delay_ms: float = 5.0
    spike: float = 0.0


CALM = Weather()


class Network:
    """Mutable. Decides for each frame when, and how often, it arrives."""

    def __init__(self, random: Random, weather: Weather) -> None:
        self._random = random
        self.weather = weather
        self._sides: dict[str, int] = {}
        self._one_way = False
        self._clogged: dict[tuple[str, str], int] = {}

    def clog(self, source: str, target: str, until_ms: int) -> None:
        """What one address sends to another waits until then, and arrives all at once."""
        self._clogged[source, target] = until_ms

    def partition(self, sides: dict[str, int], one_way: bool) -> None:
        """Cut the addresses into two sides; one-way: side 1 is heard, and hears nothing of side 0... or the reverse."""
        self._sides, self._one_way = sides, one_way

    def isolate(self, address: str, addresses: Sequence[str], one_way: bool = False) -> None:
        """Cut one address off."""
        self.partition({each: int(each == address) for each in addresses}, one_way)

    def heal(self) -> None:
        """No partition."""
        self._sides = {}

    def clear(self) -> None:
        """No partition, nothing clogged, good weather."""
        self.heal()
        self._clogged.clear()
        self.weather = CALM

    @property
    def is_cut(self) -> bool:
        """Whether there is a partition."""
        return bool(self._sides)

    def arrivals(self, source: str, target: str, now_ms: int = 0) -> list[int]:
        """Delays in milliseconds after which a frame sent now arrives: none, one or several."""
        waits_ms = self._clogged.get((source, target), 0) - now_ms
        if waits_ms > 0:
            return [waits_ms + delay for delay in self._delays(source, target)]
        return self._delays(source, target)

    def _delays(self, source: str, target: str) -> list[int]:
        random, weather = self._random, self.weather
        if self._sides and self._sides[source] != self._sides[target] and not (self._one_way and self._sides[source]):
            return []
        if weather.loss and random.random() < weather.loss:
            return []
        delays = [1 + int(random.expovariate(1 / weather.delay_ms))]
        if weather.spike and random.random() < weather.spike:
            delays[0] += random.randint(100, 3_000)
        if weather.duplicate and random.random() < weather.duplicate:
            delays.append(1 + int(random.expovariate(1 / weather.delay_ms)))
        if weather.replay and random.random() < weather.replay:
            delays.append(random.randint(500, 20_000))
        return delays
