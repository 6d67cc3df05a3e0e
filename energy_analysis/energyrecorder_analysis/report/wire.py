"""A report from the annotator's own answers: run details, power, marks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, tzinfo
from typing import Any

from energyrecorder_analysis.report.model import (
    PowerPoint,
    PowerTrace,
    Report,
    ReportMark,
    ReportRun,
    ReportStep,
    ServerPart,
)


def report_from_answers(
    runs: Iterable[Mapping[str, Any]],
    power: Mapping[str, Sequence[PowerPoint]],
    *,
    title: str,
    generated_ns: int,
    marks: Iterable[ReportMark] = (),
    zone: tzinfo = UTC,
    true_j: Mapping[str, float] | None = None,
    notes: Sequence[str] = (),
) -> Report:
    """Return the report of some runs.

    Args:
        runs: Bodies of ``GET /v1/runs/{id}``: ``{"run": step, "steps": [step, …]}``.
        power: Points (t_ns, mean_w, min_w, max_w) by server, totals only.
        title: Heading.
        generated_ns: Now.
        marks: Instants to show.
        zone: Zone in which times are shown.
        true_j: True energy by step id, where somebody knows it.
        notes: Paragraphs to read before the figures.
    """
    known_j = true_j or {}
    shown = sorted((_run(body, known_j) for body in runs), key=lambda run: run.whole.start_ns)
    traces = tuple(PowerTrace(server, tuple(points)) for server, points in sorted(power.items()) if points)
    return Report(
        title=title,
        runs=tuple(shown),
        traces=traces,
        marks=tuple(sorted(marks, key=lambda mark: mark.at_ns)),
        generated_ns=generated_ns,
        zone=zone,
        notes=tuple(notes),
    )


def step_from_answer(step: Mapping[str, Any], true_j: Mapping[str, float] | None = None) -> ReportStep:
    """Return one step as reports show it, from its form in the annotator's answers."""
    result: Mapping[str, Any] = step.get("result") or {}
    parts = result.get("per_server") or {}
    return ReportStep(
        name=step.get("step") or step["scenario"],
        state=step["state"],
        start_ns=step["started_ns"],
        end_ns=step.get("ended_ns"),
        depth=step.get("depth") or 0,
        energy_j=result.get("energy_j"),
        u95_j=result.get("u95_j"),
        avg_w=result.get("avg_w"),
        max_w=result.get("max_w"),
        quality=result.get("quality") or "pending",
        reason=result.get("reason") or "",
        coverage=result.get("coverage"),
        samples=result.get("samples"),
        method=result.get("method") or "",
        servers=result.get("servers"),
        true_j=(true_j or {}).get(str(step.get("step_id"))),
        parts=tuple(_part(server, part) for server, part in sorted(parts.items())),
    )


def _run(body: Mapping[str, Any], true_j: Mapping[str, float]) -> ReportRun:
    run = body["run"]
    steps = (
        step_from_answer(step, true_j)
        for step in body.get("steps") or ()
        if step.get("step_id") != run.get("step_id")
    )
    return ReportRun(
        run_id=str(run.get("run_id", "")),
        env=str(run.get("env", "")),
        whole=step_from_answer(run, true_j),
        steps=tuple(sorted(steps, key=lambda step: (step.start_ns, step.depth))),
    )


def _part(server: str, part: Mapping[str, Any]) -> ServerPart:
    return ServerPart(
        server=server,
        energy_j=part.get("energy_j"),
        u95_j=part.get("u95_j"),
        avg_w=part.get("avg_w"),
        quality=part.get("quality") or "unresolvable",
        reason=part.get("reason") or "",
        coverage=part.get("coverage"),
        samples=part.get("samples"),
        method=part.get("method") or "",
    )
