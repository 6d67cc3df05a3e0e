"""From a client's clocks to the annotator's: when, by our wall clock, did an event happen, and how surely.

A client stamps each event on both of its clocks and each request likewise. Within one boot the time between
the two is exact whatever NTP did to the wall clock meanwhile, so the event is placed that long before the
request arrived. After a reboot only the wall clocks are left; such times carry their error and a flag.
"""

from __future__ import annotations

import email.utils
import math
from dataclasses import dataclass

from energyrecorder.clock import Instant

REBOOTED = "replayed_after_reboot"
CLOCK_OFF = "client_clock_off"
IN_FUTURE = "in_future"

DEFAULT_ERROR_NS = 50_000_000
"""Error assumed for a request whose client has not measured its round trip: a slow LAN or VPN."""
REBOOT_ERROR_NS = 1_000_000_000
"""Least error of a time that crosses a reboot: real-time clocks keep whole seconds."""
DEVIATION_NS = 600 * 1_000_000_000
"""A client's wall clock further off than this is flagged; the event is taken all the same."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a request says of the time of one event.

    Args:
        at: The event on the client's clocks; None when not given.
        now: The moment of sending on the client's clocks; None when not given.
        offset_ns: The client's last measure of server minus client wall clock; None when it has none.
        offset_error_ns: Half the round trip of that measure; None when it has none.
        explicit_ns: Time given in plain (``started_at``, ``ended_at``), ns since the Unix epoch; None if not.
    """

    at: Instant | None = None
    now: Instant | None = None
    offset_ns: int | None = None
    offset_error_ns: int | None = None
    explicit_ns: int | None = None

    @property
    def claim(self) -> str:
        """The time as the client named it, equal for every replay of one event; empty if it named none."""
        if self.at is not None:
            return f"at:{self.at.boot_id}:{self.at.boot_ns}:{self.at.wall_ns}"
        if self.explicit_ns is not None:
            return f"time:{self.explicit_ns}"
        return ""


@dataclass(frozen=True, slots=True)
class ServerTime:
    """A moment by the annotator's wall clock.

    Args:
        t_ns: Nanoseconds since the Unix epoch, UTC.
        error_ns: Half width of what the moment may be off by.
        flags: Why it deserves less trust; empty in the usual case.
    """

    t_ns: int
    error_ns: int
    flags: tuple[str, ...] = ()


def server_time(stamp: Stamp, received_ns: int) -> ServerTime:
    """Return when the event happened by the annotator's clock.

    Args:
        stamp: As the request has it.
        received_ns: When the request arrived by our wall clock, ns since the Unix epoch.
    """
    error_ns = DEFAULT_ERROR_NS if stamp.offset_error_ns is None else stamp.offset_error_ns
    flags: list[str] = []
    if stamp.now is not None and abs(received_ns - stamp.now.wall_ns) > DEVIATION_NS:
        flags.append(CLOCK_OFF)
    if stamp.at is None:
        t_ns = received_ns if stamp.explicit_ns is None else stamp.explicit_ns
    elif stamp.now is not None and stamp.at.boot_id is not None and stamp.at.boot_id == stamp.now.boot_id:
        t_ns = received_ns - (stamp.now.boot_ns - stamp.at.boot_ns)
    else:
        t_ns = stamp.at.wall_ns + _wall_offset_ns(stamp, received_ns)
        error_ns = max(error_ns, REBOOT_ERROR_NS)
        flags.append(REBOOTED)
    if t_ns > received_ns + max(error_ns, REBOOT_ERROR_NS):
        flags.append(IN_FUTURE)
    return ServerTime(t_ns=max(t_ns, 0), error_ns=error_ns, flags=tuple(flags))


def _wall_offset_ns(stamp: Stamp, received_ns: int) -> int:
    if stamp.offset_ns is not None:
        return stamp.offset_ns
    # Never measured by the client: what the request itself shows, latency included, is the next best.
    return 0 if stamp.now is None else received_ns - stamp.now.wall_ns


def offset_by_date_s(date: str | None, sent_ns: int, received_ns: int) -> float | None:
    """Return another server's wall clock minus ours, at least; None when its answer does not tell.

    Args:
        date: ``Date`` header of its answer, cut to whole seconds; None without one.
        sent_ns: Our wall clock when it was asked, ns since the Unix epoch.
        received_ns: The same when the answer was there.
    """
    told = None if date is None else email.utils.parsedate_tz(date)
    if told is None:
        return None
    offset_s = email.utils.mktime_tz(told) + 0.5 - (sent_ns + received_ns) / 2e9
    return least_apart_s(offset_s, (received_ns - sent_ns) / 1e9)


def least_apart_s(offset_s: float, round_trip_s: float) -> float:
    """Return how far two clocks are apart at least, with the sign of the offset.

    Args:
        offset_s: The other clock minus ours, taken as if it had been read in the middle of the exchange.
        round_trip_s: How long the exchange took: the other clock may have been read anywhere within it.
    """
    return math.copysign(max(0.0, abs(offset_s) - round_trip_s / 2), offset_s)
