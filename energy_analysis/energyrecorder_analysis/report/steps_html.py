"""The tables of the HTML page: one per run, a row per step, its servers below it on demand."""

from __future__ import annotations

from typing import NamedTuple

from energyrecorder import figures
from energyrecorder_analysis.report import words
from energyrecorder_analysis.report.markup import Markup, element, join, text
from energyrecorder_analysis.report.model import Report, ReportRun, ReportStep, ServerPart
from energyrecorder_analysis.report.table import STATE_SIGNS, Row, has_truth

_GAUGE_PX = 130.0
_QUALITY_WORDS = {
    "resolved": "resolved",
    "coarse": "coarse",
    "unresolvable": "not resolvable",
    "pending": "pending",
}


class _Cell(NamedTuple):
    """One cell of a step's row, with the head of its column."""

    head: str
    content: Markup
    kind: str = ""
    title: str | None = None

    def drawn(self) -> Markup:
        """Return the cell; its head goes along for narrow screens, where the row of heads is not shown."""
        return element(
            "td", self.content, class_=self.kind or None, title=self.title, data_head=self.head or None
        )


def run_section(run: ReportRun, report: Report) -> Markup:
    """Return the table of one run."""
    heads = (
        element("th", text(cell.head), scope="col", class_=cell.kind or None)
        for cell in _cells(run.whole, report, top_j=0.0)
    )
    top_j = max((_upper_j(step) for step in run.steps), default=0.0)
    rows = [_row(run.whole, report, top_j=0.0, is_whole=True)]
    rows += [_row(step, report, top_j=top_j, is_whole=False) for step in run.steps]
    table = element("table", element("thead", element("tr", *heads)), element("tbody", *rows), class_="steps")
    day = words.moment(run.whole.start_ns, report.zone, pattern="%Y-%m-%d")
    caption = f"{words.shorten(run.whole.name)} · {words.shorten(run.env)} · {day}"
    return element(
        "section",
        element("h2", text(caption), title=run.whole.name[:2000]),
        element("div", table, class_="scroll"),
        class_="panel",
    )


def badge(quality: str) -> Markup:
    """Return a quality as a coloured word."""
    known = quality if quality in _QUALITY_WORDS else "pending"
    return element("span", text(_QUALITY_WORDS[known]), class_=f"badge q-{known}")


def state(step: ReportStep) -> Markup:
    """Return a state with its sign, so that colour is not needed to tell it."""
    known = step.state if step.state in STATE_SIGNS else "lost"
    return element("span", text(f"{STATE_SIGNS[known]} {step.state}"), class_=f"state s-{known}")


def energy_words(row: Row) -> Markup:
    """Return the energy in Wh with its details below: J, and the range where it is not resolvable."""
    head, _, interval = row.energy.partition(" (")
    below = [interval.removesuffix(")"), row.energy_j]
    return join([text(head), *(element("small", text(line)) for line in below if line)])


def _row(step: ReportStep, report: Report, *, top_j: float, is_whole: bool) -> Markup:
    cells = _cells(step, report, top_j=top_j)
    kinds = ["whole"] * is_whole + ["has-parts"] * bool(step.parts)
    drawn = element("tr", *(cell.drawn() for cell in cells), class_=" ".join(kinds) or None)
    return join([drawn, _parts(step, len(cells))]) if step.parts else drawn


def _cells(step: ReportStep, report: Report, *, top_j: float) -> list[_Cell]:
    row = Row.of(step, report)
    zone = words.offset(step.start_ns, report.zone)
    reason = element("small", text(step.reason), class_="why") if step.reason else Markup("")
    true = _Cell("True energy", join([text(row.true), *_deviation(step)]), "n")
    return [
        _Cell("State", state(step)),
        _Cell("Step", _name(row), "name", step.name if row.name != step.name else None),
        _Cell(f"Start ({zone})", text(row.start), "n"),
        _Cell("Duration", text(row.duration), "n"),
        _Cell("Energy", energy_words(row), "n"),
        _Cell("", _gauge(step, top_j)),
        *([true] if has_truth(report) else []),
        _Cell("Mean power", text(row.power), "n"),
        _Cell("Quality", join([badge(step.quality), reason])),
    ]


