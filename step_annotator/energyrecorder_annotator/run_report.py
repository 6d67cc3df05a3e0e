"""Reports of one run: Markdown, HTML, JUnit and SVG, from the run's steps, marks and power."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from energyrecorder_analysis.report.html import content_security_policy, render_html
from energyrecorder_analysis.report.junit import render_junit
from energyrecorder_analysis.report.markdown import render_markdown
from energyrecorder_analysis.report.model import Report, ReportMark
from energyrecorder_analysis.report.svg import CONTENT_SECURITY_POLICY, render_svg
from energyrecorder_analysis.report.wire import report_from_answers
from energyrecorder_annotator.expected import LOOK_BACK_NS, expected_servers
from energyrecorder_annotator.journal.base import Journal, Mark
from energyrecorder_annotator.samples.base import SampleStore

_RENDER: Mapping[str, Callable[[Report], str]] = {
    "md": render_markdown,
    "html": render_html,
    "xml": render_junit,
    "svg": render_svg,
}
_TYPES = {"md": "text/markdown", "html": "text/html", "xml": "application/xml", "svg": "image/svg+xml"}
MAX_POINTS = 2000
_LEAST_MARGIN_NS = 30 * 1_000_000_000


def report_headers(kind: str) -> dict[str, str]:
    """Return the headers of a report: its type, and for what a browser runs the policy that it keeps."""
    policies = {"html": content_security_policy(), "svg": CONTENT_SECURITY_POLICY}
    policy = {"Content-Security-Policy": policies[kind]} if kind in policies else {}
    return {"Content-Type": f"{_TYPES[kind]}; charset=utf-8", **policy}


def run_report(
    body: Mapping[str, Any], kind: str, *, journal: Journal, samples: SampleStore, now_ns: int
) -> str:
    """Return the report of a run.

    Args:
        body: The run as ``GET /v1/runs/{id}`` shows it.
        kind: ``md``, ``html``, ``xml`` (JUnit) or ``svg``.
        journal: For the marks.
        samples: For the power over time.
        now_ns: Our wall clock.
    """
    run = body["run"]
    env, from_ns, to_ns = run["env"], run["started_ns"], run["ended_ns"] or now_ns
    seen = samples.servers_seen(env, from_ns - LOOK_BACK_NS, to_ns + 1)
    servers = set(expected_servers(run["servers"], seen).servers)
    margin_ns = max(_LEAST_MARGIN_NS, (to_ns - from_ns) // 10)
    from_ns, to_ns = from_ns - margin_ns, to_ns + margin_ns
    filters = {"env": [env], "server": sorted(servers)}
    power = samples.power(filters, from_ns, to_ns, MAX_POINTS) if servers else []
    marks = [mark for mark in journal.marks(env, from_ns, to_ns) if _belongs(mark, run["run_id"], servers)]
    report = report_from_answers(
        [body],
        {one.server: one.points for one in power if one.scope == "server" and one.part is None},
        title=run["title"] or run["scenario"],
        generated_ns=now_ns,
        marks=[ReportMark(at_ns=mark.t_ns, title=mark.title, kind=mark.kind) for mark in marks],
        zone=datetime.now().astimezone().tzinfo or UTC,
    )
    return _RENDER[kind](report)


def _belongs(mark: Mark, run_id: str, servers: set[str]) -> bool:
    return mark.run_id == run_id or mark.server in servers or (mark.run_id is None and mark.server is None)
