"""Typed, tolerant reading of values out of JSON that a BMC wrote.

Two things are kept apart everywhere: *missing* (absent, null, or a text that says so) is None, *malformed*
(present, but not what it should be) raises `BmcDataError` naming resource and attribute.
"""

from __future__ import annotations

import math
import re
import reprlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from energyrecorder.errors import BmcDataError
from energyrecorder_execd.quirks import is_plausible

Json = Mapping[str, Any]

_NUMBER = re.compile(r"(?P<number>[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)\s*(?:W|Watts|J|%)?", re.IGNORECASE)
# Seen instead of null: "N/A" (Cisco CIMC, HPE RIBCL), "nil" (Gigabyte H262-Z63 fw 12.84), "" (Lenovo XCC).
_MISSING_TEXTS = frozenset({"", "n/a", "na", "nil", "null", "none", "unknown", "not available", "-", "--"})
_MAX_PATH = 1024
_LATEST_S = 2.0**33
_DURATION = re.compile(
    r"P(?:(?P<days>\d+(?:\.\d+)?)D)?"
    r"(?:T(?:(?P<hours>\d+(?:\.\d+)?)H)?(?:(?P<minutes>\d+(?:\.\d+)?)M)?(?:(?P<seconds>\d+(?:\.\d+)?)S)?)?"
)


def malformed(resource: str, attribute: str, value: Any) -> BmcDataError:
    """Return the error for a value that is present but not what it should be."""
    return BmcDataError(f"{resource}: {attribute} is {reprlib.repr(value)}", reason="data")


def as_object(value: Any, resource: str) -> Json:
    """Return ``value`` as a JSON object.

    Raises:
        BmcDataError: It is something else.
    """
    if isinstance(value, dict):
        return value
    raise malformed(resource, "the document", value)


def sub_object(parent: Json, key: str) -> Json:
    """Return the object at ``key``; empty when it is absent or anything else, as ``[]`` (Cisco CIMC)."""
    value = parent.get(key)
    return value if isinstance(value, dict) else {}


def members(value: Any) -> list[Json]:
    """Return the objects of a list; an object alone stands for a list of one (Firefly BMC, Cisco CIMC)."""
    if isinstance(value, dict):
        return [value]
    if isinstance(value, list):
        return [item for item in value if isinstance(item, dict)]
    return []


def number(parent: Json, key: str, resource: str) -> float | None:
    """Return the number at ``key``, also when it is written as a text; None when it is missing.

    Raises:
        BmcDataError: It is present but no finite number.
    """
    value = parent.get(key)
    if value is None:
        return None
    if isinstance(value, bool):
        raise malformed(resource, key, value)
    if isinstance(value, int | float):
        return _finite(value, value, key, resource)
    if isinstance(value, str):
        text = value.strip()
        if text.lower() in _MISSING_TEXTS:
            return None
        match = _NUMBER.fullmatch(text)
        if match is not None:
            return _finite(match["number"], value, key, resource)
    raise malformed(resource, key, value)


def _finite(value: Any, shown: Any, key: str, resource: str) -> float:
    try:
        result = float(value)
    except OverflowError:
        raise malformed(resource, key, shown) from None
    if not math.isfinite(result):
        raise malformed(resource, key, shown)
    return result


def lenient_number(parent: Json, key: str) -> float | None:
    """Return the number at ``key``, None when it is missing or malformed: for values that only accompany."""
    try:
        return number(parent, key, "")
    except BmcDataError:
        return None


def lenient_watts(parent: Json, key: str) -> float | None:
    """Return the power at ``key`` likewise; None also when it is not plausible."""
    watts = lenient_number(parent, key)
    return watts if watts is not None and is_plausible(watts) else None


def text(parent: Json, key: str) -> str | None:
    """Return the text at ``key``, a number as its text; None when it is missing or anything else."""
    value = parent.get(key)
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, str):
        stripped = value.strip()
        return None if stripped.lower() in _MISSING_TEXTS else stripped
    return None


def target(value: Any) -> str | None:
    """Return the path a link points to: ``{"@odata.id": …}``, ``{"href": …}`` (iLO 4) or the text itself.

    A fragment is cut off. A link to another host is no link of ours: None.
    """
    if isinstance(value, Mapping):
        value = value.get("@odata.id", value.get("href"))
    if not isinstance(value, str):
        return None
    path = value.partition("#")[0].strip()
    if not path.startswith("/") or path.startswith("//") or len(path) > _MAX_PATH or not path.isprintable():
        return None
    return path


def link(parent: Json, *keys: str) -> str | None:
    """Return the path of the first of ``keys`` that holds a link."""
    for key in keys:
        path = target(parent.get(key))
        if path is not None:
            return path
    return None


def targets(value: Any) -> list[str]:
    """Return the paths of a list of links, in its order, each once; one link alone stands for a list."""
    values = value if isinstance(value, list) else [value]
    found: dict[str, None] = {}
    for item in values:
        path = target(item)
        if path is not None:
            found[path] = None
    return list(found)


def at(document: Any, pointer: str) -> Any:
    """Return the value at a JSON pointer such as ``/Oem/Public/TotalPower``; None where it leads nowhere."""
    value = document
    for key in pointer.split("/")[1:]:
        if isinstance(value, dict):
            value = value.get(key)
        elif isinstance(value, list) and key.isdecimal() and int(key) < len(value):
            value = value[int(key)]
        else:
            return None
    return value


def duration_s(value: Any) -> float | None:
    """Return an ISO 8601 duration such as ``PT10S`` in seconds; None when it is missing or malformed."""
    if not isinstance(value, str):
        return None
    match = _DURATION.fullmatch(value)
    if match is None or not any(match.groupdict().values()):
        return None
    parts = {name: float(part or 0) for name, part in match.groupdict().items()}
    return parts["days"] * 86400 + parts["hours"] * 3600 + parts["minutes"] * 60 + parts["seconds"]


def epoch_s(value: Any) -> float | None:
    """Return an ISO 8601 time in seconds since the Unix epoch, UTC; without a zone it is taken as UTC.

    None when it is missing or malformed.
    """
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value.strip())
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        seconds = moment.timestamp()
    except (ValueError, OverflowError):
        return None
    # Beyond these no time of a BMC can be meant, and no nanoseconds would fit into 64 bits.
    return seconds if 0 <= seconds < _LATEST_S else None
