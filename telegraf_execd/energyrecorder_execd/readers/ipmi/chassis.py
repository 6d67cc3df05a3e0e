"""Get Chassis Status: whether the host is on; pure (IPMI 2.0 §28.2)."""

from __future__ import annotations

GET_CHASSIS_STATUS = 0x01
_POWER_ON = 0x01


def host_state(data: bytes) -> str:
    """Return ``on`` or ``off`` as the answer's first byte says, ``unknown`` if it is empty."""
    if not data:
        return "unknown"
    return "on" if data[0] & _POWER_ON else "off"
