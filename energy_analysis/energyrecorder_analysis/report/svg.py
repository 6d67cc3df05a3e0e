"""The picture of a report as one SVG file for browsers: power, steps, marks, and whose line is whose."""

from __future__ import annotations

from energyrecorder import figures
from energyrecorder_analysis.report import words
from energyrecorder_analysis.report.figure import (
    LEFT,
    WIDTH,
    Figure,
    about,
    drawing,
    figure_of,
    server_style,
    title_of,
)
from energyrecorder_analysis.report.markup import Markup, element, join, number, text
from energyrecorder_analysis.report.model import Report
from energyrecorder_analysis.report.resources import resource

CONTENT_SECURITY_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_FONT = 'svg.figure { font-family: Inter, "Segoe UI", Roboto, "DejaVu Sans", Arial, sans-serif; }'
_HEADING_PX, _ROW_PX, _BOTTOM_PX = 34.0, 18.0, 12.0
_PER_ROW = 6
_NAME_LENGTH = 24


def render_svg(report: Report) -> str:
    """Return the file; it loads nothing from anywhere.

    Args:
        report: What to show, one run at least. Names may hold any text: everything foreign is escaped.
    """
    figure = figure_of(report, report.runs)
    drawn, height = drawing(figure, report)
    legend, legend_px = _legend(figure, _HEADING_PX + height)
    whole_px = _HEADING_PX + height + legend_px + _BOTTOM_PX
    picture = element(
        "svg",
        element("title", text(title_of(figure, report)), id="title"),
        element("desc", text(about(figure)), id="about"),
        element("style", _style()),
        element("rect", width=WIDTH, height=whole_px, style="fill:var(--panel)"),
        element("text", text(_heading(report)), class_="panel-title", x=LEFT, y=22),
        element("g", drawn, transform=f"translate(0 {number(_HEADING_PX)})"),
        legend,
        xmlns="http://www.w3.org/2000/svg",
        class_="figure",
        width=WIDTH,
        height=whole_px,
        viewBox=f"0 0 {number(WIDTH)} {number(whole_px)}",
        role="img",
        aria_labelledby="title about",
    )
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{picture}\n'


def _style() -> Markup:
    """Return the style sheet; ours, and free of what XML reads as markup."""
    return Markup(f"{resource('figure.css')}{_FONT}")


def _heading(report: Report) -> str:
    run = report.runs[0]
    energy = words.energy(run.whole.energy_j, run.whole.u95_j, run.whole.quality)
    moment = words.moment(run.whole.start_ns, report.zone)
    offset = words.offset(run.whole.start_ns, report.zone)
    name, env = words.shorten(run.whole.name, 60), words.shorten(run.env, 30)
    return f"{name} · {env} · {moment} {offset} · {figures.duration(run.whole.duration_s)} · {energy}"


def _legend(figure: Figure, top: float) -> tuple[Markup, float]:
    """Return the names of the servers beside their colours, and the height that they take."""
    width = (WIDTH - LEFT) / _PER_ROW
    entries = []
    for index, trace in enumerate(figure.traces):
        x, y = LEFT + index % _PER_ROW * width, top + index // _PER_ROW * _ROW_PX + 12
        line = element("path", class_="line", d=f"M{number(x)} {number(y - 4)}h16", style=server_style(index))
        name = element("text", text(words.shorten(trace.server, _NAME_LENGTH)), x=x + 22, y=y)
        entries.append(join([line, name]))
    return join(entries), -(-len(figure.traces) // _PER_ROW) * _ROW_PX
