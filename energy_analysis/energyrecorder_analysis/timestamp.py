"""Moments written in files: ISO 8601 with a zone, or nanoseconds since the Unix epoch."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from energyrecorder.errors import ConfigError

TIME_ALLOWED = "ISO 8601 with a zone, such as 2026-03-01T12:00:00.5+01:00, or nanoseconds since 1970 (UTC)"

LEAST_NS = 10**17
"""A smaller number (before March 1973) counts seconds, milli- or microseconds of our days."""

_MAX_NS = 2**63 - 1
_COARSER = {"seconds": 9, "milliseconds": 6, "microseconds": 3}
"""Other units that times are counted in, and by how many digits they are shorter than nanoseconds."""
_OUR_DAYS_NS = range(12 * 10**17, 40 * 10**17)
"""2008 to 2096."""
_FRACTION = re.compile(r"(?<=:\d\d)[.,](\d{1,9})\d*")
_NANOSECONDS = re.compile(r"-?\d{1,19}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parse_time_ns(value: object) -> int:
    """Return the nanoseconds since the Unix epoch, UTC, that ``value`` stands for.

    Args:
        value: A text in one of the forms of `TIME_ALLOWED`, or whole nanoseconds.

    Raises:
        ValueError: Anything else; a time without zone too, because guessing one is how an hour is lost.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if not isinstance(value, str):
        raise ValueError(TIME_ALLOWED)  # noqa: TRY004  # one kind of error for whatever a file holds
    text = value.strip()
    if _NANOSECONDS.fullmatch(text):
        return int(text)
    fraction = _FRACTION.search(text)
    # datetime keeps microseconds only; the fraction is carried beside it.
    try:
        moment = datetime.fromisoformat(_FRACTION.sub("", text))
    except ValueError:
        raise ValueError(TIME_ALLOWED) from None
    if moment.tzinfo is None or len(text) <= len("2026-03-01"):
        raise ValueError(TIME_ALLOWED)
    since = moment - _EPOCH
    whole_ns = (since // timedelta(microseconds=1)) * 1000
    return whole_ns + (int(fraction[1].ljust(9, "0")) if fraction else 0)


class FileTimes:
    """Reads the times of one file or option, and refuses it if its numbers count another unit."""

    def __init__(self) -> None:
        self._first: tuple[str, object] | None = None
        self._least = _MAX_NS
        self._most = 0

    def read(self, value: object, where: str) -> int:
        """Return the nanoseconds since the Unix epoch, UTC, that ``value`` stands for.

        Args:
            value: As the file holds it.
            where: File, line and column, or their like, for messages.

        Raises:
            ConfigError: It is no time, or lies outside of 1970 to 2262.
        """
        try:
            time_ns = parse_time_ns(value)
        except ValueError:
            raise ConfigError(f"{where} is {value!r}; allowed: {TIME_ALLOWED}") from None
        if not 0 <= time_ns <= _MAX_NS:
            raise ConfigError(f"{where} is {value!r}; allowed: 1970 to 2262")
        if isinstance(value, int) or _NANOSECONDS.fullmatch(str(value).strip()):
            self._first = self._first or (where, value)
            self._least, self._most = min(self._least, time_ns), max(self._most, time_ns)
        return time_ns

    def check(self) -> None:
        """Look at all numbers that were read.

        A file may count from 0, too. So its numbers count another unit only if that makes all of them
        moments of our days.

        Raises:
            ConfigError: They count seconds, milli- or microseconds.
        """
        if self._first is None:
            return
        where, value = self._first
        for unit, digits in _COARSER.items():
            if all(number * 10**digits in _OUR_DAYS_NS for number in (self._least, self._most)):
                mended = f"append {'0' * digits}"
                raise ConfigError(
                    f"{where} is {value!r}, which counts {unit}; allowed: {TIME_ALLOWED}: {mended}"
                )
