"""How long a poll of one BMC may take: as the fleet file says, and more for one that needs more (pure)."""

from __future__ import annotations

from collections import deque

MOST = 4
"""No BMC is waited for in silence longer than so many times the deadline of the fleet file."""

WHOLE = 12
"""No poll lasts longer than so many times the deadline: one that looks around may need as many answers, and
BMCs that take two seconds for each are common."""

ROOM = 2.0
"""A poll may take so many times as long as the slowest of the recent good ones."""

POLLS = 8


class Patience:
    """The deadline of one BMC's polls.

    A BMC that never answered gets twice the time after each time-out: its first poll has more to ask than
    later ones. One that did answer, and falls silent, is either dead or has become slow: every second poll
    gives it more time, so that a dead one costs little and is read soon after it answers again. A slow one
    that has answered keeps the time it needs.

    Args:
        timeout_s: Deadline of the fleet file, seconds.
    """

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._took_s: deque[float] = deque(maxlen=POLLS)
        self._silent = 0

    @property
    def deadline_s(self) -> float:
        """Seconds that the next poll may take."""
        times = 2.0**self._silent
        if self._took_s:
            needed = ROOM * max(self._took_s) / self._timeout_s
            more = 2.0 ** (self._silent // 2) if self._silent % 2 == 0 else 1.0
            times = max(1.0, needed, more)
        return min(times, MOST) * self._timeout_s

    def answered(self, took_s: float) -> None:
        """Note a poll that the BMC answered, with a reading or without.

        Args:
            took_s: How long it took, seconds.
        """
        self._took_s.append(took_s)
        self._silent = 0

    def timed_out(self) -> None:
        """Note a poll whose deadline passed."""
        self._silent = min(self._silent + 1, 2 * MOST)

    def failed(self) -> None:
        """Note a poll that failed for another reason: the BMC is there."""
        self._silent = 0
