"""Energy, power, time and change as people read them, on terminals and in reports; all pure.

Energy is in Wh (kWh from 1,000 Wh) with its interval, which alone decides how many digits are shown; decimal
points whatever the locale. An energy that is not resolvable never appears as a bare number.
"""

from __future__ import annotations

import math
from datetime import datetime, timezone
from typing import Optional, Sequence, Tuple

J_PER_WH = 3600.0
_KWH_FROM_WH = 1000.0
_MOST_DECIMALS = 6
_LARGE_PERCENT = 1000
_WITH_TENTHS_W = 99.95
"""What is less is shown with one decimal: three digits tell enough, and this would be rounded to 100.0."""
_WITH_TENTHS_S = 59.95
"""What is longer would be rounded to 60.0 s."""
UNRESOLVABLE = "unresolvable"
NOT_RESOLVABLE = "not resolvable"
UNKNOWN = "–"  # noqa: RUF001  # a dash for what is missing, as in any printed table


def decimals_for(error: float) -> int:
    """Return how many decimals show ``error`` with two significant digits (JCGM 100, 7.2.6)."""
    if error <= 0 or not math.isfinite(error):
        return 3
    return min(max(0, 1 - math.floor(math.log10(error))), _MOST_DECIMALS)


def wh_or_kwh(energy_j: float) -> Tuple[float, str]:
    """Return the unit that an energy is shown in: how many joules it has, and its name."""
    if abs(energy_j) >= _KWH_FROM_WH * J_PER_WH:
        return J_PER_WH * 1000, "kWh"
    return J_PER_WH, "Wh"


def energy_wh(energy_j: Optional[float], u95_j: Optional[float], quality: Optional[str] = None) -> str:
    """Return an energy with its interval: ``12.34 ± 0.21 Wh``.

    Args:
        energy_j: Joules; None is unknown.
        u95_j: Half the width of the 95 % interval, joules; None is unknown, and is shown as that.
        quality: ``unresolvable`` is shown in words with the interval, never as a bare number.
    """
    unresolvable = quality == UNRESOLVABLE
    if energy_j is None or (unresolvable and u95_j is None):
        return NOT_RESOLVABLE if unresolvable else UNKNOWN
    if unresolvable and u95_j is not None:
        unit_j, unit = wh_or_kwh(energy_j + u95_j)
        return f"{NOT_RESOLVABLE} ({_ends(energy_j / unit_j, u95_j / unit_j)} {unit})"
    unit_j, unit = wh_or_kwh(energy_j)
    return f"{_with_error(energy_j / unit_j, None if u95_j is None else u95_j / unit_j)} {unit}"


def energy_in_j(energy_j: Optional[float], u95_j: Optional[float], quality: Optional[str] = None) -> str:
    """Return the same in joules, for the detail column."""
    if energy_j is None:
        return UNKNOWN
    if quality == UNRESOLVABLE:
        return UNKNOWN if u95_j is None else f"{_ends(energy_j, u95_j)} J"
    return f"{_with_error(energy_j, u95_j)} J"


def _with_error(value: float, u95: Optional[float]) -> str:
    if u95 is None:
        return f"{value:.3g} ± ?"
    decimals = decimals_for(u95)
    return f"{value:,.{decimals}f} ± {u95:,.{decimals}f}"


def _ends(value: float, u95: float) -> str:
    """Return ``0.16 … 0.38``: where the value lies, when the value itself would mislead."""
    low, high = value - u95, value + u95
    decimals = decimals_for(high)
    if low <= 0:
        return f"≤ {high:,.{decimals}f}"
    return f"{low:,.{decimals}f} … {high:,.{decimals}f}"


def power(watts: Optional[float], quality: Optional[str] = None) -> str:
    """Return a power in W; unknown where the energy it follows from is not resolvable."""
    if watts is None or quality == UNRESOLVABLE:
        return UNKNOWN
    return f"{watts:,.1f} W" if watts < _WITH_TENTHS_W else f"{watts:,.0f} W"


def duration(seconds: Optional[float]) -> str:
    """Return a length of time: ``12.3 s``, ``3 min 05 s``, ``1 h 02 min``."""
    if seconds is None:
        return UNKNOWN
    if seconds < _WITH_TENTHS_S:
        return f"{seconds:.1f} s"
    minutes, rest_s = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest_s:02} s"


def change(ratio: Optional[float]) -> str:
    """Return a ratio as a change: ``+4.8 %``."""
    return UNKNOWN if ratio is None else f"{_signed(ratio)} %"


def change_interval(low: Optional[float], high: Optional[float]) -> str:
    """Return the interval of a ratio as changes: ``+0.4 … +9.1 %``; an end that nothing bounds is a dash."""
    if low is None and high is None:
        return UNKNOWN
    ends = [UNKNOWN if end is None else _signed(end) for end in (low, high)]
    return f"{' … '.join(ends)} %"


def _signed(ratio: float) -> str:
    # What rounds to nothing is 0, neither 1e-06 nor -0.
    percent = round(100 * (ratio - 1), 2) + 0.0
    # Three digits of more would be written with an exponent.
    return f"{percent:+.3g}" if abs(percent) < _LARGE_PERCENT else f"{percent:+,.0f}"


def local_time(time_ns: Optional[int], *, utc: bool) -> str:
    """Return ``2026-11-22 20:06:01+00:00``: local time with its offset, or UTC."""
    if time_ns is None:
        return UNKNOWN
    moment = datetime.fromtimestamp(time_ns // 10**9, tz=timezone.utc)  # noqa: UP017  # datetime.UTC is of 3.11
    return (moment if utc else moment.astimezone()).isoformat(sep=" ")


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return aligned columns, two spaces apart; figures to the right, names to the left."""
    lines = [list(header), *[list(row) for row in rows]]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    right = [_is_figure(rows, column) for column in range(len(header))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if flush else cell.ljust(width)
            for cell, width, flush in zip(line, widths, right)  # noqa: B905  # strict= is of 3.10
        ).rstrip()
        for line in lines
    )


def _is_figure(rows: Sequence[Sequence[str]], column: int) -> bool:
    cells = [row[column] for row in rows if row[column] != UNKNOWN]
    return bool(cells) and all(cell[:1].isdigit() or cell[:1] in "-≤" for cell in cells)


def counted(number: int, noun: str) -> str:
    """Return ``1 event``, ``3 events``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def one_line(text: object, longest: int = 60) -> str:
    """Return foreign text fit for a terminal: one line, no control characters, not too long."""
    plain = "".join(character if character.isprintable() else " " for character in str(text))
    plain = " ".join(plain.split())
    return plain if len(plain) <= longest else plain[: longest - 1] + "…"
