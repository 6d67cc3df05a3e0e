"""An event as one line of the spool: the same JSON with short keys, ids and times by their bytes.

Each line stands for itself, so that a damaged one harms no other. A key is short only where its value has the
form that is packed; everything else stays as it is. Lines from before there were short keys are read too.
"""

from __future__ import annotations

import json
import struct
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
    "title": "n",
}
_IDS = {"step_id": "i", "parent_id": "p", "run_id": "r"}
_AT, _TAGS = "t", "g"
# Each test of pytest has these three.
_TAG_NAMES = {"pytest.setup_s": "1", "pytest.call_s": "2", "pytest.teardown_s": "3"}
_LONG_TAG_NAMES = {short: name for name, short in _TAG_NAMES.items()}
_INSTANT = ["wall_ns", "boot_ns", "boot_id"]
_INSTANT_BYTES = struct.Struct(">qq16s")
_ID_BYTES = 16
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
        packed = _pack_at(**value)
        return (key, value) if packed is None else (_AT, packed)
    if key == "tags" and isinstance(value, dict) and value.keys().isdisjoint(_LONG_TAG_NAMES):
        return _TAGS, {_TAG_NAMES.get(name, name): text for name, text in value.items()}
    return key, value


def _pack_id(value: object) -> Optional[str]:
    """Return 22 characters for a UUID in its usual form; None for anything else."""
    raw = _id_bytes(value)
    return None if raw is None else _base64(raw)


def _pack_at(wall_ns: object, boot_ns: object, boot_id: object) -> Optional[str]:
    raw = _id_bytes(boot_id)
    try:
        return None if raw is None else _base64(_INSTANT_BYTES.pack(wall_ns, boot_ns, raw))
    except struct.error:
        return None


def _id_bytes(value: object) -> Optional[bytes]:
    try:
        raw = bytes.fromhex(value.replace("-", ""))  # type: ignore[attr-defined]  # caught below
    except (AttributeError, ValueError, TypeError):
        return None
    return raw if len(raw) == _ID_BYTES and _uuid(raw) == value else None


def _base64(raw: bytes) -> str:
    return b64encode(raw, b"-_").rstrip(b"=").decode("ascii")


def _unpack_id(value: str) -> str:
    raw = urlsafe_b64decode(value + "==")
    if len(raw) != _ID_BYTES:
        raise ValueError("not an id")
    return _uuid(raw)


def _unpack_at(value: str) -> Dict[str, Any]:
    try:
        wall_ns, boot_ns, raw = _INSTANT_BYTES.unpack(urlsafe_b64decode(value + "=="))
    except struct.error:
        raise ValueError("not an instant") from None
    return {"wall_ns": wall_ns, "boot_ns": boot_ns, "boot_id": _uuid(raw)}


def _unpack_tags(value: Dict[str, Any]) -> Dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError("not tags")
    return {_LONG_TAG_NAMES.get(name, name): text for name, text in value.items()}


def _uuid(raw: bytes) -> str:
    digits = raw.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


_READ: Dict[str, Tuple[str, Optional[_Value]]] = {
    **{short: (key, None) for key, short in _PLAIN.items()},
    **{short: (key, _unpack_id) for key, short in _IDS.items()},
    _AT: ("at", _unpack_at),
    _TAGS: ("tags", _unpack_tags),
}
