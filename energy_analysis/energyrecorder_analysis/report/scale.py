"""Axes: where values lie in pixels and which of them get a label."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

_TIME_STEPS_S = (
    *(1, 2, 5, 10, 15, 30),
    *(60, 120, 300, 600, 900, 1800),
    *(3600, 7200, 10800, 21600, 43200, 86400),
)


@dataclass(frozen=True, slots=True)
class Scale:
    """A straight line from values to pixels.

    Args:
        low: Value at ``start``.
        high: Value at ``end``, greater than ``low``.
        start: Pixel of ``low``.
        end: Pixel of ``high``.
    """

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Return the pixel of ``value``."""
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)


def power_ticks(highest_w: float, most: int = 5) -> list[float]:
    """Return round powers from 0 to at least ``highest_w``, about ``most`` of them."""
    rough = max(highest_w, 1.0) / most
    magnitude = 10 ** math.floor(math.log10(rough))
    step = next(factor * magnitude for factor in (1, 2, 2.5, 5, 10) if factor * magnitude >= rough)
    count = math.ceil(highest_w / step - 1e-9)
    return [step * index for index in range(max(count, 1) + 1)]


def time_ticks(from_ns: int, to_ns: int, zone: tzinfo, most: int = 10) -> list[tuple[int, str]]:
    """Return round local times inside a span with their labels, about ``most`` of them."""
    span_s = max((to_ns - from_ns) / 1e9, 1.0)
    step_s = next((step for step in _TIME_STEPS_S if span_s / step <= most), None)
    if step_s is None:
        step_s = 86400 * math.ceil(span_s / 86400 / most)
    local = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=from_ns // 1000)).astimezone(zone)
    offset = local.utcoffset() or timedelta()
    offset_ns = round(offset.total_seconds()) * 1_000_000_000
    step_ns = step_s * 1_000_000_000
    first_ns = math.ceil((from_ns + offset_ns) / step_ns) * step_ns - offset_ns
    pattern = "%H:%M:%S" if step_s < 60 else "%H:%M" if step_s < 86400 else "%b %d"  # noqa: PLR2004  # s, d
    ticks = range(first_ns, to_ns + 1, step_ns)
    return [(tick_ns, _label(tick_ns, offset_ns, pattern)) for tick_ns in ticks]


def _label(tick_ns: int, offset_ns: int, pattern: str) -> str:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=(tick_ns + offset_ns) // 1000)
    return moment.strftime(pattern)
