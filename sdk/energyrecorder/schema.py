"""Every measurement, tag and field we write, with its type and unit: the only place where names are spelled.

Code, documentation, dashboards and tests read this module. A field's type never changes, because InfluxDB
answers a type conflict by dropping the point. What identifies a series is its tags alone; protocol, source
and side of a reading are fields, so that a fallback to another source never starts a second series.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Dict, FrozenSet, Mapping, Optional, Tuple

from energyrecorder.line_protocol import FieldValue, format_line

SERVER_POWER = "server_power"
SERVER_BMC = "server_bmc"
SERVER_INFO = "server_info"
SERVER_SENSOR = "server_sensor"
ENERGY_STEPS = "energy_steps"
ENERGY_STEP_SERVERS = "energy_step_servers"
ENERGY_RUN_PROFILE = "energy_run_profile"
ENERGY_MARKS = "energy_marks"

SCOPES = ("server", "enclosure", "rack-shelf", "pdu", "switch", "baseboard", "card", "component")
SOURCES = (
    "power_control",
    "environment_metrics",
    "sensor",
    "psu_input_sum",
    "psu_output_sum",
    "ilo_fast_meter",
    "dcmi",
    "sdr",
    "oem",
    "meter",
    "legacy",
)
PROTOCOLS = ("redfish", "ilo", "ipmi", "meter", "legacy")
SIDES = ("ac", "dc", "unknown")
CLOCKS = ("bmc", "poll")
HOST_STATES = ("on", "off", "unknown")
ERRORS = (
    "timeout",
    "unreachable",
    "tls",
    "auth",
    "locked",
    "privilege",
    "busy",
    "session_limit",
    "protocol",
    "data",
    "no_reading",
    "unsupported",
)
STEP_STATES = ("running", "passed", "failed", "aborted", "lost")
OUTCOMES = ("passed", "failed", "aborted")
QUALITIES = ("resolved", "coarse", "unresolvable", "pending")
MARK_KINDS = ("note", "power", "change")

GRAFANA_STATES: Mapping[str, str] = {
    "running": "pending",
    "passed": "ok",
    "failed": "alerting",
    "aborted": "nodata",
    "lost": "nodata",
}
"""Grafana's ``newState`` for each state of a step: it colours the region."""

STATIC_TAGS = ("site", "room", "row", "rack", "group")
"""Tags a fleet file may add to a server: a fixed list, so that nobody grows series by accident."""

SERVER_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")
"""What a server id looks like; a BMC with several nodes appends ``/<node>``."""

SERVER_GLOB = re.compile(r"[A-Za-z0-9._:/*?\[\]!-]{1,200}")
"""A server, a node of it, or a pattern of such: what limits the servers of a step."""


@dataclass(frozen=True)
class Field:
    """One field of a measurement.

    Args:
        name: As written.
        kind: ``float``, ``int`` or ``str``; the type InfluxDB stores for ever.
        unit: Unit of the value; empty for texts and counts.
        help: One sentence; what absent means where that is not simply "unknown".
    """

    name: str
    kind: str
    unit: str
    help: str


@dataclass(frozen=True)
class Measurement:
    """One measurement: what a point of it is, its tags, and its fields.

    Args:
        name: As written.
        point: What one point is.
        tags: Names and meanings; together they identify the series.
        fields: In the order in which they are written.
        static_tags: Whether the tags of `STATIC_TAGS` may be added.
    """

    name: str
    point: str
    tags: Mapping[str, str]
    fields: Tuple[Field, ...]
    static_tags: bool = False

    def line(
        self,
        tags: Mapping[str, Optional[str]],
        fields: Mapping[str, Optional[FieldValue]],
        time_ns: Optional[int] = None,
    ) -> Optional[str]:
        """Return one point in line protocol, or None when no field is left to write.

        An ``int`` given for a ``float`` field is written as float.

        Args:
            tags: Of this measurement only; None and empty ones are left out.
            fields: Of this measurement only; None means absent.
            time_ns: Nanoseconds since the Unix epoch, UTC.

        Raises:
            ValueError: A tag or field that this measurement does not have.
            TypeError: A value of another type than the schema fixes.
        """
        allowed = _TAGS[self.name]
        for key in tags:
            if key not in allowed:
                raise ValueError(f"{self.name} has no tag {key!r}")
        kinds = _KINDS[self.name]
        typed: Dict[str, Optional[FieldValue]] = {}
        for name, value in fields.items():
            if name not in kinds:
                raise ValueError(f"{self.name} has no field {name!r}")
            if value is not None:
                typed[name] = _as_kind(self.name, name, kinds[name], value)
        return format_line(self.name, tags, typed, time_ns)


def _as_kind(measurement: str, name: str, kind: str, value: FieldValue) -> FieldValue:
    if type(value).__name__ == kind:
        return value
    if kind == "float" and isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if kind == "int" and isinstance(value, int) and not isinstance(value, bool):
        return value
    if kind == "str" and isinstance(value, str):
        return value
    raise TypeError(f"{measurement}.{name} is {kind}, not {type(value).__name__}")


