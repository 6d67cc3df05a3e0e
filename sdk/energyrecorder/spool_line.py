"""An event as one line of the spool: the same JSON with short keys, and ids by their bytes.

Each line stands for itself, so that a damaged one harms no other. A key is short only where its value has the
form that is packed; everything else stays as it is. Lines from before there were short keys are read too.
"""

from __future__ import annotations

import json
from base64 import b64encode, urlsafe_b64decode
from typing import Any, Callable, Dict, Optional, Tuple

Event = Dict[str, Any]
_Value = Callable[[Any], Any]

_PLAIN = {
    "op": "o",
    "env": "e",
    "scenario": "c",
    "step": "s",
    "outcome": "u",
    "ttl_s": "l",
    "tags": "g",
    "title": "n",
}
_IDS = {"step_id": "i", "parent_id": "p", "run_id": "r"}
_AT = "t"
_INSTANT = ["wall_ns", "boot_ns", "boot_id"]
_BYTES = 16
_dumps = json.JSONEncoder(separators=(",", ":")).encode
_loads = json.JSONDecoder().decode


def encode(event: Event) -> bytes:
    """Return the line of an event, its end included.

    Args:
        event: As it is sent; none of its keys is a single letter.
    """
    line = {}
    for key, value in event.items():
        short, packed = _packed(key, value)
        line[short] = packed
    return _dumps(line).encode("ascii") + b"\n"


def decode(line: bytes) -> Optional[Event]:
    """Return the event of a line; None when it holds none."""
    try:
        raw = _loads(line.decode("utf-8"))
        if not isinstance(raw, dict):
            return None
        event = {}
        for key, value in raw.items():
            name, unpack = _READ.get(key, (key, None))
            event[name] = value if unpack is None else unpack(value)
    except (ValueError, TypeError, RecursionError):
        return None
    return event if isinstance(event.get("op"), str) else None


def _packed(key: str, value: Any) -> Tuple[str, Any]:
    if key in _PLAIN:
        return _PLAIN[key], value
    if key in _IDS:
        packed = _pack_id(value)
        return (key, value) if packed is None else (_IDS[key], packed)
    if key == "at" and isinstance(value, dict) and list(value) == _INSTANT:
        boot_id = _pack_id(value["boot_id"])
        if boot_id is not None:
            return _AT, [value["wall_ns"], value["boot_ns"], boot_id]
    return key, value


def _pack_id(value: object) -> Optional[str]:
    """Return 22 characters for a UUID in its usual form; None for anything else."""
    try:
        raw = bytes.fromhex(value.replace("-", ""))  # type: ignore[attr-defined]  # caught below
    except (AttributeError, ValueError):
        return None
    if len(raw) != _BYTES or _uuid(raw) != value:
        return None
    return b64encode(raw, b"-_")[:-2].decode("ascii")


def _unpack_id(value: str) -> str:
    raw = urlsafe_b64decode(value + "==")
    if len(raw) != _BYTES:
        raise ValueError("not an id")
    return _uuid(raw)


def _unpack_at(value: Any) -> Dict[str, Any]:
    wall_ns, boot_ns, boot_id = value
    return {"wall_ns": wall_ns, "boot_ns": boot_ns, "boot_id": _unpack_id(boot_id)}


def _uuid(raw: bytes) -> str:
    digits = raw.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


_READ: Dict[str, Tuple[str, Optional[_Value]]] = {
    **{short: (key, None) for key, short in _PLAIN.items()},
    **{short: (key, _unpack_id) for key, short in _IDS.items()},
    _AT: ("at", _unpack_at),
}
