r"""One strict writer of InfluxDB line protocol: what it lets through, receivers store unchanged.

Reading is the business of ``line-protocol-parser`` in the annotator. Why no library writes our lines, with
the measured failures behind each rule here, stands in ``docs/adr/0002-own-line-writer.md``.
"""

from __future__ import annotations

import functools
import math
import re
from typing import Mapping, Optional, Union

FieldValue = Union[bool, int, float, str]

_INT64_MIN, _INT64_MAX = -(2**63), 2**63 - 1
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_UNSAFE_BACKSLASH = re.compile(r"\\(?=[\\,= ]|$)")
_TAG_SPECIAL = re.compile(r"[,= ]")
_MEASUREMENT_SPECIAL = re.compile(r"[, ]")
_STRING_SPECIAL = re.compile(r'[\x00"\\]')
_NEEDS_CARE = re.compile(r"[\x00-\x20\x7f,=\\]")


def format_line(
    measurement: str,
    tags: Mapping[str, Optional[str]],
    fields: Mapping[str, Optional[FieldValue]],
    time_ns: Optional[int] = None,
) -> Optional[str]:
    r"""Return one line without its newline, or None when no field is left to write.

    Empty and None tags, None fields and floats that are not finite are left out: absent is never zero.
    Control characters in names and tags, and NUL in strings, become spaces; a backslash that line protocol
    could not give back (at the end, before a comma, equals sign, space or another backslash) becomes ``/``.

    Args:
        measurement: Not empty; a leading ``#`` is dropped, as it would make the line a comment.
        tags: Written sorted by key, as InfluxDB advises.
        fields: ``bool``, ``int`` (64 bit, written with ``i``), ``float`` (shortest exact form) or ``str``.
        time_ns: Nanoseconds since the Unix epoch, UTC; None lets the receiver stamp the point.

    Raises:
        ValueError: An empty measurement or key, an integer beyond 64 bits.
        TypeError: A field or time of any other type, such as Decimal or bytes.
    """
    parts = []
    for key in sorted(tags):
        text = _identifier(tags[key] or "")
        if text:
            parts.append(f",{_key(key)}={text}")
    written = [
        f"{_key(key)}={shown}" for key, value in fields.items() if (shown := _field(key, value)) is not None
    ]
    if not written:
        return None
    line = f"{_measurement(measurement)}{''.join(parts)} {','.join(written)}"
    return line if time_ns is None else f"{line} {_time(time_ns)}"


def tag_text(text: str) -> str:
    """Return a tag value as a receiver stores it once `format_line` has written it, for queries."""
    return _clean(text)


def _time(time_ns: int) -> str:
    if type(time_ns) is not int:
        raise TypeError(f"time must be whole nanoseconds, not {time_ns!r}")
    if not _INT64_MIN < time_ns < _INT64_MAX:
        raise ValueError(f"time {time_ns} ns does not fit in 64 bits")
    return str(time_ns)


def _clean(text: str) -> str:
    # A surrogate cannot be written as UTF-8; it comes from undecodable bytes in foreign text.
    encodable = text.encode("utf-8", "replace").decode("utf-8")
    return _UNSAFE_BACKSLASH.sub("/", _CONTROL.sub(" ", encodable))


def _identifier(text: str) -> str:
    if text.isascii() and _NEEDS_CARE.search(text) is None:
        return text
    return _TAG_SPECIAL.sub(lambda match: "\\" + match[0], _clean(text))


@functools.lru_cache(maxsize=1024)
def _key(text: str) -> str:
    """Return a key as it is written; the same few keys stand in every line."""
    key = _identifier(text)
    if not key:
        raise ValueError("a tag or field key is empty")
    return key


def _measurement(text: str) -> str:
    name = _clean(text).lstrip("#")
    if not name:
        raise ValueError(f"measurement {text!r} has no name")
    return _MEASUREMENT_SPECIAL.sub(lambda match: "\\" + match[0], name)


def _field(key: str, value: Optional[FieldValue]) -> Optional[str]:
    if type(value) is str:  # exact types first: nearly all values, and the cheapest test
        return _string(value)
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return float.__repr__(value) if math.isfinite(value) else None
    if isinstance(value, int):
        if not _INT64_MIN <= value <= _INT64_MAX:
            raise ValueError(f"field {key!r}: {value} does not fit in 64 bits")
        return f"{int(value)}i"
    if isinstance(value, str):
        return _string(value)
    raise TypeError(f"field {key!r} must be bool, int, float or str, not {type(value).__name__}")


def _string(text: str) -> str:
    if text.isascii() and _STRING_SPECIAL.search(text) is None:
        return f'"{text}"'
    # A NUL ends the text for readers written in C (seen with line-protocol-parser 2.0.1).
    encodable = text.encode("utf-8", "replace").decode("utf-8").replace("\0", " ")
    return '"' + encodable.replace("\\", "\\\\").replace('"', '\\"') + '"'
