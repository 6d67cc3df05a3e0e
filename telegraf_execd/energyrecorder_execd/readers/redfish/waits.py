"""Remembers for which resources a BMC asked for time, so that they are left alone until it is over (pure)."""

from __future__ import annotations

from collections.abc import Mapping

from energyrecorder.clock import Clock
from energyrecorder.errors import BmcError
from energyrecorder_execd.backoff import MAX_RETRY_AFTER_S


class Waits:
    """The waits of one BMC; none is longer than `MAX_RETRY_AFTER_S`, also where a clock is set back.

    Args:
        clock: Wall clock.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waits: dict[str, tuple[int, BmcError]] = {}

    def note(self, failures: Mapping[str, BmcError]) -> None:
        """Take note of what failed: an error with ``retry_after_s`` begins a wait, unless one is running.

        Args:
            failures: Path → why it gave nothing.
        """
        running = self.running()
        for path, error in failures.items():
            wait_s = getattr(error, "retry_after_s", None)
            if wait_s and path not in running:
                until_ns = self._clock() + int(min(wait_s, MAX_RETRY_AFTER_S) * 1e9)
                self._waits[path] = until_ns, error

    def running(self) -> dict[str, BmcError]:
        """Return the resources whose time is not over, each with what the BMC said."""
        left_s = {path: (until_ns - self._clock()) / 1e9 for path, (until_ns, _) in self._waits.items()}
        return {path: self._waits[path][1] for path, s in left_s.items() if 0 < s <= MAX_RETRY_AFTER_S}
