"""The report as one HTML file that opens offline: curves, steps, figures, and what they mean."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence

from energyrecorder import figures
from energyrecorder_analysis.report import words
from energyrecorder_analysis.report.figure import Figure, draw, figure_of, pointer_data, server_style
from energyrecorder_analysis.report.markup import Markup, element, join, text
from energyrecorder_analysis.report.model import Report, ReportRun
from energyrecorder_analysis.report.resources import resource
from energyrecorder_analysis.report.steps_html import badge, run_section, state
from energyrecorder_analysis.report.table import Row

_LONG_PAUSE_S = 600.0

_MEANING = {
    "± (95 % interval)": "The true energy lies inside this interval in 95 of 100 cases. It covers what the "
    "readings cannot tell: when inside a sensor's period the power changed, how late a reading was, the "
    "clock, rounding, and every stretch without readings. It does not cover a sensor that is wrong by a "
    "constant factor; that cancels when the same servers are compared.",
    "resolved": "The interval is within ±5 % of the energy.",
    "coarse": "The interval is within ±20 %, or a server that belongs to the step gave no readings.",
    "not resolvable": "The interval is wider, or the step is shorter than two periods of the sensors that "
    "measured most of its energy. A bare number would mislead, so only the range is shown. Repeat the step "
    "inside one measurement, or make it longer.",
    "Curves": "Readings stand where they were read: a BMC that averages over 10 s shows a change up to 10 s "
    "late, and the energy is corrected for that. A line breaks where readings are missing. 0 W is real: the "
    "host was off. The total is drawn where all servers are known.",
}


def render_html(report: Report) -> str:
    """Return the whole page; it loads nothing from anywhere.

    Args:
        report: What to show. Names may hold any text: everything foreign is escaped.
    """
    body = element(
        "main",
        _header(report),
        *_notes(report),
        element("div", *(_card(run, report) for run in report.runs), class_="cards"),
        *_figures(report),
        *(run_section(run, report) for run in report.runs),
        _meaning(report),
    )
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=content_security_policy()),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", text(words.shorten(report.title))),
        element("style", Markup(resource("figure.css") + resource("page.css"))),
    )
    page = element(
        "html", head, element("body", body, element("script", Markup(resource("page.js")))), lang="en"
    )
    return f"<!DOCTYPE html>\n{page}\n"


def content_security_policy() -> str:
    """Return the policy the page keeps: no network, no script but its own. Servers may send it as header."""
    digest = base64.b64encode(hashlib.sha256(resource("page.js").encode()).digest()).decode()
    return f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; base-uri 'none'"


def _header(report: Report) -> Markup:
    made = words.moment(report.generated_ns, report.zone, pattern="%Y-%m-%d %H:%M")
    zone = words.offset(report.generated_ns, report.zone)
    return element(
        "header",
        element("h1", text(words.shorten(report.title, 200))),
        element("p", text(f"made {made} {zone}")) if report.generated_ns else Markup(""),
    )


def _notes(report: Report) -> list[Markup]:
    if not report.notes:
        return []
    return [element("section", *(element("p", text(note)) for note in report.notes), class_="panel note")]


def _card(run: ReportRun, report: Report) -> Markup:
    whole = run.whole
    row = Row.of(whole, report)
    shown = row.energy.split(" ± ")
    number = [text(shown[0])]
    if len(shown) == 2:  # noqa: PLR2004  # value and interval
        value_unit = shown[1].split(" ")
        number = [text(shown[0]), element("small", text(f" ± {value_unit[0]} ")), text(value_unit[1])]
    told = [row.duration]
    if row.power != figures.UNKNOWN:
        told.append(f"{row.power} mean")
    if whole.max_w is not None:
        told.append(f"peak {figures.power(whole.max_w)}")
    told.append(f"{row.servers} server{'s' * (whole.servers != 1)}")
    return element(
        "article",
        element(
            "div",
            state(whole),
            text(f" {words.shorten(whole.name, 60)} · {row.start}"),
            class_="name",
            title=whole.name[:2000],
        ),
        element("div", *number, class_="figure-number"),
        element("div", text(" · ".join(told)), class_="more"),
        element("div", badge(whole.quality), class_="more"),
        class_=f"card s-{whole.state}" if whole.state.isalpha() else "card s-lost",
    )


def _figures(report: Report) -> list[Markup]:
    return [
        _figure(figure_of(report, runs), report, index)
        for index, runs in enumerate(_stretches(report.runs), start=1)
    ]


def _stretches(runs: Sequence[ReportRun]) -> list[list[ReportRun]]:
    """Return runs that share a picture: a pause far longer than the runs would squeeze them to nothing."""
    grouped: list[list[ReportRun]] = []
    until_ns = longest_ns = 0
    for run in runs:
        start_ns, end_ns = run.whole.start_ns, run.whole.end_ns or run.whole.start_ns
        allowed_ns = max(_LONG_PAUSE_S * 1e9, 2 * longest_ns)
        if grouped and start_ns - until_ns <= allowed_ns:
            grouped[-1].append(run)
        else:
            grouped.append([run])
        until_ns, longest_ns = max(until_ns, end_ns), max(longest_ns, end_ns - start_ns)
    return grouped


def _figure(figure: Figure, report: Report, index: int) -> Markup:
    # "<" never stands in the data, so that no name can end the element.
    data = json.dumps(pointer_data(figure, report), separators=(",", ":")).replace("<", "\\u003c")
    plot = element(
        "div",
        draw(figure, report, number_of=index),
        element("div", class_="tip", hidden="hidden"),
        element("script", Markup(data), type="application/json"),
        class_="plot",
    )
    return element("section", plot, _legend(figure), class_="panel")


def _legend(figure: Figure) -> Markup:
    entries = [
        element(
            "button",
            element("i"),
            text(words.shorten(trace.server, 40)),
            type="button",
            aria_pressed="true",
            data_series=str(index + 1),
            style=server_style(index),
        )
        for index, trace in enumerate(figure.traces)
    ]
    if any(mark.kind == "power" for mark in figure.marks):
        entries.append(element("span", element("i"), text("host went off or on"), class_="sign"))
    return element("div", *entries, class_="legend")


def _meaning(report: Report) -> Markup:
    pairs = {**_MEANING, **report.details}.items()
    terms = join(join([element("dt", text(term)), element("dd", text(told))]) for term, told in pairs)
    return element("section", element("h2", text("How to read this")), element("dl", terms), class_="panel")
