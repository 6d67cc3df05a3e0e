"""The web page as HTML: readable without a script, on a phone and on a wall."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from urllib.parse import quote, urlencode

from energyrecorder import figures
from energyrecorder_analysis.report import words
from energyrecorder_analysis.report.markup import Markup, element, join, text
from energyrecorder_analysis.report.resources import resource
from energyrecorder_analysis.report.steps_html import badge, state
from energyrecorder_annotator.sinks.wording import safe_link
from energyrecorder_annotator.web.overview import Overview, RunLine
from energyrecorder_annotator.web.servers import environments

CONTENT_SECURITY_POLICY = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'"
REFRESH_S = 15
STATES = ("running", "passed", "failed", "aborted", "lost")
_RUN_HEADS = (
    ("State", ""),
    ("Run", ""),
    ("Environment", ""),
    ("Start", ""),
    ("Duration", "n"),
    ("Energy", "n"),
    ("Mean power", "n"),
    ("Quality", ""),
)


def render(shown: Overview, *, refresh: bool) -> str:
    """Return the page.

    Args:
        shown: Its content; names may hold any text: everything foreign is escaped.
        refresh: Whether the browser asks for it again every `REFRESH_S`.
    """
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        *([element("meta", http_equiv="refresh", content=str(REFRESH_S))] if refresh else []),
        element("title", text("Energy of test runs")),
        element("style", Markup(resource("figure.css") + resource("page.css") + _style())),
    )
    body = element(
        "main", _header(shown, refresh=refresh), *_notes(shown.notes), environments(shown), _runs(shown)
    )
    return f"<!DOCTYPE html>\n{element('html', head, element('body', body), lang='en')}\n"


def _style() -> str:
    return files("energyrecorder_annotator.web").joinpath("web.css").read_text(encoding="utf-8")


def _header(shown: Overview, *, refresh: bool) -> Markup:
    made = words.moment(shown.now_ns, shown.zone)
    toggle = "stop refreshing" if refresh else f"refresh every {REFRESH_S} s"
    return element(
        "header",
        element("h1", text("Energy of test runs")),
        element("p", text(f"{made} {words.offset(shown.now_ns, shown.zone)}")),
        element(
            "nav",
            element("a", text(toggle), href=_link(shown, refresh="" if refresh else "1")),
            element("a", text("API"), href="docs"),
        ),
    )


def _notes(notes: Sequence[str]) -> list[Markup]:
    if not notes:
        return []
    return [element("section", *(element("p", text(note)) for note in notes), class_="panel note")]


def _runs(shown: Overview) -> Markup:
    if shown.runs:
        heads = (element("th", text(name), scope="col", class_=kind or None) for name, kind in _RUN_HEADS)
        rows = (_run(line, shown) for line in shown.runs)
        content = element(
            "table",
            element("thead", element("tr", *heads)),
            element("tbody", *rows),
            class_="stacked",
        )
    else:
        content = _no_runs(shown)
    more = [] if shown.next_cursor is None else [_older(shown)]
    return element("section", element("h2", text("Runs")), _filter(shown), content, *more, class_="panel")


def _run(line: RunLine, shown: Overview) -> Markup:
    whole = line.whole
    end_ns = shown.now_ns if whole.end_ns is None else whole.end_ns
    start = words.moment(whole.start_ns, shown.zone)
    energy = words.energy(whole.energy_j, whole.u95_j, whole.quality)
    resolvable = whole.quality in {"resolved", "coarse"}
    reason = [element("small", text(words.shorten(whole.reason, 200)))] if whole.reason else []
    cells = (
        ("", state(whole)),
        ("name", _name(line)),
        ("", element("a", text(words.shorten(line.env, 40)), href=f"?{urlencode({'env': line.env})}")),
        ("when", text(start)),
        ("n", text(figures.duration(max(0, end_ns - whole.start_ns) / 1e9))),
        ("n", text(energy)),
        ("n", text(figures.power(whole.avg_w if resolvable else None))),
        ("", join([badge(whole.quality), *reason])),
    )
    return element("tr", *(element("td", cell, class_=kind or None) for kind, cell in cells))


def _name(line: RunLine) -> Markup:
    target = f"v1/runs/{quote(line.run_id, safe='')}/report.html"
    parts = [element("a", text(words.shorten(line.whole.name)), href=target)]
    if line.title:
        parts.append(element("small", text(words.shorten(line.title))))
    if line.current is not None:
        parts.append(element("small", text(f"now: {words.shorten(line.current)}")))
    url = safe_link(line.url)
    if url is not None:
        link = element("a", text("job"), href=url, rel="noopener noreferrer nofollow")
        parts.append(element("small", link))
    return join(parts)


def _no_runs(shown: Overview) -> Markup:
    if _chosen(shown) or shown.query.after is not None:
        return element("p", text("No run is like that. "), element("a", text("Show all."), href="."))
    command = "energy-step run --env pod1 --scenario hello -- sleep 60"
    return element("p", text("No run yet. The first one: "), element("code", text(command)))


def _filter(shown: Overview) -> Markup:
    query = shown.query
    options = (
        element("option", text(name or "any state"), value=name, selected="selected" if chosen else None)
        for name, chosen in (("", not query.state), *((one, one == query.state) for one in STATES))
    )
    return element(
        "form",
        _field("env", "environment", query.env),
        _field("scenario", "scenario", query.scenario),
        element("select", *options, name="state", aria_label="state"),
        element("button", text("show")),
        method="get",
        action=".",
    )


def _field(name: str, label: str, value: str | None) -> Markup:
    return element("input", name=name, value=value or None, placeholder=label, aria_label=label)


def _older(shown: Overview) -> Markup:
    link = element("a", text("older runs"), href=_link(shown, cursor=shown.next_cursor or ""), rel="next")
    return element("p", link)


def _chosen(shown: Overview) -> dict[str, str]:
    query = shown.query
    asked = {"env": query.env, "scenario": query.scenario, "state": query.state}
    return {key: value for key, value in asked.items() if value}


def _link(shown: Overview, **more: str) -> str:
    """Return a link to this page with the same choice and ``more``; an empty value is left out."""
    asked = {**_chosen(shown), **{key: value for key, value in more.items() if value}}
    return f"?{urlencode(asked)}" if asked else "."