_ENV = "the environment (pod, lab) the server belongs to"
_SERVER = "server id of the fleet file; `<id>/<node>` for a node of a multi-node BMC"
_SCENARIO = "name of the scenario"
_STEP = "name of the step; absent for a scenario"

_ENERGY_FIELDS = (
    Field("duration_s", "float", "s", "length of the step"),
    Field("energy_j", "float", "J", "best estimate of the energy; with `u95_j` even when unresolvable"),
    Field("energy_wh", "float", "Wh", "the same in watt-hours"),
    Field("u95_j", "float", "J", "half width of the 95 % interval of `energy_j`"),
    Field("u95_gain_j", "float", "J", "part of the systematic sensor gain; absent = gain unknown"),
    Field("avg_w", "float", "W", "mean power over the step"),
    Field("max_w", "float", "W", "largest reading inside the step"),
    Field("idle_w", "float", "W", "idle power subtracted for `net_j`"),
    Field("net_j", "float", "J", "energy above idle"),
    Field("u95_net_j", "float", "J", "half width of the 95 % interval of `net_j`"),
    Field("share_j", "float", "J", "allocated share where steps overlap on a server"),
    Field("coverage", "float", "", "part of the step covered by readings, 0..1"),
    Field("samples", "int", "", "readings used"),
)

