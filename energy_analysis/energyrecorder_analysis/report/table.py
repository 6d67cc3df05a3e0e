"""The table of a report: one row per run and step, the same cells for HTML and Markdown."""

from __future__ import annotations

from dataclasses import dataclass

from energyrecorder import figures
from energyrecorder_analysis.report import words
from energyrecorder_analysis.report.model import Report, ReportStep

STATE_SIGNS = {"running": "▶", "passed": "✓", "failed": "✗", "aborted": "■", "lost": "?"}


@dataclass(frozen=True, slots=True)
class Row:
    """One step in words.

    Args:
        step: The step.
        name: One line, shortened.
        start: Local time of day.
        duration: Its length.
        energy: Energy ± interval in Wh, or why there is none.
        energy_j: The same in J.
        power: Mean power.
        true: True energy; empty when nobody knows it.
        quality: Quality.
        servers: Servers used.
    """

    step: ReportStep
    name: str
    start: str
    duration: str
    energy: str
    energy_j: str
    power: str
    true: str
    quality: str
    servers: str

    @classmethod
    def of(cls, step: ReportStep, report: Report) -> Row:
        """Return the words for ``step``."""
        resolvable = step.quality in ("resolved", "coarse")
        return cls(
            step=step,
            name=words.shorten(step.name),
            start=words.moment(step.start_ns, report.zone, pattern="%H:%M:%S"),
            duration=figures.duration(step.duration_s),
            energy=words.energy(step.energy_j, step.u95_j, step.quality),
            energy_j=words.joules(step.energy_j, step.u95_j, step.quality),
            power=figures.power(step.avg_w) if resolvable else figures.UNKNOWN,
            true="" if step.true_j is None else words.exact_energy(step.true_j, step.u95_j),
            quality=step.quality,
            servers=figures.UNKNOWN if step.servers is None else str(step.servers),
        )


def has_truth(report: Report) -> bool:
    """Tell whether anybody knows the true energy of anything, so that it deserves a column."""
    return any(step.true_j is not None for run in report.runs for step in (run.whole, *run.steps))
