"""How long a BMC that failed is left alone: a pure state machine, time given by the caller."""

from __future__ import annotations

import random

MAX_RETRY_AFTER_S = 900.0

LONGEST_PAUSE_S = {
    # A BMC that restarts is to be read again within seconds, and one packet to a dead one costs little.
    "timeout": 5.0,
    "unreachable": 5.0,
    "busy": 60.0,
    "session_limit": 300.0,
    "protocol": 60.0,
    "tls": 60.0,
    "privilege": 300.0,
    # A BMC in trouble hides its resources for a while: a walk a minute is no more than ordinary polling.
    "unsupported": 60.0,
}
"""Longest pause between two polls by reason; a reason that is not named (such as ``no_reading`` and ``data``:
the host restarts) causes none."""

_FIRST_PAUSE_S = 1.0
_JITTER = 0.2


class Backoff:
    """The pauses of one BMC: doubled at each failure in a row, with jitter, gone at the first success.

    Another reason begins anew: a BMC that was unreachable while it restarted is busy for some seconds after
    that, and must not be left alone as if it had been busy all the time. The poll after a pause is the
    half-open probe: if it fails, the next pause follows.

    Args:
        jitter: Source of the jitter, seeded in tests.
    """

    def __init__(self, jitter: random.Random) -> None:
        self._jitter = jitter
        self._failures = 0
        self._reason = ""
        self._until_s = float("-inf")

    def succeeded(self) -> None:
        """Forget all failures."""
        self._failures = 0
        self._until_s = float("-inf")

    def failed(self, reason: str, now_s: float, retry_after_s: float | None = None) -> None:
        """Note a failure.

        Args:
            reason: One of `energyrecorder.schema.ERRORS`.
            now_s: Seconds on a clock that never steps.
            retry_after_s: What the BMC asked for, at most 15 minutes of it honoured; None if it did not.
        """
        if reason != self._reason:
            self._failures, self._reason = 0, reason
        longest = LONGEST_PAUSE_S.get(reason, 0.0)
        pause = min(longest, _FIRST_PAUSE_S * 2.0 ** min(self._failures, 20))
        self._failures += 1
        pause *= 1 + self._jitter.uniform(-_JITTER, _JITTER)
        if retry_after_s is not None:
            pause = max(pause, min(retry_after_s, MAX_RETRY_AFTER_S))
        self._until_s = now_s + pause

    def ready(self, now_s: float) -> bool:
        """Tell whether the BMC may be polled at ``now_s``."""
        return now_s >= self._until_s