MEASUREMENTS: Tuple[Measurement, ...] = (
    Measurement(
        SERVER_POWER,
        "one reading of one metered thing",
        {
            "env": _ENV,
            "server": _SERVER,
            "scope": "what is metered: " + ", ".join(SCOPES),
            "part": "absent for a total; else the part, such as psu1, cpu0, meter:<id>, legacy",
        },
        (
            Field(
                "watts",
                "float",
                "W",
                "the power; absent when the BMC gave no valid reading, never 0 for unknown",
            ),
            Field("avg_w", "float", "W", "the BMC's own average over its own period"),
            Field("min_w", "float", "W", "the BMC's own minimum"),
            Field("max_w", "float", "W", "the BMC's own maximum"),
            Field(
                "window_s", "float", "s", "averaging window of `watts`; 0 = instantaneous, absent = unknown"
            ),
            Field("refresh_s", "float", "s", "period at which the BMC renews `watts`; absent = unknown"),
            Field("quantum_w", "float", "W", "step of the readings; absent = unknown"),
            Field("accuracy_pct", "float", "%", "accuracy that the BMC declares; absent = unknown"),
            Field(
                "clock",
                "str",
                "",
                "whose time stamp: bmc (end of the window) or poll (middle of the request)",
            ),
            Field(
                "energy_counter_j",
                "float",
                "J",
                "a cumulative counter as the BMC gives it, never unwrapped here",
            ),
            Field("energy_wrap_j", "float", "J", "value at which that counter wraps, if known"),
            Field("latency_ms", "float", "ms", "time from request to answer"),
            Field("backfill", "int", "", "1 = read later from the BMC's history"),
            Field("protocol", "str", "", ", ".join(PROTOCOLS)),
            Field("source", "str", "", ", ".join(SOURCES)),
            Field("side", "str", "", "side of the power supply: " + ", ".join(SIDES)),
        ),
        static_tags=True,
    ),
    Measurement(
        SERVER_BMC,
        "one poll of one BMC, always written",
        {"env": _ENV, "server": _SERVER},
        (
            Field(
                "up", "int", "", "1 if this poll gave a usable `watts` for every total expected of this BMC"
            ),
            Field("host", "str", "", "power state of the computer: " + ", ".join(HOST_STATES)),
            Field("scrape_ms", "float", "ms", "duration of the poll"),
            Field("requests", "int", "", "requests sent to the BMC in this poll"),
            Field("late_ticks", "int", "", "ticks missed since the last poll"),
            Field("error", "str", "", "empty when up, else " + ", ".join(ERRORS)),
            Field("protocol", "str", "", ", ".join(PROTOCOLS)),
            Field("source", "str", "", ", ".join(SOURCES)),
        ),
        static_tags=True,
    ),
    Measurement(
        SERVER_INFO,
        "what is known of a server: at start, on change, hourly",
        {"env": _ENV, "server": _SERVER},
        (
            Field("vendor", "str", "", "manufacturer"),
            Field("model", "str", "", "model of the server"),
            Field("bmc_fw", "str", "", "firmware version of the BMC"),
            Field("bios", "str", "", "BIOS version"),
            Field("power_cap_w", "float", "W", "power cap in force"),
            Field("refresh_s", "float", "s", "period at which the BMC renews its power reading"),
            Field("refresh_from", "str", "", "declared, learned or vendor"),
            Field("window_s", "float", "s", "averaging window of its power reading"),
            Field("accuracy_pct", "float", "%", "accuracy that the BMC declares"),
            Field("psu_count", "int", "", "power supplies present"),
            Field(
                "psu_capacity_w",
                "float",
                "W",
                "their rating together; absent if one has none, or they are an enclosure's",
            ),
            Field("inlet_c", "float", "°C", "inlet temperature"),
            Field("bmc_url", "str", "", "scheme, host and port of the BMC that is asked; absent for IPMI"),
        ),
        static_tags=True,
    ),
    Measurement(
        SERVER_SENSOR,
        "anything else that somebody posts, such as a temperature",
        {"env": _ENV, "server": _SERVER, "sensor": "name of the sensor", "unit": "unit as posted"},
        (Field("value", "float", "", "in the unit of the tag"),),
        static_tags=True,
    ),
    Measurement(
        ENERGY_STEPS,
        "one step or scenario instance, at its start",
        {"env": _ENV, "scenario": _SCENARIO, "step": _STEP, "level": "scenario or step"},
        (
            Field("run_id", "str", "", "step id of the root"),
            Field("step_id", "str", "", "id of this instance"),
            Field("parent_id", "str", "", "id of the enclosing instance"),
            Field("group", "str", "", "what a CI system calls a run or build"),
            Field("title", "str", "", "short text of the annotation"),
            Field("text", "str", "", "safe HTML of the annotation"),
            Field("tags", "str", "", "comma-separated list"),
            Field("state", "str", "", ", ".join(STEP_STATES)),
            Field("newState", "str", "", "Grafana's name of the state: pending, ok, alerting, nodata"),
            Field("quality", "str", "", ", ".join(QUALITIES)),
            Field("reason", "str", "", "why the quality is not resolved"),
            Field("method", "str", "", "estimator and sources used"),
            Field("side", "str", "", "ac, dc or mixed"),
            Field("ci_url", "str", "", "link to the CI job"),
            Field("commit", "str", "", "revision under test"),
            Field("time_end", "int", "ms", "end, milliseconds since the Unix epoch (Grafana's unit)"),
            *_ENERGY_FIELDS,
            Field(
                "baseline_wh",
                "float",
                "Wh",
                "median of the comparable runs before this one; absent for steps",
            ),
            Field(
                "baseline_low_wh",
                "float",
                "Wh",
                "lower end of the 95 % prediction interval of one more of them",
            ),
            Field("baseline_high_wh", "float", "Wh", "its upper end"),
            Field("baseline_runs", "int", "", "how many runs these are, 5 to 20"),
            Field("depth", "int", "", "nesting depth; 0 = scenario"),
            Field("exit_code", "int", "", "of a wrapped command"),
            Field("servers", "int", "", "servers whose readings were used"),
            Field("overlap", "int", "", "steps that ran at the same time on a server of this one"),
        ),
    ),
    Measurement(
        ENERGY_STEP_SERVERS,
        "one step on one server",
        {"env": _ENV, "scenario": _SCENARIO, "step": _STEP, "server": _SERVER},
        (
            Field("run_id", "str", "", "step id of the root"),
            Field("step_id", "str", "", "id of this instance"),
            Field("quality", "str", "", ", ".join(QUALITIES) + "; of this server alone"),
            *_ENERGY_FIELDS,
        ),
    ),
    Measurement(
        ENERGY_RUN_PROFILE,
        "down-sampled run, time re-based so that the run starts at the Unix epoch",
        {"env": _ENV, "scenario": _SCENARIO, "run": "run id; the last 50 are kept"},
        (
            Field("watts", "float", "W", "sum over the servers"),
            Field("min_w", "float", "W", "sum over the servers of their least reading around the moment"),
            Field("max_w", "float", "W", "sum over the servers of their greatest reading around it"),
            Field("elapsed_s", "float", "s", "since the start of the run"),
        ),
    ),
    Measurement(
        ENERGY_MARKS,
        "an instant note",
        {"env": _ENV, "scenario": _SCENARIO, "kind": ", ".join(MARK_KINDS)},
        (
            Field("title", "str", "", "short text"),
            Field("text", "str", "", "safe HTML"),
            Field("tags", "str", "", "comma-separated list"),
            Field("run_id", "str", "", "run that was open"),
        ),
    ),
)

_KINDS: Dict[str, Dict[str, str]] = {m.name: {f.name: f.kind for f in m.fields} for m in MEASUREMENTS}
_TAGS: Dict[str, FrozenSet[str]] = {
    m.name: frozenset((*m.tags, *(STATIC_TAGS if m.static_tags else ()))) for m in MEASUREMENTS
}
_BY_NAME: Dict[str, Measurement] = {m.name: m for m in MEASUREMENTS}


def measurement(name: str) -> Measurement:
    """Return the measurement called ``name``.

    Raises:
        KeyError: There is none.
    """
    return _BY_NAME[name]
