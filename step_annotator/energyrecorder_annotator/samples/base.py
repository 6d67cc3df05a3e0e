"""The contract of a store of readings, wherever they live.

- `SampleStore.add` is idempotent: a reading of the same series with the same time replaces the former.
- Times are nanoseconds since the Unix epoch, UTC; spans include their start and exclude their end.
- A missing reading (``watts`` None) is stored and given back as missing, never as 0.
- `SampleStore.readings` gives one series per server: the first of the preferred ones that has a reading in
  the span, as columns; its ``rows`` are in the order of `energyrecorder_analysis.series.PowerRow`.
- `SampleStore.add` raises `SampleStoreError` when the points cannot be stored now; none of them is then.
- All methods may be called from any thread and may block on the disk or network.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from energyrecorder.errors import EnergyError

if TYPE_CHECKING:
    # Loads numpy, which a service that has no result to compute does not pay for.
    from energyrecorder_analysis.series import Floats, Ints

PowerTuple = tuple[
    int,
    float | None,
    float | None,
    float | None,
    float | None,
    str | None,
    str | None,
    str | None,
    float | None,
]
"""time_ns, watts, window_s, refresh_s, quantum_w, clock, source, side, accuracy_pct."""

SourceTuple = tuple[
    float | None,
    float | None,
    float | None,
    str | None,
    str | None,
    str | None,
    float | None,
]
"""window_s, refresh_s, quantum_w, clock, source, side, accuracy_pct: what rarely changes."""

Place = tuple[tuple[str, str], ...]
"""Where a server stands: names out of `energyrecorder.schema.STATIC_TAGS` and their values."""

PREFERENCES = ("bmc", "meter", "legacy")
"""Whose reading of a server as a whole counts: its BMC, an external meter, the original API."""


class SampleStoreError(EnergyError):
    """The store cannot be written or read just now (disk full, read-only, away)."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One point of ``server_power``; the fields are those of the schema, None where absent.

    Args:
        place: Its static tags.
        text: The whole point in line protocol, for a store that keeps lines; None = what is here is all.
    """

    env: str
    server: str
    scope: str
    part: str | None
    t_ns: int
    watts: float | None
    window_s: float | None = None
    refresh_s: float | None = None
    quantum_w: float | None = None
    accuracy_pct: float | None = None
    clock: str | None = None
    protocol: str | None = None
    source: str | None = None
    side: str | None = None
    avg_w: float | None = None
    min_w: float | None = None
    max_w: float | None = None
    energy_counter_j: float | None = None
    energy_wrap_j: float | None = None
    backfill: bool = False
    place: Place = ()
    text: str | None = None

    @property
    def is_total(self) -> bool:
        """Whether it is the BMC's reading of a whole server."""
        return self.scope == "server" and self.part is None


@dataclass(frozen=True, slots=True)
class BmcPoll:
    """One point of ``server_bmc``; ``place`` and ``text`` as of `Reading`."""

    env: str
    server: str
    t_ns: int
    up: bool
    host: str
    error: str
    place: Place = ()
    text: str | None = None


@dataclass(frozen=True, slots=True)
class SensorReading:
    """One point of ``server_sensor``: anything but power; ``place`` and ``text`` as of `Reading`."""

    env: str
    server: str
    sensor: str
    unit: str
    t_ns: int
    value: float
    place: Place = ()
    text: str | None = None


@dataclass(frozen=True, slots=True)
class OtherPoint:
    """A point that only a store that keeps lines has a use for, as a whole in ``text``."""

    env: str
    server: str
    t_ns: int
    text: str


Point = Reading | BmcPoll | SensorReading | OtherPoint


@dataclass(slots=True)
class Batch:
    """Points to be stored together."""

    readings: list[Reading] = field(default_factory=list)
    polls: list[BmcPoll] = field(default_factory=list)
    sensors: list[SensorReading] = field(default_factory=list)
    others: list[OtherPoint] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.readings) + len(self.polls) + len(self.sensors) + len(self.others)


@dataclass(frozen=True, slots=True, eq=False)
class ServerReadings:
    """Readings of one server as a whole, from one series; columns, because there may be 600,000 of them.

    Args:
        server: Server id.
        preference: Which of `PREFERENCES` the series is.
        time_ns: In order of time.
        watts: Of each reading; nan is missing.
        source: Index into ``sources`` of each reading.
        sources: What stands behind the readings.
    """

    server: str
    preference: str
    time_ns: Ints
    watts: Floats
    source: Ints
    sources: Sequence[SourceTuple]

    @property
    def rows(self) -> list[PowerTuple]:
        """The same as rows; a missing reading is None in them."""
        columns = zip(self.time_ns.tolist(), self.watts.tolist(), self.source.tolist(), strict=True)
        return [
            (time_ns, None if math.isnan(watts) else watts, *self.sources[source])
            for time_ns, watts, source in columns
        ]


@dataclass(frozen=True, slots=True)
class PowerPoints:
    """One down-sampled series: ``points`` are (t_ns, mean_w, min_w, max_w)."""

    env: str
    server: str
    scope: str
    part: str | None
    points: list[tuple[int, float, float, float]]


@dataclass(frozen=True, slots=True)
class LastSeen:
    """What is newest of one server.

    Args:
        heard_ns: Last point of any kind.
        reading: Last valid reading of the whole server; None if there was none.
        host: Power state in its last poll; ``unknown`` if never told.
    """

    env: str
    server: str
    heard_ns: int
    reading: Reading | None
    host: str


class SampleStore(Protocol):
    """Where readings are kept; see the contract at the top of this file.

    Args:
        keeps_lines: Whether points should come with their ``text``.
    """

    @property
    def keeps_lines(self) -> bool: ...  # noqa: D102  # see the class

    def add(self, batch: Batch) -> None:
        """Store points."""

    def readings(
        self, env: str, servers: Iterable[str], from_ns: int, to_ns: int, prefer: Sequence[str]
    ) -> Iterator[ServerReadings]:
        """Yield the readings of each server that has any in the span, one server at a time."""

    def count(self, env: str, servers: Iterable[str], from_ns: int, to_ns: int) -> tuple[int, int]:
        """Return how many readings `readings` could draw on, and the time of the newest (0 if none)."""

    def servers_seen(self, env: str, from_ns: int, to_ns: int) -> set[str]:
        """Return the servers that reported a poll or a total in a span."""

    def power(
        self, filters: Mapping[str, Sequence[str]], from_ns: int, to_ns: int, max_points: int
    ) -> list[PowerPoints]:
        """Return power over time, mean, least and greatest of each of at most ``max_points`` spans.

        Args:
            filters: ``env`` and ``server``, each a list of names; an absent one means all.
            from_ns: Start.
            to_ns: End.
            max_points: Per series.
        """

    def places(self, env: str, from_ns: int, to_ns: int) -> dict[str, dict[str, str]]:
        """Return where servers stand that told it, by server; a store may know the last place only."""

    def last_seen(self, since_ns: int) -> list[LastSeen]:
        """Return what is newest of every server heard since."""

    def forget(self, before_ns: int) -> int:
        """Delete readings before a time and return how many."""

    def close(self) -> None:
        """Let go of the store."""
