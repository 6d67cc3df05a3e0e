"""The demo's page: both runs on one power curve, hard reboots marked, the truth beside each step."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from demo.lab import ENV, Lab
from demo.outcome import Outcome
from energyrecorder_analysis.report.html import render_html
from energyrecorder_analysis.report.model import ReportMark
from energyrecorder_analysis.report.wire import report_from_answers

MARGIN_NS = 8_000_000_000
MAX_POINTS = 2000
SENSORS = """Their sensors renew every 1 or 2 s, on the two iLO servers every 10 s. Most real sensors take 10
to 30 s: there, a step should last a minute or more, or be repeated inside one bracket."""
NOTES = (
    "Six simulated servers replay recorded power of real ones; the simulator knows the true energy.",
    SENSORS,
    "Between the runs, four servers were switched off for some seconds: 0 W is a hard reboot.",
)


def write_report(lab: Lab, outcome: Outcome, marks: Sequence[ReportMark], path: Path) -> None:
    """Write the page.

    Args:
        lab: Where to get the power.
        outcome: Runs, steps and truth.
        marks: Instants to show.
        path: File to write.
    """
    from_ns = min(step["started_ns"] for step in outcome.steps) - MARGIN_NS
    to_ns = max(step["ended_ns"] for step in outcome.steps) + MARGIN_NS
    answer = lab.get("/v1/power", env=ENV, max_points=MAX_POINTS, **{"from": from_ns, "to": to_ns})
    report = report_from_answers(
        outcome.runs,
        {one["server"]: one["points"] for one in answer["series"] if one["part"] is None},
        title="Energy per test step",
        generated_ns=time.time_ns(),
        marks=marks,
        zone=datetime.now().astimezone().tzinfo or UTC,
        true_j=outcome.true_j,
        notes=NOTES,
    )
    path.write_text(render_html(report), encoding="utf-8")