def _name(row: Row) -> Markup:
    indent = "\u203a " * max(row.step.depth - 1, 0)
    deep = element("span", text(indent), class_="deep") if indent else Markup("")
    return join([deep, text(row.name)])


def _deviation(step: ReportStep) -> list[Markup]:
    if step.true_j is None or not step.true_j or step.energy_j is None or step.quality == "unresolvable":
        return []
    # Adding zero turns -0.0 into 0.0.
    percent = round(100 * (step.energy_j / step.true_j - 1), 1) + 0.0
    inside = step.u95_j is not None and abs(step.energy_j - step.true_j) <= step.u95_j
    return [element("small", text(f"{percent:+.1f} % · {'inside' if inside else 'outside'} the interval"))]


def _parts(step: ReportStep, columns: int) -> Markup:
    heads = ("Server", "Energy", "Mean power", "Quality", "Covered", "Readings", "How")
    head = element("tr", *(element("th", text(label), scope="col") for label in heads))
    table = element("table", element("thead", head), element("tbody", *(_part(part) for part in step.parts)))
    count = len(step.parts)
    used = "" if step.servers in (None, count) else f"{step.servers} of "
    summary = element("summary", text(f"{used}{count} server{'s' * (count != 1)}"))
    details = element("details", summary, table)
    return element("tr", element("td", details, colspan=str(columns)), class_="parts")


def _part(part: ServerPart) -> Markup:
    # A single server may be unresolvable inside a sum that is resolved.
    shown = words.energy(part.energy_j, part.u95_j, part.quality)
    power = part.avg_w if part.quality in ("resolved", "coarse") else None
    cells = (
        text(words.shorten(part.server)),
        text(shown),
        text(figures.power(power)),
        join([badge(part.quality), element("small", text(part.reason)) if part.reason else Markup("")]),
        text(words.percent(part.coverage)),
        text(figures.UNKNOWN if part.samples is None else str(part.samples)),
        text(part.method),
    )
    return element("tr", *(element("td", cell) for cell in cells))


def _upper_j(step: ReportStep) -> float:
    return (step.energy_j or 0.0) + (step.u95_j or 0.0)


def _gauge(step: ReportStep, top_j: float) -> Markup:
    """Return the energy as a bar with its interval as a whisker and the true energy as a diamond."""
    if step.energy_j is None or step.u95_j is None or top_j <= 0 or step.quality == "pending":
        return Markup("")
    pixels = (_GAUGE_PX - 8) / max(top_j, step.true_j or 0.0)
    low, high = max(step.energy_j - step.u95_j, 0.0) * pixels + 2, (step.energy_j + step.u95_j) * pixels + 2
    drawn = [element("rect", class_="track", x=2, y=7, width=_GAUGE_PX - 4, height=8, rx=2)]
    if step.quality == "unresolvable":
        drawn.append(element("rect", class_="range", x=low, y=5, width=max(high - low, 2), height=12, rx=2))
    else:
        drawn.append(element("rect", class_="fill", x=2, y=7, width=step.energy_j * pixels, height=8, rx=2))
        bars = f"M{low:.1f} 5v12M{high:.1f} 5v12M{low:.1f} 11H{high:.1f}"
        drawn.append(element("path", class_="whisker", d=bars))
    if step.true_j is not None:
        at = step.true_j * pixels + 2
        drawn.append(element("path", class_="true", d=f"M{at:.1f} 6l4 5l-4 5l-4 -5z"))
    return element(
        "svg",
        *drawn,
        class_="gauge",
        viewBox=f"0 0 {_GAUGE_PX:.0f} 22",
        role="presentation",
        aria_hidden="true",
    )
