"""Steps as bars above the curves: runs first, then their steps, overlapping ones below each other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from energyrecorder import figures
from energyrecorder_analysis.report import words
from energyrecorder_analysis.report.markup import Markup, element, join, text
from energyrecorder_analysis.report.model import ReportRun, ReportStep
from energyrecorder_analysis.report.scale import Scale
from energyrecorder_analysis.report.table import STATE_SIGNS

LANE_PX = 24.0
_MOST_LANES = 10
_CHAR_PX = 6.4
_PADDING_PX = 8.0


@dataclass(frozen=True, slots=True)
class Bar:
    """One step in its lane; ``end_ns`` is the end of the figure for a step that still runs."""

    step: ReportStep
    end_ns: int
    lane: int


def pack(runs: Iterable[ReportRun], until_ns: int) -> list[Bar]:
    """Return the bars of all steps: a lane per depth, more where steps of one depth overlap.

    Args:
        runs: The runs.
        until_ns: Where a step that still runs ends in the figure.
    """
    steps = [step for run in runs for step in (run.whole, *run.steps)]
    bars: list[Bar] = []
    first_lane = 0
    for depth in sorted({step.depth for step in steps}):
        free_from_ns: list[int] = []
        for step in sorted((step for step in steps if step.depth == depth), key=lambda step: step.start_ns):
            end_ns = until_ns if step.end_ns is None else step.end_ns
            lane = next((index for index, free in enumerate(free_from_ns) if free <= step.start_ns), None)
            if lane is None:
                lane = len(free_from_ns)
                free_from_ns.append(end_ns)
            free_from_ns[lane] = end_ns
            if first_lane + lane < _MOST_LANES:
                bars.append(Bar(step, end_ns, first_lane + lane))
        first_lane += len(free_from_ns)
    return bars


def lanes_height(bars: Sequence[Bar]) -> float:
    """Return the pixels that the lanes need."""
    return LANE_PX * (1 + max((bar.lane for bar in bars), default=-1))


def draw_bars(bars: Iterable[Bar], x: Scale, top: float) -> Markup:
    """Return the bars with their names, clipped to what fits, the whole name in a tooltip."""
    return join(_bar(bar, x, top) for bar in bars)


def draw_shades(bars: Iterable[Bar], x: Scale, top: float, bottom: float) -> Markup:
    """Return translucent bands of the steps behind the curves; runs are not shaded, their steps are."""
    return join(
        element(
            "rect",
            class_=f"shade s-{_state(bar.step)}",
            x=x(bar.step.start_ns),
            y=top,
            width=max(x(bar.end_ns) - x(bar.step.start_ns), 1.0),
            height=bottom - top,
        )
        for bar in bars
        if bar.step.depth == 1
    )


def _bar(bar: Bar, x: Scale, top: float) -> Markup:
    left, right = x(bar.step.start_ns), x(bar.end_ns)
    width = max(right - left, 2.0)
    y = top + bar.lane * LANE_PX
    state = _state(bar.step)
    label = f"{STATE_SIGNS.get(state, '')} {words.shorten(bar.step.name, 200)}"
    fits = int((width - _PADDING_PX) / _CHAR_PX)
    shown = words.shorten(label, fits) if fits >= 3 else ""  # noqa: PLR2004  # a sign, a letter, a dot
    return element(
        "g",
        element("title", text(f"{bar.step.name[:500]}\n{bar.step.state} · {_told(bar.step)}")),
        element(
            "rect",
            class_=f"bar s-{state}",
            x=left,
            y=y,
            width=width,
            height=LANE_PX - 4,
            rx=min(3, width / 2),
        ),
        element("text", text(shown), class_="bar-label", x=left + 6, y=y + 14) if shown else Markup(""),
        class_="lane" if bar.step.depth else "lane run",
    )


def _told(step: ReportStep) -> str:
    energy = words.energy(step.energy_j, step.u95_j, step.quality)
    return f"{figures.duration(step.duration_s)} · {energy}"


def _state(step: ReportStep) -> str:
    return step.state if step.state in STATE_SIGNS else "lost"
