"""The part of the web page that shows environments: each server's last reading and its last hour."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlencode

from energyrecorder import figures
from energyrecorder_analysis.report import words
from energyrecorder_analysis.report.markup import Markup, element, join, number, text
from energyrecorder_analysis.report.model import PowerPoint, PowerTrace
from energyrecorder_analysis.report.scale import Scale
from energyrecorder_analysis.report.traces import pieces
from energyrecorder_annotator.api.sample_state import STALE_NS
from energyrecorder_annotator.samples.freshness import HOUR_NS
from energyrecorder_annotator.web.overview import MOST_CURVES, EnvNow, Overview, ServerNow

CURVE_WIDTH, CURVE_HEIGHT = 150.0, 26.0
MOST_UNFOLDED = 24
"""With more servers on the page the reader unfolds the environment of interest."""
_HEADS = (("Server", ""), ("Power", "n"), ("Age", "n"), ("Host", ""), ("Last hour", ""))


def environments(shown: Overview) -> Markup:
    """Return a panel for each environment, or what to do when nothing reports."""
    if not shown.envs:
        told = "No server reported within the hour. "
        hint = "energy-annotator doctor"
        return element(
            "section",
            element("h2", text("Servers")),
            element("p", text(told), element("code", text(hint)), text(" tells why.")),
            class_="panel",
        )
    servers = sum(len(one.servers) for one in shown.envs)
    return element(
        "div",
        *(_environment(one, shown, unfolded=servers <= MOST_UNFOLDED) for one in shown.envs),
        *([element("p", text("Choose an environment to see curves."))] if servers > MOST_CURVES else []),
        class_="environments",
    )


def _environment(one: EnvNow, shown: Overview, *, unfolded: bool) -> Markup:
    name = element("a", text(words.shorten(one.env, 60)), href=f"?{urlencode({'env': one.env})}")
    summary = element(
        "summary", element("h2", name), element("span", text(_total(one.servers, shown.now_ns)))
    )
    heads = (element("th", text(head), scope="col", class_=kind or None) for head, kind in _HEADS)
    table = element(
        "table",
        element("thead", element("tr", *heads)),
        element("tbody", *(_server(server, shown.now_ns) for server in one.servers)),
        class_="servers",
    )
    return element("details", summary, table, class_="panel", open="open" if unfolded else None)


def _total(servers: Sequence[ServerNow], now_ns: int) -> str:
    """Return the power of an environment in words; what is not known is not counted as 0 W."""
    fresh = [one.watts for one in servers if one.watts is not None and not _is_stale(one, now_ns)]
    count = len(servers)
    if not fresh:
        return f"no reading of {count} server{'s' * (count != 1)} for a minute"
    whose = (
        f"{count} server{'s' * (count != 1)}" if len(fresh) == count else f"{len(fresh)} of {count} servers"
    )
    return f"{figures.power(sum(fresh))} · {whose}"


def _server(server: ServerNow, now_ns: int) -> Markup:
    stale = _is_stale(server, now_ns)
    age = figures.duration(max(0, now_ns - server.sample_ns) / 1e9) if server.sample_ns else figures.UNKNOWN
    return element(
        "tr",
        element("td", text(words.shorten(server.server, 64)), class_="id"),
        element("td", text(figures.power(server.watts)), class_="n"),
        element("td", text(age), class_="n late" if stale else "n"),
        element("td", text(server.host), class_=f"host-{server.host}" if server.host.isalpha() else None),
        element("td", _curve(server.points, now_ns)),
    )


def _is_stale(server: ServerNow, now_ns: int) -> bool:
    return server.sample_ns < now_ns - STALE_NS


def _curve(points: Sequence[PowerPoint], now_ns: int) -> Markup:
    """Return the last hour from 0 W up, with holes where nothing was read."""
    if not points:
        return text(figures.UNKNOWN)
    highest_w = max(point[3] for point in points)
    x = Scale(now_ns - HOUR_NS, now_ns, 1.0, CURVE_WIDTH - 1.0)
    y = Scale(0.0, max(highest_w, 1.0), CURVE_HEIGHT - 2.0, 2.0)
    lines = (_line(piece, x, y) for piece in pieces(PowerTrace("", tuple(points))))
    lowest_w = min(point[2] for point in points)
    told = f"{figures.power(lowest_w)} to {figures.power(highest_w)} in the last hour"
    return element(
        "svg",
        element("title", text(told)),
        element("path", class_="line", d=join(lines)),
        class_="curve",
        viewBox=f"0 0 {number(CURVE_WIDTH)} {number(CURVE_HEIGHT)}",
        role="img",
    )


def _line(points: Sequence[PowerPoint], x: Scale, y: Scale) -> Markup:
    at = [f"{number(x(point[0]))} {number(y(point[1]))}" for point in points]
    if len(at) == 1:
        # A single reading is a dot: a line of no length with round ends.
        at.append(at[0])
    return Markup("M" + "L".join(at))
