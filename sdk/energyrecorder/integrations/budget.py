"""Energies as people write them in a budget, with their unit, and how a measured one compares."""

from __future__ import annotations

import re
from typing import Optional

BUDGET_ALLOWED = "a number with a unit: J, kJ, MJ, Wh or kWh, such as '12Wh' or '43 kJ'"
_BUDGET = re.compile(r"\s*(\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)\s*(J|kJ|MJ|Wh|kWh)\s*")
_JOULES = {"J": 1.0, "kJ": 1e3, "MJ": 1e6, "Wh": 3600.0, "kWh": 3.6e6}

KEPT, EXCEEDED, UNDECIDED = "kept", "exceeded", "undecided"


def parse_energy_j(text: object) -> float:
    """Return the joules that ``text`` stands for.

    Raises:
        ValueError: It has no known unit or is no positive number; the message says what is allowed.
    """
    match = _BUDGET.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError(f"{text!r} is not {BUDGET_ALLOWED}")
    energy_j = float(match[1]) * _JOULES[match[2]]
    if energy_j <= 0:
        raise ValueError(f"{text!r} is not {BUDGET_ALLOWED}")
    return energy_j


def verdict(budget_j: float, energy_j: Optional[float], u95_j: Optional[float], quality: str) -> str:
    """Return whether a budget was kept, exceeded, or whether the measurement cannot tell.

    It is exceeded when the whole 95 % interval lies above it, kept when the whole interval lies within.

    Args:
        budget_j: The budget.
        energy_j: What was measured; None means nothing was.
        u95_j: Half width of its 95 % interval; None means unknown.
        quality: One of `energyrecorder.schema.QUALITIES`.
    """
    if energy_j is None or u95_j is None or quality not in ("resolved", "coarse"):
        return UNDECIDED
    if energy_j - u95_j > budget_j:
        return EXCEEDED
    return KEPT if energy_j + u95_j <= budget_j else UNDECIDED
