"""What the journal remembers for sinks: how far each has got, what it was told, and what it never took."""

from __future__ import annotations

from dataclasses import dataclass

NAMES_PER_DAY = 500
"""New step names per scenario and day that get a series of their own; InfluxDB keeps series in memory."""
DAY_NS = 86_400 * 1_000_000_000


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far a sink has got; sequence numbers of `Journal.changes` and `Journal.mark_changes`."""

    steps_seq: int = 0
    marks_seq: int = 0


@dataclass(frozen=True, slots=True)
class Delivered:
    """One step that a sink has taken.

    Args:
        step_id: The step.
        version: Its version then.
        memo: What the sink wants to find again when it delivers the step the next time.
    """

    step_id: str
    version: int
    memo: str


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Something that a sink will never take as it is.

    Args:
        sink: Name of the sink.
        item_id: Id of the step or mark.
        version: Version of the step; 0 for a mark.
        failed_ns: When, by our clock, ns since the Unix epoch.
        reason: What the sink said.
    """

    sink: str
    item_id: str
    version: int
    failed_ns: int
    reason: str
