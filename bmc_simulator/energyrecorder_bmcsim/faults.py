"""The faults of simulated HTTP BMCs: what kinds there are, and which one strikes when."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from energyrecorder.settings import Setting, read_table
from energyrecorder_bmcsim.payload import load_payload
from energyrecorder_bmcsim.power import NS_PER_S

FOREVER_NS = 1 << 62


@dataclass(frozen=True, slots=True)
class FaultKind:
    """One kind of fault.

    Args:
        does: What the BMC does while it lasts, one sentence.
        options: Keys of its own, beside those of `COMMON`.
        timed: Whether only a time ends it (``count`` and ``path`` make no sense).
    """

    does: str
    options: Sequence[Setting] = ()
    timed: bool = False


def _seconds(name: str, help_: str, default: float) -> Setting:
    return Setting(name, "float", help_, default=default, minimum=0)


_REDIRECT_STATUS = Setting(
    "status", "int", "Status of the answer.", default=308, choices=(301, 302, 307, 308)
)

KINDS: Mapping[str, FaultKind] = {
    "slow": FaultKind(
        "Waits before the headers of the answer.", [_seconds("delay_s", "Seconds to wait.", 5.0)]
    ),
    "drip": FaultKind(
        "Sends the body a few bytes at a time.",
        [Setting("bytes_per_s", "float", "Speed of the body.", default=200.0, minimum=1)],
    ),
    "busy": FaultKind(
        "Answers 503 and says when to ask again.",
        [
            Setting("retry_after_s", "int", "When, seconds.", default=5, minimum=0),
            Setting(
                "said_in",
                "str",
                "Retry-After, or the text of the message as iDRAC9 does (SYS518).",
                default="header",
                choices=("header", "text"),
            ),
        ],
    ),
    "session_expiry": FaultKind(
        "Forgets a session when it is used, and answers 401 NoValidSession.",
        [Setting("calls", "int", "Calls for which a session is good nevertheless.", default=0, minimum=0)],
    ),
    "session_limit": FaultKind(
        "Answers a log-in with SessionLimitExceeded.",
        [Setting("status", "int", "Status of the answer.", default=503, choices=(503, 400))],
    ),
    "unauthorized": FaultKind("Answers 401 to everything that needs a log-in, and to log-ins."),
    "reset_mid_body": FaultKind("Sends half the body and resets the connection."),
    "close_mid_body": FaultKind("Sends half the body and closes the connection."),
    "truncated_json": FaultKind(
        "Cuts the end of the JSON off.",
        [Setting("cut", "int", "Bytes cut off.", default=20, minimum=1)],
    ),
    "html": FaultKind("Answers 200 with a log-in page."),
    "trailing_comma": FaultKind("Puts a comma before the last brace."),
    "two_objects": FaultKind("Sends an error object before the JSON object, as an iDRAC8 does."),
    "tls_stall": FaultKind("Accepts connections and stays silent, before any TLS handshake.", timed=True),
    "refuse": FaultKind("Restarts: drops connections and sessions, refuses new connections.", timed=True),
    "null": FaultKind("Live readings are null.", timed=True),
    "zero": FaultKind("Live readings are 0.", timed=True),
    "stale": FaultKind("Live readings stay as they were when it began.", timed=True),
    "clock_skew": FaultKind(
        "The BMC's clock is wrong: Date header, DateTime and the times of records.",
        [Setting("skew_s", "float", "BMC time minus true time, seconds.", default=3600.0)],
        timed=True,
    ),
    "missing": FaultKind("Hides resources: answers 404, as a BMC does while it starts."),
    "redirect_slash": FaultKind("Redirects to the path with a slash at its end.", [_REDIRECT_STATUS]),
    "redirect_case": FaultKind("Redirects to the path in lower case.", [_REDIRECT_STATUS]),
    "redirect_away": FaultKind(
        "Redirects to another host.",
        [Setting("host", "str", "That host, with its port.", default="192.0.2.1")],
    ),
    "payload_switch": FaultKind(
        "Serves another payload, without live values.",
        [Setting("payload", "str", "Name, folder or file, as for a BMC.", required=True)],
        timed=True,
    ),
}
"""Kind → what it does and what can be set; ``energy-bmcsim faults`` prints this table."""

COMMON: Sequence[Setting] = (
    Setting("kind", "str", "What goes wrong.", required=True, choices=tuple(KINDS)),
    Setting("at_s", "float", "When it begins, simulated seconds since the start; absent: always has been."),
    Setting("for_s", "float", "How long it lasts, simulated seconds; absent: for ever.", minimum=0),
)
_COUNTED: Sequence[Setting] = (
    Setting("count", "int", "Requests that it strikes; absent: all in its time.", minimum=1),
    Setting("path", "str", "Pattern (* and ?) of the paths that it strikes.", default="*"),
)


@dataclass(slots=True)
class Fault:
    """One fault of one BMC.

    Args:
        kind: Key of `KINDS`.
        start_ns: When it begins, nanoseconds since the Unix epoch, UTC.
        end_ns: When it is over.
        count: Requests that it still strikes; None means all in its time.
        path: Pattern of the paths that it strikes.
        options: Values of the kind's own keys.
    """

    kind: str
    start_ns: int = -FOREVER_NS
    end_ns: int = FOREVER_NS
    count: int | None = None
    path: str = "*"
    options: Mapping[str, Any] = field(default_factory=dict)

    def active(self, at_ns: int) -> bool:
        """Tell whether it is on at ``at_ns`` and has not struck often enough."""
        return self.start_ns <= at_ns < self.end_ns and self.count != 0

    def strikes(self, path: str, at_ns: int) -> bool:
        """Tell whether a request for ``path`` at ``at_ns`` meets it; counts it if so."""
        if not self.active(at_ns) or not fnmatch.fnmatchcase(path, self.path):
            return False
        if self.count is not None:
            self.count -= 1
        return True


def read_fault(raw: Mapping[str, Any], *, where: str, now_ns: int, speed: float) -> Fault:
    """Return the fault that a table of the spec file, or the body of ``POST /fault``, describes.

    Args:
        raw: The table.
        where: File and table, for the message.
        now_ns: Moment from which ``at_s`` counts, nanoseconds since the Unix epoch, UTC.
        speed: Simulated seconds per real second.

    Raises:
        ConfigError: Something in it is not allowed.
    """
    kind = read_table({key: raw[key] for key in raw if key == "kind"}, COMMON, where=where)["kind"]
    known = KINDS[kind]
    values = read_table(raw, [*COMMON, *(() if known.timed else _COUNTED), *known.options], where=where)
    start_ns = -FOREVER_NS if values["at_s"] is None else now_ns + round(values["at_s"] / speed * NS_PER_S)
    end_ns = FOREVER_NS
    if values["for_s"] is not None:
        end_ns = max(start_ns, now_ns) + round(values["for_s"] / speed * NS_PER_S)
    return Fault(
        kind,
        start_ns,
        end_ns,
        values.get("count"),
        values.get("path", "*"),
        {setting.name: values[setting.name] for setting in known.options},
    )


def with_payload(fault: Fault, *, base: Path, where: str) -> Fault:
    """Return ``fault`` with the payload that it names loaded; other faults as they are.

    Args:
        fault: A fault as `read_fault` returns it.
        base: Folder that relative names start from.
        where: File, table and key, for the message.

    Raises:
        ConfigError: There is no such payload.
    """
    if fault.kind != "payload_switch":
        return fault
    payload = load_payload(fault.options["payload"], base=base, where=where)
    return replace(fault, options={"payload": payload})


class FaultPlan:
    """All faults of one BMC, past and future ones.

    Args:
        faults: The ones known from the start.
    """

    def __init__(self, faults: Sequence[Fault] = ()) -> None:
        self._faults = list(faults)

    def all(self) -> list[Fault]:
        """Return every fault, past ones too."""
        return list(self._faults)

    def add(self, fault: Fault) -> None:
        """Add a fault."""
        self._faults.append(fault)

    def find(self, kind: str, at_ns: int) -> Fault | None:
        """Return the fault of ``kind`` that is on at ``at_ns`` (the latest one), or None; counts nothing."""
        return next((f for f in reversed(self._faults) if f.kind == kind and f.active(at_ns)), None)

    def clock_ns(self, at_ns: int) -> int:
        """Return what the BMC's own clock showed at ``at_ns``, nanoseconds since the Unix epoch."""
        skew = self.find("clock_skew", at_ns)
        return at_ns if skew is None else at_ns + round(skew.options["skew_s"] * NS_PER_S)

    def strike(self, kinds: Sequence[str], path: str, at_ns: int) -> Fault | None:
        """Return the first fault of ``kinds`` that a request meets, or None; counts it."""
        if not self._faults:
            return None
        candidates = (fault for fault in self._faults if fault.kind in kinds)
        return next((fault for fault in candidates if fault.strikes(path, at_ns)), None)
