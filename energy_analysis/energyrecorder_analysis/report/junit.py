"""A report as a JUnit file, for tools that show test results: energies are properties of the test cases."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC

from energyrecorder_analysis.report import words
from energyrecorder_analysis.report.markup import Markup, element, join, text
from energyrecorder_analysis.report.model import Report, ReportRun, ReportStep

_OPEN = {"failed": "failure", "aborted": "error", "lost": "error", "running": "skipped"}
"""Element that tells how a step ended; a passed one has none."""


def render_junit(report: Report) -> str:
    """Return the report as JUnit XML: a suite for each run, a case for each step.

    Args:
        report: What to show. Times are UTC; an energy that is not resolvable is no property, its reason is.
    """
    suites = join(_suite(run) for run in report.runs)
    return document(element("testsuites", suites, name=report.title))


def document(root: Markup) -> str:
    """Return an XML file."""
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{root}\n'


def properties(pairs: Iterable[tuple[str, object]]) -> Markup:
    """Return properties; those without a value are left out."""
    written = [
        element("property", name=name, value=str(value)) for name, value in pairs if value not in (None, "")
    ]
    return element("properties", *written) if written else Markup("")


def _suite(run: ReportRun) -> Markup:
    states = [step.state for step in run.steps]
    return element(
        "testsuite",
        properties([("energy_run_id", run.run_id), ("energy_env", run.env), *_energy(run.whole)]),
        *(_case(step, run) for step in run.steps),
        name=run.whole.name,
        tests=str(len(states)),
        failures=str(states.count("failed")),
        errors=str(states.count("aborted") + states.count("lost")),
        skipped=str(states.count("running")),
        time=_seconds(run.whole.duration_s),
        timestamp=words.moment(run.whole.start_ns, UTC, pattern="%Y-%m-%dT%H:%M:%S+00:00"),
    )


def _case(step: ReportStep, run: ReportRun) -> Markup:
    told = _OPEN.get(step.state)
    energy = words.energy(step.energy_j, step.u95_j, step.quality)
    ended = "still runs" if step.state == "running" else f"the step ended as {step.state}"
    return element(
        "testcase",
        properties(_energy(step)),
        element(told, message=ended) if told else Markup(""),
        element("system-out", text(f"{energy}; {step.reason}" if step.reason else energy)),
        classname=run.whole.name,
        name=step.name,
        time=_seconds(step.duration_s),
    )


def _energy(step: ReportStep) -> list[tuple[str, object]]:
    resolvable = step.quality in {"resolved", "coarse"}
    return [
        ("energy_j", step.energy_j if resolvable else None),
        ("energy_u95_j", step.u95_j if resolvable else None),
        ("energy_avg_w", step.avg_w if resolvable else None),
        ("energy_quality", step.quality),
        ("energy_reason", step.reason),
    ]


def _seconds(duration_s: float | None) -> str | None:
    return None if duration_s is None else f"{duration_s:.3f}"
