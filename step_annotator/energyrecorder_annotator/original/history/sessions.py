"""Which runs the original recorded: from what it was told of sessions, else from the tags of its samples.

The original kept no history of sessions: what it was told is forgotten after 12 hours, and a sample's tags
say what ran only where ``ALWAYS_RECORD`` was off. A run is an unbroken stretch of one scenario in one
environment, its steps the stretches of one step: a scenario that ran within another splits it, as it did for
every reader of that database. Pure.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from energyrecorder_annotator.original.stack import UNNAMED

TOLD_ERROR_NS = 50_000_000
SAME_NS = 120 * 1_000_000_000
"""Samples of one step further apart than this are of two stretches, also when nothing ran between them…"""
RETURN_NS = 15 * 1_000_000_000
"""…and so much apart when another step was seen between: servers do not change over at one moment."""
JOIN_NS = 1_000_000_000
POLL_NS = 500_000_000
"""Samples of one server closer than this are of one poll: the original put them some microseconds apart."""
_RUNS = uuid.UUID("0f7c2f9f-0c8e-4f55-8f0e-3f6f8a6f0f31")


@dataclass(frozen=True, slots=True)
class Moment:
    """What the original was told: at ``t_ns`` this session was ``started``, or was not any more."""

    t_ns: int
    scenario: str
    step: str
    started: bool


@dataclass(frozen=True, slots=True)
class Stretch:
    """One step of one scenario without a break.

    Args:
        scenario: Its scenario.
        step: Its name; empty when there was none.
        start_ns: Start, ns since the Unix epoch.
        end_ns: End.
        error_ns: What both may be off by.
    """

    scenario: str
    step: str
    start_ns: int
    end_ns: int
    error_ns: int = TOLD_ERROR_NS


@dataclass(frozen=True, slots=True)
class Run:
    """Stretches of one scenario that follow one another in one environment."""

    env: str
    stretches: tuple[Stretch, ...]

    @property
    def run_id(self) -> str:
        """An id that is the same for each import."""
        return str(uuid.uuid5(_RUNS, f"{self.env}\0{self.scenario}\0{self.start_ns}"))

    @property
    def scenario(self) -> str:
        """Its scenario, which is never empty."""
        return self.stretches[0].scenario.strip() or UNNAMED

    @property
    def start_ns(self) -> int:
        """Start, ns since the Unix epoch."""
        return self.stretches[0].start_ns

    @property
    def end_ns(self) -> int:
        """End."""
        return self.stretches[-1].end_ns

    @property
    def error_ns(self) -> int:
        """What the least certain of its edges may be off by."""
        return max(one.error_ns for one in self.stretches)

    @property
    def steps(self) -> list[Stretch]:
        """Those that have a name."""
        return [one for one in self.stretches if one.step.strip() not in {"", UNNAMED}]

    def overlaps(self, other: Run) -> bool:
        """Tell whether both are of one scenario and environment, and share time."""
        return (
            (self.env, self.scenario) == (other.env, other.scenario)
            and self.start_ns < other.end_ns
            and other.start_ns < self.end_ns
        )


def told_stretches(moments: Iterable[Moment]) -> list[Stretch]:
    """Return the stretches of one environment; what nobody has ended is left out.

    Args:
        moments: In order of time; the newest tells what runs.
    """
    found: list[Stretch] = []
    running: Moment | None = None
    for moment in moments:
        same = running is not None and (running.scenario, running.step) == (moment.scenario, moment.step)
        if same == moment.started:
            # Told again, or the end of what does not run any more.
            continue
        if running is not None and running.t_ns < moment.t_ns:
            found.append(Stretch(running.scenario, running.step, running.t_ns, moment.t_ns))
        running = moment if moment.started else None
    return found


def runs_of(env: str, stretches: Iterable[Stretch]) -> list[Run]:
    """Return the runs that stretches of one environment, in order of their start, belong to."""
    grouped: list[list[Stretch]] = []
    for one in stretches:
        before = grouped[-1][-1] if grouped else None
        if before is not None and before.scenario == one.scenario:
            apart_ns = one.start_ns - before.end_ns
            if apart_ns <= JOIN_NS + before.error_ns + one.error_ns:
                grouped[-1].append(one)
                continue
        grouped.append([one])
    return [Run(env, tuple(group)) for group in grouped]


def without_known(runs: Sequence[Run], known: Sequence[Run]) -> list[Run]:
    """Return those runs that overlap none of the known ones of their scenario."""
    return [run for run in runs if not any(run.overlaps(other) for other in known)]


@dataclass(slots=True)
class _Seen:
    """Samples of one (scenario, step): first and last, and how often each server was read until when."""

    first_ns: int
    last_ns: int
    polls: dict[str, tuple[int, int]] = field(default_factory=dict)

    def add(self, server: str, t_ns: int) -> None:
        self.last_ns = t_ns
        count, last_ns = self.polls.get(server, (0, 0))
        if t_ns - last_ns > POLL_NS:
            self.polls[server] = (count + 1, t_ns)

    def stretch(self, scenario: str, step: str) -> Stretch:
        """Return the stretch: its edges lie anywhere within the pause of two samples."""
        most = max(count for count, _ in self.polls.values())
        pause_ns = (self.last_ns - self.first_ns) // (most - 1) if most > 1 else SAME_NS
        half_ns = min(pause_ns, SAME_NS) // 2
        return Stretch(scenario, step, self.first_ns - half_ns, self.last_ns + half_ns, max(half_ns, 1))


class TaggedSamples:
    """Makes stretches out of the tags of samples of one environment, given in order of time."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, str], _Seen] = {}
        self._done: list[Stretch] = []
        self._newest: tuple[str, str] | None = None

    def add(self, t_ns: int, server: str, scenario: str, step: str) -> None:
        """Take in one sample."""
        label = (scenario, step)
        if scenario.strip() not in {"", UNNAMED}:
            seen = self._open.get(label)
            most_ns = SAME_NS if self._newest == label else RETURN_NS
            if seen is not None and t_ns - seen.last_ns > most_ns:
                self._done.append(seen.stretch(*label))
                seen = None
            if seen is None:
                seen = self._open[label] = _Seen(t_ns, t_ns)
            seen.add(server, t_ns)
        self._newest = label

    def stretches(self, until_ns: int) -> list[Stretch]:
        """Return the stretches in order of their start; one that may still go on at the end is left out."""
        ended = [
            seen.stretch(*label) for label, seen in self._open.items() if until_ns - seen.last_ns > SAME_NS
        ]
        return sorted([*self._done, *ended], key=lambda one: one.start_ns)
