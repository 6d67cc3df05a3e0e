"""A hole in what was written out, as it is remembered until a BMC's own history has filled it (pure)."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any

HISTORY_LIMIT_S = 3.0
"""Longest wait for a history in one poll: it is big, and the reading at hand must not wait for it."""

HISTORY_ATTEMPTS = 10
"""After so many polls that could not get the history the hole stays."""


@dataclass(frozen=True, slots=True)
class Hole:
    """A stretch of time for which nothing was written out.

    Args:
        from_s: Its begin, seconds since the Unix epoch, by the BMC's clock or ours.
        to_s: Its end, likewise.
        attempts: Polls that have tried to fill it.
    """

    from_s: float
    to_s: float
    attempts: int = 0


def still_open(old: Hole | None, new: Hole | None) -> Hole | None:
    """Return the hole to fill: a new one takes the place of another that could not be filled yet.

    A poll that its deadline ended finds the same hole again: its attempts go on being counted.
    """
    if old is None or new is None:
        return new or old
    return old if old.from_s == new.from_s else new


def keep_hole(facts: MutableMapping[str, Any], hole: Hole | None) -> None:
    """Remember a hole, or that there is none any more."""
    if hole is None:
        facts.pop("hole", None)
    else:
        facts["hole"] = [hole.from_s, hole.to_s, hole.attempts]


def kept_hole(facts: Mapping[str, Any]) -> Hole | None:
    """Return what `keep_hole` remembered; None if there is nothing."""
    kept = facts.get("hole")
    if not isinstance(kept, list) or len(kept) != 3:  # noqa: PLR2004  # from, to, attempts
        return None
    if any(isinstance(value, bool) or not isinstance(value, int | float) for value in kept):
        return None
    return Hole(float(kept[0]), float(kept[1]), int(kept[2]))
