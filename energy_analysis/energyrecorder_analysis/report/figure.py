"""The picture: power of all servers together and of each one over time, with steps and reboots on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from energyrecorder import figures
from energyrecorder_analysis.report import words
from energyrecorder_analysis.report.lanes import draw_bars, draw_shades, lanes_height, pack
from energyrecorder_analysis.report.markup import Markup, element, join, number, text
from energyrecorder_analysis.report.model import (
    PowerPoint,
    PowerTrace,
    Report,
    ReportMark,
    ReportRun,
)
from energyrecorder_analysis.report.scale import Scale, power_ticks, time_ticks
from energyrecorder_analysis.report.traces import pieces, spacing_ns, total_trace

WIDTH = 1200.0
LEFT, RIGHT = 64.0, 14.0
TOTAL_PX, SERVERS_PX = 190.0, 240.0
HEAD_PX, BETWEEN_PX, AXIS_PX = 22.0, 34.0, 30.0
COLOURS = 12
"""Colours of servers in the style sheet; beyond, they repeat with another dash."""
_MARGIN_SHARE, _MARGIN_SPACINGS = 0.02, 1.5
_LEAST_MARGIN_NS, _WIDENED_TO_NS = 2_000_000_000, 30_000_000_000
_SAME_MARK_PX = 12.0
_DASHES = (None, "6 3", "2 3")


@dataclass(frozen=True, slots=True)
class Figure:
    """One stretch of time: what happened in it and what was drawn of it.

    Args:
        from_ns: Start.
        to_ns: End.
        runs: Runs in it.
        traces: Power of each server in it.
        total: Their sum.
        marks: Instants in it.
    """

    from_ns: int
    to_ns: int
    runs: Sequence[ReportRun]
    traces: Sequence[PowerTrace]
    total: PowerTrace
    marks: Sequence[ReportMark]


def figure_of(report: Report, runs: Sequence[ReportRun]) -> Figure:
    """Return the stretch of ``report`` around ``runs``, readings just before and after included."""
    ends = [run.whole.end_ns for run in runs if run.whole.end_ns is not None]
    newest_ns = max((trace.points[-1][0] for trace in report.traces), default=runs[-1].whole.start_ns)
    start_ns = min(run.whole.start_ns for run in runs)
    end_ns = max([*ends, start_ns + 1_000_000_000])
    if len(ends) < len(runs):
        end_ns = max(end_ns, newest_ns)
    slowest_ns = max((spacing_ns(trace) for trace in report.traces), default=0.0)
    # A step shorter than the spacing of the readings is measured by those around it.
    widened_ns = min(round(_MARGIN_SPACINGS * slowest_ns), _WIDENED_TO_NS)
    margin_ns = max(round((end_ns - start_ns) * _MARGIN_SHARE), _LEAST_MARGIN_NS, widened_ns)
    from_ns, to_ns = start_ns - margin_ns, end_ns + margin_ns
    cut = [_cut(trace, from_ns, to_ns) for trace in report.traces]
    traces = [trace for trace in cut if trace.points]
    marks = [mark for mark in report.marks if from_ns <= mark.at_ns <= to_ns]
    return Figure(from_ns, to_ns, runs, traces, total_trace(traces), marks)


def draw(figure: Figure, report: Report, *, number_of: int) -> Markup:
    """Return the figure as SVG with an accessible title and description.

    Args:
        figure: What to draw.
        report: For the zone of its times.
        number_of: Which figure of the page, for ids.
    """
    drawn, height = drawing(figure, report)
    title_id, about_id = f"figure-{number_of}-title", f"figure-{number_of}-about"
    return element(
        "svg",
        element("title", text(title_of(figure, report)), id=title_id),
        element("desc", text(about(figure)), id=about_id),
        drawn,
        class_="figure",
        viewBox=f"0 0 {number(WIDTH)} {number(height)}",
        role="img",
        aria_labelledby=f"{title_id} {about_id}",
    )


def drawing(figure: Figure, report: Report) -> tuple[Markup, float]:
    """Return what stands in the figure, `WIDTH` wide, and its height."""
    bars = pack(figure.runs, figure.to_ns)
    x = Scale(figure.from_ns, figure.to_ns, LEFT, WIDTH - RIGHT)
    total_top = HEAD_PX + lanes_height(bars) + BETWEEN_PX - 8
    total_bottom = total_top + TOTAL_PX
    servers_top = total_bottom + BETWEEN_PX
    servers_bottom = servers_top + SERVERS_PX
    drawn = join(
        [
            _time_axis(figure, report, x, HEAD_PX, servers_bottom),
            draw_shades(bars, x, total_top, total_bottom),
            draw_shades(bars, x, servers_top, servers_bottom),
            _total_panel(figure, x, total_top, total_bottom),
            _panel("Power per server", figure.traces, x, servers_top, servers_bottom),
            draw_bars(bars, x, HEAD_PX),
            _marks(figure.marks, x, total_top, servers_bottom),
            element("line", class_="cursor", x1=0, x2=0, y1=HEAD_PX, y2=servers_bottom, visibility="hidden"),
        ]
    )
    return drawn, servers_bottom + AXIS_PX


def pointer_data(figure: Figure, report: Report) -> dict[str, object]:
    """Return what the page's script needs to tell the values under the pointer, ready for JSON."""
    zero_ns = figure.from_ns
    series = [
        {
            "name": words.shorten(trace.server),
            "t": [(point[0] - zero_ns) // 1_000_000 for point in trace.points],
            "w": [round(point[1], 1) for point in trace.points],
        }
        for trace in (figure.total, *figure.traces)
    ]
    steps = [
        {
            "name": words.shorten(bar.step.name, 60),
            "state": bar.step.state,
            "depth": bar.step.depth,
            "from": (bar.step.start_ns - zero_ns) // 1_000_000,
            "to": (bar.end_ns - zero_ns) // 1_000_000,
            "energy": words.energy(bar.step.energy_j, bar.step.u95_j, bar.step.quality),
        }
        for bar in pack(figure.runs, figure.to_ns)
    ]
    return {
        "left": LEFT,
        "right": WIDTH - RIGHT,
        "width": WIDTH,
        "span_ms": (figure.to_ns - zero_ns) // 1_000_000,
        "start_ms": zero_ns // 1_000_000,
        "offset_min": _offset_minutes(report, zero_ns),
        "series": series,
        "steps": steps,
    }


def server_style(index: int) -> str:
    """Return the inline style that gives server number ``index`` its colour."""
    return f"--line:var(--c{index % COLOURS})"


def _offset_minutes(report: Report, time_ns: int) -> int:
    shown = words.offset(time_ns, report.zone).removeprefix("UTC")
    if not shown:
        return 0
    hours, minutes = shown[1:].split(":")
    return (int(hours) * 60 + int(minutes)) * (-1 if shown[0] == "-" else 1)


def _cut(trace: PowerTrace, from_ns: int, to_ns: int) -> PowerTrace:
    return PowerTrace(trace.server, tuple(point for point in trace.points if from_ns <= point[0] <= to_ns))


def title_of(figure: Figure, report: Report) -> str:
    """Return what the figure shows, for those who cannot see it."""
    names = ", ".join(words.shorten(run.whole.name, 40) for run in figure.runs)
    day = words.moment(figure.from_ns, report.zone, pattern="%Y-%m-%d")
    return f"Power over time during {names} on {day}"


def about(figure: Figure) -> str:
    """Return the figure in a sentence."""
    peak_w = max((point[1] for point in figure.total.points), default=None)
    servers = len(figure.traces)
    return (
        f"{servers} server{'s' * (servers != 1)}, peak of their sum {figures.power(peak_w)}; "
        f"{sum(len(run.steps) for run in figure.runs)} steps; the table below holds the figures."
    )


def _time_axis(figure: Figure, report: Report, x: Scale, top: float, bottom: float) -> Markup:
    zone = words.offset(figure.from_ns, report.zone)
    parts = [element("text", text(zone), class_="tick", x=0, y=bottom + 18)]
    for tick_ns, label in time_ticks(figure.from_ns, figure.to_ns, report.zone):
        at = x(tick_ns)
        parts.append(element("line", class_="grid", x1=at, x2=at, y1=top, y2=bottom + 4))
        parts.append(element("text", text(label), class_="tick", x=at, y=bottom + 18, text_anchor="middle"))
    return join(parts)


def _total_panel(figure: Figure, x: Scale, top: float, bottom: float) -> Markup:
    empty = "never known of all servers at once" if figure.traces else "no readings"
    return _panel("Total power", [figure.total], x, top, bottom, empty=empty, is_total=True)


def _panel(
    title: str,
    traces: Sequence[PowerTrace],
    x: Scale,
    top: float,
    bottom: float,
    *,
    empty: str = "no readings",
    is_total: bool = False,
) -> Markup:
    highest_w = max((point[3] for trace in traces for point in trace.points), default=0.0)
    ticks = power_ticks(highest_w * 1.05)
    y = Scale(0.0, ticks[-1], bottom, top)
    parts = [element("text", text(title), class_="panel-title", x=LEFT, y=top - 10)]
    for tick in ticks:
        parts.append(element("line", class_="grid", x1=LEFT, x2=WIDTH - RIGHT, y1=y(tick), y2=y(tick)))
        label = f"{tick:,.10g} W"
        parts.append(
            element("text", text(label), class_="tick", x=LEFT - 8, y=y(tick) + 4, text_anchor="end")
        )
    if not any(trace.points for trace in traces):
        at = {"x": (LEFT + WIDTH - RIGHT) / 2, "y": (top + bottom) / 2}
        parts.append(element("text", text(empty), class_="empty", text_anchor="middle", **at))
    for index, trace in enumerate(traces):
        parts.append(_trace(trace, index, x, y, is_total=is_total))
    return join(parts)


def _trace(trace: PowerTrace, index: int, x: Scale, y: Scale, *, is_total: bool) -> Markup:
    drawn = [element("title", text(trace.server))]
    for piece in pieces(trace):
        line = _path(piece, 1, x, y)
        if is_total:
            ends = f"L{number(x(piece[-1][0]))} {number(y(0))}L{number(x(piece[0][0]))} {number(y(0))}Z"
            drawn.append(element("path", class_="area", d=line + ends))
        elif any(point[3] > point[2] for point in piece):
            back = _path(list(reversed(piece)), 2, x, y).replace("M", "L", 1)
            drawn.append(element("path", class_="band", d=f"{_path(piece, 3, x, y)}{back}Z"))
        dash = None if is_total else _DASHES[index // COLOURS % len(_DASHES)]
        kind = "line lone" if len(piece) == 1 else "line"
        drawn.append(element("path", class_=kind, d=line, stroke_dasharray=dash))
    kind = "trace total" if is_total else "trace"
    style = None if is_total else server_style(index)
    return element("g", *drawn, class_=kind, style=style, data_series=str(0 if is_total else index + 1))


def _path(points: Sequence[PowerPoint], column: int, x: Scale, y: Scale) -> str:
    at = [f"{number(x(point[0]))} {number(y(point[column]))}" for point in points]
    if len(at) == 1:
        # A single reading is a dot: a line of no length with round ends.
        at.append(at[0])
    return "M" + "L".join(at)


def _marks(marks: Sequence[ReportMark], x: Scale, top: float, bottom: float) -> Markup:
    """Return the marks; those that would lie on each other share one line and its tooltip."""
    grouped: list[list[ReportMark]] = []
    for mark in marks:
        near = grouped and x(mark.at_ns) - x(grouped[-1][0].at_ns) < _SAME_MARK_PX
        if near and grouped[-1][0].kind == mark.kind:
            grouped[-1].append(mark)
        else:
            grouped.append([mark])
    return join(_mark(group, x, top, bottom) for group in grouped)


def _mark(group: Sequence[ReportMark], x: Scale, top: float, bottom: float) -> Markup:
    at = x(group[0].at_ns)
    told = "\n".join(words.shorten(mark.title, 120) for mark in group[:20])
    is_power = group[0].kind == "power"
    sign = (
        element("path", class_="sign", d=f"M{number(at)} {number(top - 9)}v5m-3 -3.2a4 4 0 1 0 6 0")
        if is_power
        else element("circle", class_="sign", cx=at, cy=top - 5, r=2.5)
    )
    return element(
        "g",
        element("title", text(told)),
        element("line", x1=at, x2=at, y1=top, y2=bottom),
        element("circle", class_="knob", cx=at, cy=top - 5, r=8),
        sign,
        class_=f"mark {'power' if is_power else 'note'}",
    )
