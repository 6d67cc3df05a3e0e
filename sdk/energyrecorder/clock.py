"""The clocks that events are stamped with, injected wherever time matters."""

from __future__ import annotations

import time
from typing import Callable, Dict, NamedTuple, Optional

Clock = Callable[[], int]
"""Returns nanoseconds since the Unix epoch, UTC."""

wall_ns: Clock = time.time_ns


class Instant(NamedTuple):
    """One moment on both clocks of one machine; made for every step, hence not a dataclass.

    Args:
        wall_ns: Nanoseconds since the Unix epoch as this machine believes; steps when NTP says so.
        boot_ns: Nanoseconds since boot (CLOCK_BOOTTIME), counts through suspend, never steps.
        boot_id: Names the boot that ``boot_ns`` counts from; None where the system does not tell.
    """

    wall_ns: int
    boot_ns: int
    boot_id: Optional[str]

    def as_json(self) -> Dict[str, object]:
        """Return the form in which events carry it to the annotator."""
        return {"wall_ns": self.wall_ns, "boot_ns": self.boot_ns, "boot_id": self.boot_id}


def age_ns(at: object, now: Instant) -> int:
    """Return how many nanoseconds ago an event was; within one boot whatever the wall clock did since.

    Args:
        at: As the event carries it; what is no instant is of now.
        now: This moment.
    """
    if not isinstance(at, dict):
        return 0
    same_boot = at.get("boot_id") == now.boot_id
    then_ns = at.get("boot_ns" if same_boot else "wall_ns")
    return (now.boot_ns if same_boot else now.wall_ns) - then_ns if isinstance(then_ns, int) else 0


def _read_boot_id() -> Optional[str]:
    try:
        # Not by pathlib, which would cost every `import energyrecorder` 5 ms.
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:  # noqa: PTH123  # pathlib costs more than the rest of this import
            return file.read().strip()
    except OSError:
        return None


class SystemClock:
    """The clocks of this machine; the boot id is read once."""

    def __init__(self) -> None:
        self.boot_id = _read_boot_id()
        self._boot_clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
        # Bound here so that a test suite that patches `time` does not change what we measure.
        self._time_ns = time.time_ns
        self._clock_gettime = time.clock_gettime

    def now(self) -> Instant:
        """Return this moment on both clocks."""
        boot_ns = int(self._clock_gettime(self._boot_clock) * 1e9)
        return Instant(wall_ns=self._time_ns(), boot_ns=boot_ns, boot_id=self.boot_id)
