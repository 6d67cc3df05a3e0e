"""A hundred simulated BMCs: sixty that are well, forty that meet all faults in turn."""

from __future__ import annotations

from typing import Any

from energyrecorder_bmcsim import faults

HEALTHY = tuple(f"h{number:02}" for number in range(60))
TROUBLED = tuple(f"t{number:02}" for number in range(40))

KINDS = tuple(sorted(set(faults.KINDS) - {"unauthorized"}))
"""A refused log-in locks the BMC for a minute, then for an hour: ``test_lock_out`` is about that."""

_DELL = 'protocol = "redfish"\npayload = "dell-r640-idrac9"\n'
_ILO = 'protocol = "ilo5"\n'
_MORE: dict[str, dict[str, Any]] = {
    "slow": {"delay_s": 7},
    "drip": {"bytes_per_s": 100},
    "payload_switch": {"payload": "dell-r750-idrac9"},
    "clock_skew": {"skew_s": -1.7e9},
    "busy": {"retry_after_s": 2},
    "missing": {"path": "*Power*"},
    # Forgotten again and again, a session is tried anew after a minute only.
    "session_expiry": {"count": 1},
}


def protocol(name: str) -> str:
    """Return what a BMC is read by: one in five of those that are well is an iLO."""
    return "ilo" if name in HEALTHY[::5] else "redfish"


def bmcs(more: str) -> str:
    """Return the tables of all BMCs for the simulator's spec file, with ``more`` in each of them."""
    kinds = ((name, _ILO if protocol(name) == "ilo" else _DELL) for name in HEALTHY + TROUBLED)
    return "".join(f'[[bmc]]\nid = "{name}"\n{kind}{more}\n' for name, kind in kinds)


def fault(kind: str, for_s: float) -> dict[str, Any]:
    """Return a fault as ``POST /fault`` takes it, without the server that it strikes."""
    return {"kind": kind, "for_s": for_s, **_MORE.get(kind, {})}
