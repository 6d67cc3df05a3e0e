"""A report in Markdown, for merge requests and job summaries."""

from __future__ import annotations

import re

from energyrecorder_analysis.report import words
from energyrecorder_analysis.report.model import Report, ReportRun
from energyrecorder_analysis.report.table import STATE_SIGNS, Row, has_truth

_SPECIAL = re.compile(r"([\\`*_\[\]|~$])")
# As entities: "@" would notify somebody, "#1" would link an issue.
_HTML = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "@": "&#64;", "#": "&#35;"}
_HTML_SPECIAL = re.compile("[&<>@#]")


def escape(name: str) -> str:
    """Return a name that Markdown (with its HTML, mentions and links) shows as it is, on one line."""
    return escape_all(words.shorten(name, 120))


def render_markdown(report: Report) -> str:
    """Return the report as Markdown: a table per run and what its figures mean."""
    lines = [f"# {escape(report.title)}", ""]
    lines += [line for note in report.notes for line in (escape_all(note), "")]
    for run in report.runs:
        lines += _run(run, report)
    lines.append(
        "± is the half width of the 95 % interval. *Coarse*: the interval is wider than 5 % of the energy; "
        "*not resolvable*: wider than 20 %, or the step is too short for its sensors.\n"
    )
    return "\n".join(lines)


def escape_all(text: str) -> str:
    """Return a text of any length that Markdown shows as it is, on one line."""
    # Entities last: the escapes before them add none of their characters.
    return _HTML_SPECIAL.sub(lambda match: _HTML[match[0]], _SPECIAL.sub(r"\\\1", " ".join(text.split())))


def _run(run: ReportRun, report: Report) -> list[str]:
    zone = words.offset(run.whole.start_ns, report.zone)
    truth = has_truth(report)
    head = ["", "Step", f"Start ({zone})", "Duration", "Energy", "Mean power", "True energy", "Quality"]
    align = ["---", "---", "---", "---:", "---:", "---:", "---:", "---"]
    rows = []
    for step in (run.whole, *run.steps):
        row = Row.of(step, report)
        name = "&nbsp;&nbsp;" * max(step.depth - 1, 0) + escape(step.name)
        shown = f"**{name}**" if step is run.whole else name
        energy = f"{row.energy}<br>{row.energy_j}" if row.energy_j else row.energy
        sign = f"{STATE_SIGNS.get(step.state, '')} {step.state}"
        quality = f"{row.quality}<br>{escape_all(step.reason)}" if step.reason else row.quality
        rows.append([sign, shown, row.start, row.duration, energy, row.power, row.true, quality])
    cells = [head, align, *rows]
    if not truth:
        cells = [line[:6] + line[7:] for line in cells]
    day = words.moment(run.whole.start_ns, report.zone, pattern="%Y-%m-%d")
    heading = f"## {escape(run.whole.name)} · {escape(run.env)} · {day}"
    return [heading, "", *("| " + " | ".join(line) + " |" for line in cells), ""]
