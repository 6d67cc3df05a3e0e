"""Where in time the suites and cases of a JUnit file lie, and how surely; pure.

A case carries its length, rarely its start: cases are laid one after another from the start of their suite.
What their suite took beyond the sum of its cases lies between them and is the error of their edges.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

from energyrecorder_annotator.junit.parse import FAILED, PASSED, Case, JUnitError, Suite

FROM_JUNIT = "from_junit"
ADDED_UP = "times_added_up"
"""Flags: the step comes from a JUnit file; its start is a sum of lengths, not a time stamp."""
ZONE_ALLOWED = "UTC, an offset such as +02:00, or a name such as Europe/Paris"

_OFFSET = re.compile(r"([+-])(\d\d):?(\d\d)")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_WHOLE_SECONDS_S = 1.0
"""Error of a time stamp that has no fraction."""


@dataclass(frozen=True, slots=True)
class Placed:
    """One step to be.

    Args:
        path: Positions from the root down, which name it within its file; () is the root.
        name: Name as the file has it.
        start_s: Start, seconds since the Unix epoch.
        end_s: End, likewise.
        error_s: Half width of what the edges may be off by.
        outcome: ``passed``, ``failed`` or ``skipped``.
        flags: Why its edges deserve less trust.
        attempt: Which try of a case it is, from 1; None where there was one only.
    """

    path: tuple[int, ...]
    name: str
    start_s: float
    end_s: float
    error_s: float
    outcome: str
    flags: tuple[str, ...]
    attempt: int | None = None


def read_zone(text: str) -> tzinfo:
    """Return the zone that ``text`` names.

    Raises:
        JUnitError: It names none; the message says what is allowed.
    """
    if text.upper() in {"Z", "UTC"}:
        return UTC
    match = _OFFSET.fullmatch(text.strip())
    if match is not None:
        offset = timedelta(hours=int(match[2]), minutes=int(match[3]))
        if offset < timedelta(hours=24):
            return timezone(-offset if match[1] == "-" else offset)
    try:
        return ZoneInfo(text)
    except (KeyError, ValueError, OSError):
        raise JUnitError(f"tz is {text!r}; allowed: {ZONE_ALLOWED}") from None


def place(root: Suite, *, zone: tzinfo | None, ended_s: float | None) -> list[Placed]:
    """Return the steps of a file, each before what lies in it, the root first.

    Args:
        root: The file.
        zone: Of time stamps that carry none; None refuses those.
        ended_s: When the file was written, seconds since the Unix epoch: counts where it has no time stamp at
            all; None refuses such a file.

    Raises:
        JUnitError: Its times cannot be known.
    """
    clock = _Clock(zone)
    start_s = clock.first(root)
    flags: tuple[str, ...] = (FROM_JUNIT,)
    if start_s is None:
        if ended_s is None:
            raise JUnitError("no time stamp in it; tell by ended_at when it was written")
        start_s = ended_s - _length_s(root)
        flags = (FROM_JUNIT, ADDED_UP)
    placed: list[Placed] = []
    _place_suite(root, (), start_s, flags, clock, placed)
    return placed


class _Clock:
    def __init__(self, zone: tzinfo | None) -> None:
        self._zone = zone

    def read(self, text: str | None) -> float | None:
        """Return a time stamp as seconds since the Unix epoch; None where there is none."""
        if text is None:
            return None
        try:
            moment = datetime.fromisoformat(text.strip())
        except ValueError:
            raise JUnitError(f"time stamp {text!r} is not ISO 8601") from None
        if moment.tzinfo is None:
            if self._zone is None:
                raise JUnitError(f"time stamp {text!r} has no zone; tell it by tz: {ZONE_ALLOWED}")
            moment = moment.replace(tzinfo=self._zone)
        return (moment - _EPOCH).total_seconds()

    def first(self, suite: Suite) -> float | None:
        """Return the suite's own time stamp, else the earliest one in it."""
        own = self.read(suite.timestamp)
        if own is not None:
            return own
        inner = (
            self.first(part) if isinstance(part, Suite) else self.read(part.timestamp) for part in suite.parts
        )
        return min((moment for moment in inner if moment is not None), default=None)


def _length_s(part: Suite | Case) -> float:
    if isinstance(part, Case):
        return (part.time_s or 0.0) + sum(length for _, length in part.attempts)
    inner_s = sum(map(_length_s, part.parts))
    return inner_s if part.time_s is None else max(part.time_s, inner_s)


def _place_suite(
    suite: Suite,
    path: tuple[int, ...],
    at_s: float,
    flags: tuple[str, ...],
    clock: _Clock,
    placed: list[Placed],
) -> float:
    """Place a suite from ``at_s`` on unless its time stamp says otherwise; return its end."""
    own_s = clock.first(suite)
    start_s = at_s if own_s is None else own_s
    mine = len(placed)
    slack_s = max(0.0, _length_s(suite) - sum(map(_length_s, suite.parts)))
    cursor_s, end_s, outcome = start_s, start_s + _length_s(suite), PASSED
    for number, part in enumerate(suite.parts):
        inside = (*path, number)
        if isinstance(part, Suite):
            inner_flags = (FROM_JUNIT,) if clock.first(part) is not None else (FROM_JUNIT, ADDED_UP)
            first = len(placed)
            cursor_s = _place_suite(part, inside, cursor_s, inner_flags, clock, placed)
            bad = placed[first].outcome == FAILED
        else:
            cursor_s = _place_case(part, inside, cursor_s, slack_s, clock, placed)
            bad = part.outcome == FAILED
        outcome = FAILED if bad else outcome
        end_s = max(end_s, cursor_s)
    error_s = _WHOLE_SECONDS_S if suite.timestamp is None or "." not in suite.timestamp else 0.001
    own = Placed(path, suite.name, start_s, end_s, error_s, outcome, flags)
    placed.insert(mine, own)
    return end_s


def _place_case(
    case: Case, path: tuple[int, ...], at_s: float, slack_s: float, clock: _Clock, placed: list[Placed]
) -> float:
    """Place the tries of a case one after another; return the end of the last."""
    own_s = clock.read(case.timestamp)
    cursor_s = at_s if own_s is None else own_s
    flags = (FROM_JUNIT, ADDED_UP) if own_s is None else (FROM_JUNIT,)
    error_s = slack_s + _WHOLE_SECONDS_S if own_s is None else _WHOLE_SECONDS_S
    name = f"{case.classname}.{case.name}" if case.classname else case.name
    told = (case.time_s or 0.0, case.outcome)
    tries = [(length, FAILED) for before, length in case.attempts if before]
    tries += [told, *((length, FAILED) for before, length in case.attempts if not before)]
    for number, (length_s, outcome) in enumerate(tries):
        placed.append(
            Placed(
                path if len(tries) == 1 else (*path, number),
                name,
                cursor_s,
                cursor_s + length_s,
                error_s,
                outcome,
                flags,
                attempt=None if len(tries) == 1 else number + 1,
            )
        )
        cursor_s += length_s
    return cursor_s
