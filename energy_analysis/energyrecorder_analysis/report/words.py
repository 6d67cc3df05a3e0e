"""How figures and names are written for people: one place for units, rounding, times and shortening.

Energy is in Wh (kWh from 1,000 Wh) with J beside it; decimal points whatever the locale; times are local with
their offset. An energy that is not resolvable never appears as a bare number.
"""

from __future__ import annotations

import math
import unicodedata
from datetime import UTC, datetime, timedelta, tzinfo

UNKNOWN = "\u2013"
NOT_RESOLVABLE = "not resolvable"
PENDING = "pending"

_WH_J = 3600.0
_KWH_FROM_WH = 1000.0
_MOST_DECIMALS = 6
_LARGE_PERCENT = 1000
_WITH_TENTHS = 99.95
"""What is less is shown with one decimal: three digits tell enough, and this would be rounded to 100.0."""
_VISIBLE = {"\n": "⏎", "\r": "⏎", "\t": "⇥"}


def shorten(name: str, most: int = 80) -> str:
    """Return a name on one line, control characters made visible, at most ``most`` characters long."""
    head = name[: most + 1]
    shown = "".join(_VISIBLE.get(char, char if _is_printable(char) else "\ufffd") for char in head)
    return shown if len(shown) <= most else shown[: most - 1] + "…"


def _is_printable(char: str) -> bool:
    # Cc control, Cs surrogates, Cf invisible marks such as right-to-left overrides; emoji joiners stay.
    return char == "\u200d" or unicodedata.category(char) not in ("Cc", "Cs", "Cf", "Zl", "Zp")


def energy(energy_j: float | None, u95_j: float | None, quality: str) -> str:
    """Return ``12.34 ± 0.56 Wh``, or words and the interval where the number would mislead."""
    if energy_j is None or u95_j is None:
        return PENDING if quality == "pending" else NOT_RESOLVABLE
    unit_j, unit = _unit(energy_j + u95_j if quality == "unresolvable" else energy_j)
    if quality == "unresolvable":
        return f"{NOT_RESOLVABLE} ({_interval(energy_j / unit_j, u95_j / unit_j)} {unit})"
    return f"{_with_error(energy_j / unit_j, u95_j / unit_j)} {unit}"


def joules(energy_j: float | None, u95_j: float | None, quality: str) -> str:
    """Return the same in J, for the detail line."""
    if energy_j is None or u95_j is None:
        return ""
    if quality == "unresolvable":
        return f"{_interval(energy_j, u95_j)} J"
    return f"{_with_error(energy_j, u95_j)} J"


def exact_energy(energy_j: float | None, like_u95_j: float | None = None) -> str:
    """Return a true energy, rounded as finely as the interval it is compared with."""
    if energy_j is None:
        return UNKNOWN
    unit_j, unit = _unit(energy_j)
    return f"{energy_j / unit_j:,.{_decimals((like_u95_j or energy_j / 100) / unit_j)}f} {unit}"


def power(watts: float | None) -> str:
    """Return a power in W."""
    if watts is None:
        return UNKNOWN
    return f"{watts:,.1f} W" if watts < _WITH_TENTHS else f"{watts:,.0f} W"


def percent(part: float | None) -> str:
    """Return a part of 1 in percent; only what is complete is called 100 %."""
    if part is None:
        return UNKNOWN
    return "100 %" if part >= 1 else f"{math.floor(part * 1000) / 10:g} %"


def duration(seconds: float | None) -> str:
    """Return a length of time: ``12.3 s``, ``2 min 05 s``, ``1 h 02 min``."""
    if seconds is None:
        return UNKNOWN
    if seconds < _WITH_TENTHS:
        return f"{seconds:.1f} s"
    minutes, rest_s = divmod(round(seconds), 60)
    if minutes < 60:  # noqa: PLR2004  # minutes in an hour
        return f"{minutes} min {rest_s:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min"


def moment(time_ns: int, zone: tzinfo, *, pattern: str = "%Y-%m-%d %H:%M:%S") -> str:
    """Return a time of day in ``zone`` as ``pattern`` says."""
    return _local(time_ns, zone).strftime(pattern)


def offset(time_ns: int, zone: tzinfo) -> str:
    """Return the zone's offset at that time: ``UTC``, ``UTC+02:00``."""
    text = _local(time_ns, zone).strftime("%z")
    return "UTC" if text in ("", "+0000") else f"UTC{text[:3]}:{text[3:5]}"


def change(ratio: float | None) -> str:
    """Return a ratio as a change: ``+4.8 %``."""
    return UNKNOWN if ratio is None else f"{_signed(ratio)} %"


def change_interval(low: float | None, high: float | None) -> str:
    """Return the interval of a ratio as changes: ``+0.4 … +9.1 %``; an end that nothing bounds is a dash."""
    ends = (UNKNOWN if end is None else _signed(end) for end in (low, high))
    return UNKNOWN if low is None and high is None else f"{' … '.join(ends)} %"


def _signed(ratio: float) -> str:
    # What rounds to nothing is 0, neither 1e-06 nor -0.
    percent_of_change = round(100 * (ratio - 1), 2) + 0.0
    # Three digits of more would be written with an exponent.
    return (
        f"{percent_of_change:+.3g}"
        if abs(percent_of_change) < _LARGE_PERCENT
        else f"{percent_of_change:+,.0f}"
    )


def _local(time_ns: int, zone: tzinfo) -> datetime:
    # Timedelta arithmetic, because a float of seconds loses the microseconds of today.
    moment_utc = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=time_ns // 1000)
    return moment_utc.astimezone(zone)


def _unit(energy_j: float) -> tuple[float, str]:
    if abs(energy_j) >= _KWH_FROM_WH * _WH_J:
        return _WH_J * 1000, "kWh"
    return _WH_J, "Wh"


def _decimals(error: float) -> int:
    """Return how many decimals show two digits of ``error``."""
    if error <= 0 or not math.isfinite(error):
        return 1
    return min(max(1 - math.floor(math.log10(error)), 0), _MOST_DECIMALS)


def _with_error(value: float, error: float) -> str:
    decimals = _decimals(error)
    return f"{value:,.{decimals}f} ± {error:,.{decimals}f}"


def _interval(value: float, error: float) -> str:
    decimals = _decimals(value + error)
    low, high = value - error, value + error
    if low <= 0:
        return f"≤ {high:,.{decimals}f}"
    return f"{low:,.{decimals}f} … {high:,.{decimals}f}"
