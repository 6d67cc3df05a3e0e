"""What clients tell of events that wait on their disks: for each environment the most of the last minutes."""

from __future__ import annotations

from dataclasses import dataclass

from energyrecorder.clock import Clock

SPAN_NS = 300 * 1_000_000_000
"""What was told is seen for one to two spans; a client with an open step tells it every 30 s."""
MOST_ENVS = 1000


@dataclass(slots=True)
class Spooled:
    """The most that clients of one environment told.

    Args:
        since_ns: When the first of them told it, ns since the Unix epoch.
        size_bytes: Of the largest spool.
        oldest_s: Age of the oldest event when it was told.
    """

    since_ns: int
    size_bytes: int
    oldest_s: float


class ClientSpools:
    """Takes what requests tell; it is gone with the process.

    Args:
        clock: Our wall clock.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._told: dict[str, Spooled] = {}

    def take(self, env: str, size_bytes: int, oldest_s: float) -> None:
        """Take what a client tells of its spool; beyond `MOST_ENVS` environments it is left out."""
        now_ns = self._clock()
        known = self._told.get(env)
        if known is not None and now_ns - known.since_ns < SPAN_NS:
            known.size_bytes = max(known.size_bytes, size_bytes)
            known.oldest_s = max(known.oldest_s, oldest_s)
            return
        self._told = self.most()
        if env in self._told or len(self._told) < MOST_ENVS:
            self._told[env] = Spooled(now_ns, size_bytes, oldest_s)

    def most(self) -> dict[str, Spooled]:
        """Return the most that was told lately, by environment."""
        after_ns = self._clock() - 2 * SPAN_NS
        return {env: told for env, told in self._told.items() if told.since_ns > after_ns}
