"""What a report shows: runs with their steps, power over time, marks: plain values, ready to be written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, tzinfo

PowerPoint = tuple[int, float, float, float]
"""Time in nanoseconds since the Unix epoch (UTC), mean, least and greatest power in W around it."""


@dataclass(frozen=True, slots=True)
class ServerPart:
    """One server's share of a step's energy; None is unknown, never zero."""

    server: str
    energy_j: float | None
    u95_j: float | None
    avg_w: float | None
    quality: str
    reason: str
    coverage: float | None
    samples: int | None
    method: str = ""


@dataclass(frozen=True, slots=True)
class ReportStep:
    """One step, or the run as a whole.

    Args:
        name: As given by the test; any text.
        state: ``running``, ``passed``, ``failed``, ``aborted`` or ``lost``.
        start_ns: Start, nanoseconds since the Unix epoch, UTC.
        end_ns: End; None while it runs.
        depth: 0 for the run, 1 for its steps, more for nested ones.
        energy_j: Energy; None when there is none (yet).
        u95_j: Half width of its 95 % interval.
        avg_w: Mean power.
        max_w: Greatest power.
        quality: ``resolved``, ``coarse``, ``unresolvable`` or ``pending``.
        reason: Why not resolved.
        coverage: Part of the time that readings cover, 0..1.
        samples: Readings inside.
        method: How it was computed.
        servers: Servers whose readings were used.
        true_j: True energy where somebody knows it (simulation); None otherwise.
        parts: Its servers.
    """

    name: str
    state: str
    start_ns: int
    end_ns: int | None
    depth: int = 1
    energy_j: float | None = None
    u95_j: float | None = None
    avg_w: float | None = None
    max_w: float | None = None
    quality: str = "pending"
    reason: str = ""
    coverage: float | None = None
    samples: int | None = None
    method: str = ""
    servers: int | None = None
    true_j: float | None = None
    parts: tuple[ServerPart, ...] = ()

    @property
    def duration_s(self) -> float | None:
        """Length; None while it runs."""
        return None if self.end_ns is None else (self.end_ns - self.start_ns) / 1e9


@dataclass(frozen=True, slots=True)
class ReportRun:
    """One run: the scenario as a whole and its steps in order of their start."""

    run_id: str
    env: str
    whole: ReportStep
    steps: tuple[ReportStep, ...] = ()


@dataclass(frozen=True, slots=True)
class PowerTrace:
    """Power of one server over time, down-sampled, in order of time."""

    server: str
    points: tuple[PowerPoint, ...]


@dataclass(frozen=True, slots=True)
class ReportMark:
    """An instant: ``kind`` is ``power`` for a host that went off or on, else ``note`` or ``change``."""

    at_ns: int
    title: str
    kind: str = "note"


@dataclass(frozen=True, slots=True)
class Report:
    """Everything on the page.

    Args:
        title: Heading.
        runs: In order of time.
        traces: One per server.
        marks: In order of time.
        generated_ns: When the report was made.
        zone: Zone in which times are shown.
        notes: Paragraphs to read before the figures, such as how fast the sensors were.
        details: Anything else to state at the end of the page: heading → text.
    """

    title: str
    runs: tuple[ReportRun, ...]
    traces: tuple[PowerTrace, ...]
    marks: tuple[ReportMark, ...] = ()
    generated_ns: int = 0
    zone: tzinfo = UTC
    notes: tuple[str, ...] = ()
    details: Mapping[str, str] = field(default_factory=dict)
