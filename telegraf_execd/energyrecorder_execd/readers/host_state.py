"""Reads the power state of a host and decides when it has to be asked for again (pure).

A BMC's power resource does not say whether the host is on, and asking its system resource in every poll
would double the load on the BMC. So a state, once verified, is kept as long as the readings fit it, and one
extra request is spent when something hints at a change:

- nothing is known yet, or the host was last seen not on (so that switching on is seen at once);
- the reading is missing or 0, or comes from another source: nothing may be claimed then;
- the reading fell below a share of the lowest one that was verified as on: standby of a big machine may well
  be 100 W, so only a relative limit works;
- the last verification is older than five minutes.

What remains undetected is an off and on again between two polls, which no poller sees.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from energyrecorder_execd.readers.json_values import text

MAX_AGE_S = 300.0
"""Age of a verified state after which it is asked for again, seconds."""

ABSENT_FIRST_S = 15.0
"""A BMC whose resource with the power state is not there is asked for it again after this time, doubled each
time: one that boots shows it within a minute or two, another one never will."""

ABSENT_RETRY_S = 3600.0
"""Longest such time, seconds."""

FALL = 0.6
"""A reading below this share of the lowest verified-on reading hints at a host that was switched off.

The lowest reading soon is idle power, far above standby power (8 W of a Dell M640 that is off), so that a
working host costs the extra request only while its lowest reading is still being learned.
"""

LIMIT_S = 3.0
"""Longest wait for the state, beyond twice the time that the reading took, which must not be lost for it."""

_STATES = {
    "on": "on",
    "off": "off",
    "paused": "on",
    # On the way the host draws power that is neither running nor standby power.
    "poweringon": "unknown",
    "poweringoff": "unknown",
}


def limit_s(latency_s: float) -> float:
    """Return how long to wait for the state of the host, seconds.

    Args:
        latency_s: Time that the BMC took to answer with the reading, seconds.
    """
    return LIMIT_S + 2 * latency_s


def host_state(said: str | None) -> str:
    """Return ``on``, ``off`` or ``unknown`` for what a BMC calls the power state."""
    return _STATES.get((said or "").lower(), "unknown")


def told_state(document: Any) -> str | None:
    """Return what a system or chassis resource tells of the host; None if it has nothing that tells.

    ``"Power": "On"`` is what iLO 4 writes in its own REST.
    """
    if not isinstance(document, Mapping):
        return None
    said = text(document, "PowerState") or text(document, "Power")
    return None if said is None else host_state(said)


@dataclass(frozen=True, slots=True)
class HostMemory:
    """What was last verified of one host.

    Args:
        state: ``on``, ``off`` or ``unknown``.
        verified_ns: When the BMC said so, nanoseconds since the Unix epoch, UTC; 0 means never.
        source: Source of the reading at that time.
        lowest_on_w: Lowest reading while the host was verified to be on; None if there was none.
        absent: How often in a row the BMC had no resource that tells.
    """

    state: str = "unknown"
    verified_ns: int = 0
    source: str = ""
    lowest_on_w: float | None = None
    absent: int = 0


def must_verify(memory: HostMemory, *, watts: float | None, source: str, now_ns: int) -> bool:
    """Tell whether this reading costs the extra request for the host's power state.

    Args:
        memory: What was last verified.
        watts: The reading of this poll; None means none.
        source: Its source.
        now_ns: Nanoseconds since the Unix epoch, UTC.
    """
    age_s = (now_ns - memory.verified_ns) / 1e9
    if memory.absent and 0 <= age_s < _absent_wait_s(memory.absent):
        return False
    if memory.state != "on" or not 0 <= age_s < MAX_AGE_S:
        return True
    if watts is None or watts <= 0 or source != memory.source:
        return True
    return memory.lowest_on_w is not None and watts < FALL * memory.lowest_on_w


def verified(
    memory: HostMemory, state: str | None, *, watts: float | None, source: str, now_ns: int
) -> HostMemory:
    """Return what is remembered after the BMC was asked.

    Args:
        memory: What was remembered before.
        state: The answer; None means that the BMC has no resource that tells just now.
        watts: The reading of this poll; None means none.
        source: Its source.
        now_ns: Nanoseconds since the Unix epoch, UTC.
    """
    lowest = memory.lowest_on_w if source == memory.source else None
    if state == "on" and watts is not None and watts > 0:
        lowest = watts if lowest is None else min(lowest, watts)
    return HostMemory(
        state=state or "unknown",
        verified_ns=now_ns,
        source=source,
        lowest_on_w=lowest,
        absent=memory.absent + 1 if state is None else 0,
    )


def _absent_wait_s(times: int) -> float:
    return min(ABSENT_FIRST_S * 2.0 ** min(times - 1, 10), ABSENT_RETRY_S)
