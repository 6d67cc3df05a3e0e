"""Tells that two collectors read one server, from the times of its polls, and says so in the log.

A server's place in the interval follows from its name, so both stand on the same ticks: polls come in pairs,
far closer to each other than to the next pair. A start, a missed tick or a changed interval makes no pairs.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterable
from dataclasses import dataclass

from energyrecorder.clock import Clock
from energyrecorder_annotator.samples.base import Batch

LOOKED_AT = 30
"""Polls of each server whose distances are looked at."""
LEAST_PAIRS = 8
"""More than restarts make among them: each gives one, as the first poll may come right before its tick."""
ADVICE = "stop one energy-execd, or split the fleet with --shard"
LEAVE_NS = 600 * 1_000_000_000
"""A server without a poll for so long has left; one that is polled slowly may be silent for as long as the
polls of its verdict took."""
_NEAR = 4

_log = logging.getLogger(__name__)


def polled_twice(times_ns: Iterable[int]) -> bool:
    """Return whether two collectors read one server.

    Args:
        times_ns: Of its polls, ns since the Unix epoch; the same poll may be among them twice.
    """
    gaps = [after - before for before, after in itertools.pairwise(sorted(set(times_ns)))]
    if len(gaps) < LEAST_PAIRS:
        return False
    usual = sorted(gaps)[len(gaps) * 3 // 4]
    near = [False, *(gap * _NEAR < usual for gap in gaps), False]
    pairs = sum(
        one and not before and not after for before, one, after in zip(near, near[1:], near[2:], strict=False)
    )
    return pairs >= LEAST_PAIRS


def named(servers: Iterable[str], most: int = 5) -> str:
    """Return the names of servers, of many the first ones."""
    ordered = sorted(servers)
    return f"{', '.join(ordered[:most])}{' …' if len(ordered) > most else ''}"


@dataclass(slots=True)
class _Twice:
    """A server that two collectors read.

    Args:
        heard_ns: When its last poll came, by our clock.
        leave_ns: Silent for so long, it has left.
    """

    heard_ns: int
    leave_ns: int


class PollPairs:
    """Looks at the polls that come in; a server's verdict is renewed with every `LOOKED_AT` of them.

    Args:
        clock: Our wall clock.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._times: dict[tuple[str, str], set[int]] = {}
        self._twice: dict[str, dict[str, _Twice]] = {}

    def take(self, batch: Batch) -> None:
        """Take the polls of a batch; says once of an environment that it begins or ends."""
        now_ns = self._clock()
        for poll in batch.polls:
            known = self._twice.get(poll.env, {}).get(poll.server)
            if known is not None:
                known.heard_ns = now_ns
            times = self._times.setdefault((poll.env, poll.server), set())
            times.add(poll.t_ns)
            if len(times) >= LOOKED_AT:
                self._judge(poll.env, poll.server, times, now_ns)
                times.clear()

    def count(self, env: str) -> int:
        """Return how many servers of an environment are polled by two collectors; none that has left."""
        return len(self._present(env, self._clock()))

    def _present(self, env: str, now_ns: int) -> dict[str, _Twice]:
        known = self._twice.get(env, {})
        return {server: one for server, one in known.items() if now_ns - one.heard_ns < one.leave_ns}

    def _judge(self, env: str, server: str, times: set[int], now_ns: int) -> None:
        before = self._twice.get(env)
        known = self._twice[env] = self._present(env, now_ns)
        if polled_twice(times):
            if not known:
                _log.warning(
                    "server %r of %r, and perhaps others, is polled by two collectors at once; %s",
                    server,
                    env,
                    ADVICE,
                )
            known[server] = _Twice(now_ns, max(LEAVE_NS, max(times) - min(times)))
            return
        known.pop(server, None)
        if before and not known:
            _log.info("servers of %r are polled by one collector again", env)
