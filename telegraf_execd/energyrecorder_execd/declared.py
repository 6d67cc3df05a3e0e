"""Puts into a poll what the fleet file declares of the timing of its source."""

from __future__ import annotations

from dataclasses import replace

from energyrecorder_execd.fleet import SourceTiming
from energyrecorder_execd.readers.base import Poll, Reading


def with_timing(poll: Poll, timing: SourceTiming | None) -> Poll:
    """Return the poll with the declared timing in its readings of the whole server from that source.

    Args:
        poll: As the reader gave it.
        timing: What the fleet file says; None: nothing. It goes before what the BMC says.
    """
    if timing is None:
        return poll

    def timed(reading: Reading) -> Reading:
        if reading.source != timing.source or reading.scope != "server" or reading.part is not None:
            return reading
        window_s = reading.window_s if timing.window_s is None else timing.window_s
        refresh_s = reading.refresh_s if timing.refresh_s is None else timing.refresh_s
        return replace(reading, window_s=window_s, refresh_s=refresh_s)

    return replace(poll, readings=tuple(timed(reading) for reading in poll.readings))
