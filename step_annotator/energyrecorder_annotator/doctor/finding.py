"""What `doctor` says of each thing that it looked at."""

from __future__ import annotations

from dataclasses import dataclass

MOST_OFFSET_S = 2.0
"""Clocks further apart than this are told of."""
KEEP_TIME = "let both keep time by NTP"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at.

    Args:
        what: What was looked at.
        ok: Whether it is as it should be.
        text: What was found, and what to do if it is not.
    """

    what: str
    ok: bool
    text: str


def compared_clock(what: str, told: str, offset_s: float) -> Finding:
    """Return what there is to say of a clock that was compared with ours."""
    ok = abs(offset_s) <= MOST_OFFSET_S
    return Finding(what, ok=ok, text=told if ok else f"{told}; {KEEP_TIME}")
