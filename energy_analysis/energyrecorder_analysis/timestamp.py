"""Moments written in files: ISO 8601 with a zone, or nanoseconds since the Unix epoch."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

TIME_ALLOWED = "ISO 8601 with a zone, such as 2026-03-01T12:00:00.5+01:00, or nanoseconds since 1970 (UTC)"

LEAST_NS = 10**17
"""A smaller number (before March 1973) counts seconds, milli- or microseconds of our days."""

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
    moment = datetime.fromisoformat(_FRACTION.sub("", text))
    if moment.tzinfo is None or len(text) <= len("2026-03-01"):
        raise ValueError(TIME_ALLOWED)
    since = moment - _EPOCH
    whole_ns = (since // timedelta(microseconds=1)) * 1000
    return whole_ns + (int(fraction[1].ljust(9, "0")) if fraction else 0)
