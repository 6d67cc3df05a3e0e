"""When an energy may be called resolved: the thresholds, in one place."""

from __future__ import annotations

RESOLVED_U95 = 0.05
COARSE_U95 = 0.20

RESOLVED = "resolved"
COARSE = "coarse"
UNRESOLVABLE = "unresolvable"


def judge(energy_j: float, u95_j: float, *, too_short_s: float = 0.0) -> tuple[str, str]:
    """Return quality and reason of an energy; the reason is empty when it is resolved.

    Args:
        energy_j: The energy.
        u95_j: Half width of its 95 % interval.
        too_short_s: Length below which the readings resolve no step, if this one is shorter; else 0.
    """
    if too_short_s:
        return UNRESOLVABLE, f"shorter than two periods of the readings ({too_short_s:.3g} s)"
    if u95_j <= RESOLVED_U95 * energy_j and energy_j > 0:
        return RESOLVED, ""
    if energy_j <= 0:
        return UNRESOLVABLE, "no energy above its uncertainty"
    percent = 100 * u95_j / energy_j
    quality = COARSE if u95_j <= COARSE_U95 * energy_j else UNRESOLVABLE
    return quality, f"95 % interval is ±{percent:.2g} % of the energy"
