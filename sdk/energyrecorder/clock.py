"""The clocks that events are stamped with, injected wherever time matters."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Dict, Optional

Clock = Callable[[], int]
"""Returns nanoseconds since the Unix epoch, UTC."""

wall_ns: Clock = time.time_ns


@dataclass(frozen=True)
class Instant:
    """One moment on both clocks of one machine.

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


def _read_boot_id() -> Optional[str]:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
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
