"""The table of a report: one row per run and step, the same cells for HTML, Markdown and text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

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
            duration=words.duration(step.duration_s),
            energy=words.energy(step.energy_j, step.u95_j, step.quality),
            energy_j=words.joules(step.energy_j, step.u95_j, step.quality),
            power=words.power(step.avg_w) if resolvable else words.UNKNOWN,
            true="" if step.true_j is None else words.exact_energy(step.true_j, step.u95_j),
            quality=step.quality,
            servers=words.UNKNOWN if step.servers is None else str(step.servers),
        )


def has_truth(report: Report) -> bool:
    """Tell whether anybody knows the true energy of anything, so that it deserves a column."""
    return any(step.true_j is not None for run in report.runs for step in (run.whole, *run.steps))


def text_table(header: Sequence[str], rows: Iterable[Sequence[str]], *, right: Iterable[int] = ()) -> str:
    """Return lines of text with aligned columns, for terminals.

    Args:
        header: Headings.
        rows: Cells, as many as headings.
        right: Columns aligned to the right.
    """
    lines = [list(header), *(list(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    to_right = set(right)
    lines.insert(1, ["─" * width for width in widths])
    return "".join(
        "  ".join(
            cell.rjust(widths[column]) if column in to_right else cell.ljust(widths[column])
            for column, cell in enumerate(line)
        ).rstrip()
        + "\n"
        for line in lines
    )


def steps_text(report: Report) -> str:
    """Return the steps of all runs as a table for terminals, what is not resolved explained below."""
    header = ["step", "duration", "energy", "true energy", "quality", "servers"]
    truth = has_truth(report)
    rows, told = [], []
    for run in report.runs:
        for step in (run.whole, *run.steps):
            row = Row.of(step, report)
            sign = STATE_SIGNS.get(step.state, " ")
            name = "  " * step.depth + words.shorten(step.name, 40)
            rows.append([f"{sign} {name}", row.duration, row.energy, row.true, row.quality, row.servers])
            if step.reason:
                told.append(f"{words.shorten(step.name, 40)}: {step.reason}")
    if not truth:
        header.pop(3)
        rows = [row[:3] + row[4:] for row in rows]
    table = text_table(header, rows, right=range(1, len(header) - 2))
    return table + "".join(f"{line}\n" for line in told)
