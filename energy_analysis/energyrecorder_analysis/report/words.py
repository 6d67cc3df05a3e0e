"""How reports write names, times and pending results; figures are as `energyrecorder.figures` writes them."""

from __future__ import annotations

import math
import unicodedata
from datetime import UTC, datetime, timedelta, tzinfo

from energyrecorder.figures import NOT_RESOLVABLE, UNKNOWN, decimals_for, energy_in_j, energy_wh, wh_or_kwh

PENDING = "pending"

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
    return energy_wh(energy_j, u95_j, quality)


def joules(energy_j: float | None, u95_j: float | None, quality: str) -> str:
    """Return the same in J, for the detail line."""
    return "" if energy_j is None or u95_j is None else energy_in_j(energy_j, u95_j, quality)


def exact_energy(energy_j: float | None, like_u95_j: float | None = None) -> str:
    """Return a true energy, rounded as finely as the interval it is compared with."""
    if energy_j is None:
        return UNKNOWN
    unit_j, unit = wh_or_kwh(energy_j)
    return f"{energy_j / unit_j:,.{decimals_for((like_u95_j or energy_j / 100) / unit_j)}f} {unit}"


def percent(part: float | None) -> str:
    """Return a part of 1 in percent; only what is complete is called 100 %."""
    if part is None:
        return UNKNOWN
    return "100 %" if part >= 1 else f"{math.floor(part * 1000) / 10:g} %"


def moment(time_ns: int, zone: tzinfo, *, pattern: str = "%Y-%m-%d %H:%M:%S") -> str:
    """Return a time of day in ``zone`` as ``pattern`` says."""
    return _local(time_ns, zone).strftime(pattern)


def offset(time_ns: int, zone: tzinfo) -> str:
    """Return the zone's offset at that time: ``UTC``, ``UTC+02:00``."""
    text = _local(time_ns, zone).strftime("%z")
    return "UTC" if text in ("", "+0000") else f"UTC{text[:3]}:{text[3:5]}"


def _local(time_ns: int, zone: tzinfo) -> datetime:
    # Timedelta arithmetic, because a float of seconds loses the microseconds of today.
    moment_utc = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=time_ns // 1000)
    return moment_utc.astimezone(zone)
