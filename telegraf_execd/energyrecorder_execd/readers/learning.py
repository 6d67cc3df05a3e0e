"""Learns how often a BMC renews its reading, and in what steps, from the readings themselves (pure).

Between two renewals a BMC repeats its value, so the changes seen by polling lie whole periods apart. A period
shorter than about two polls cannot be seen, and a value that just rarely changes has no period at all: both
stay unknown rather than be guessed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any

FEWEST_CHANGES = 40
"""Changes needed before a period is believed."""

FEWEST_VALUES = 12
"""Different values needed before a quantum is believed: twelve even numbers by chance are one in 4,096."""

_KEPT = 64
_SHARE = 0.75
_RESOLVED = 1.8
_LONGEST_S = 900.0
# Readings are compared in hundredths of a watt: no BMC was seen to show more digits that mean something.
_STEPS_PER_WATT = 100


@dataclass(frozen=True, slots=True)
class Learned:
    """What was seen of one source of one computer so far.

    Args:
        value: Last reading in hundredths of a watt; None: none yet.
        seen_s: When it was read, seconds since the Unix epoch, UTC.
        changed_s: When it last changed; None: it has not been seen to change yet.
        intervals_s: Times between changes, the last ones.
        polls_s: Times between polls, the last ones.
        divisor: Greatest common divisor of all values, hundredths of a watt.
        values: Different values, up to `FEWEST_VALUES`.
        refresh_s: Period of renewal; None unknown. Kept while nothing contradicts it.
    """

    value: int | None = None
    seen_s: float = 0.0
    changed_s: float | None = None
    intervals_s: tuple[float, ...] = ()
    polls_s: tuple[float, ...] = ()
    divisor: int = 0
    values: frozenset[int] = field(default_factory=frozenset)
    refresh_s: float | None = None

    @property
    def quantum_w(self) -> float | None:
        """Step of the readings, watts; None unknown."""
        if len(self.values) < FEWEST_VALUES or self.divisor == 0:
            return None
        return self.divisor / _STEPS_PER_WATT


def observed(before: Learned, *, watts: float, at_s: float) -> Learned:
    """Return what is known after one more reading.

    Args:
        before: What was known.
        watts: The reading.
        at_s: When it was read, seconds since the Unix epoch, UTC.
    """
    value = round(watts * _STEPS_PER_WATT)
    values = before.values if len(before.values) >= FEWEST_VALUES else before.values | {value}
    changed_s, intervals_s, polls_s = before.changed_s, before.intervals_s, before.polls_s
    refresh_s = before.refresh_s
    passed_s = at_s - before.seen_s
    if before.value is None or not 0 < passed_s <= _LONGEST_S:
        # The first one, or an outage, or a clock that was set: no interval may lead across it.
        changed_s = None
    else:
        polls_s = (*polls_s, passed_s)[-_KEPT:]
        if value != before.value:
            if changed_s is not None:
                intervals_s = (*intervals_s, at_s - changed_s)[-_KEPT:]
                # What an earlier life learned stands until there is as much new evidence.
                if len(intervals_s) >= FEWEST_CHANGES:
                    refresh_s = _period_s(intervals_s, polls_s)
            changed_s = at_s
    divisor = math.gcd(before.divisor, value)
    return Learned(value, at_s, changed_s, intervals_s, polls_s, divisor, values, refresh_s)


def _period_s(intervals_s: tuple[float, ...], polls_s: tuple[float, ...]) -> float | None:
    """Return the period behind the times between changes; None if they show none.

    Values that are equal by chance make an interval of two periods, so the short end of the intervals tells
    the period; and most of them must be as long, or else the value merely changes now and then.
    """
    poll_s = sorted(polls_s)[len(polls_s) // 2]
    short_s = sorted(intervals_s)[len(intervals_s) // 5]
    if short_s < _RESOLVED * poll_s:
        return None
    near = [s for s in intervals_s if abs(s - short_s) <= 0.25 * short_s + poll_s]
    if len(near) < _SHARE * len(intervals_s):
        return None
    periods = sum(max(1, round(s / short_s)) for s in near)
    return round(sum(near) / periods, 1)


def as_facts(learned: Learned) -> dict[str, Any]:
    """Return what is worth remembering as JSON values: results, not the readings of one life."""
    return {
        "refresh_s": learned.refresh_s,
        "divisor": learned.divisor,
        "values": sorted(learned.values),
    }


def from_facts(facts: Any) -> Learned:
    """Return what `as_facts` wrote; nothing learned for anything else."""
    if not isinstance(facts, Mapping):
        return Learned()
    refresh_s, divisor, values = (facts.get(key) for key in ("refresh_s", "divisor", "values"))
    if not isinstance(values, list) or not isinstance(divisor, int) or isinstance(divisor, bool):
        return Learned()
    if isinstance(refresh_s, bool) or not isinstance(refresh_s, int | float) or refresh_s <= 0:
        refresh_s = None
    whole = frozenset(value for value in values if isinstance(value, int) and not isinstance(value, bool))
    return Learned(divisor=abs(divisor), values=whole, refresh_s=refresh_s)


class Learner:
    """What is learned of all sources of one BMC, kept in its facts under ``learned``.

    Args:
        facts: The reader's own facts.
    """

    def __init__(self, facts: MutableMapping[str, Any]) -> None:
        kept = facts.get("learned")
        self._facts: dict[str, Any] = kept if isinstance(kept, dict) else {}
        facts["learned"] = self._facts
        self._known: dict[str, Learned] = {}

    def observe(self, node: str | None, source: str, *, watts: float, at_s: float) -> Learned:
        """Take over one reading and return what is known of its source.

        Args:
            node: Node of a multi-node BMC; None where the BMC has one computer.
            source: Source of the reading.
            watts: The reading.
            at_s: When it was read, seconds since the Unix epoch, UTC.
        """
        key = f"{node or ''}/{source}"
        before = self._known.get(key) or from_facts(self._facts.get(key))
        after = observed(before, watts=watts, at_s=at_s)
        self._known[key] = after
        if (after.refresh_s, after.divisor, after.values) != (
            before.refresh_s,
            before.divisor,
            before.values,
        ):
            self._facts[key] = as_facts(after)
        return after
