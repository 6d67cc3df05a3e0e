"""The spec file: which BMCs the simulator runs, checked key by key."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from energyrecorder.errors import ConfigError
from energyrecorder.secret import Secret, resolve
from energyrecorder.settings import Setting, load_toml, read_table, read_value
from energyrecorder_bmcsim import certificates, faults
from energyrecorder_bmcsim.faults import Fault, read_fault
from energyrecorder_bmcsim.ilo.meter import GENERATIONS
from energyrecorder_bmcsim.payload import LivePointer, Payload, load_payload, read_live
from energyrecorder_bmcsim.power import NS_PER_S, OffTime, PowerSeries
from energyrecorder_bmcsim.power_spec import read_power
from energyrecorder_bmcsim.sensor import SensorModel

PROTOCOLS = ("redfish", *GENERATIONS, "ipmi")
_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")
_NEEDS_POWER = ("null", "zero", "stale")


def _check_id(text: str) -> str:
    if not _ID.fullmatch(text):
        raise ValueError("1 to 64 of A-Z a-z 0-9 . _ : -")
    return text


_TOP = (
    Setting("fleet", "table", "What holds for all BMCs.", default={}),
    Setting("bmc", "tables", "The BMCs.", required=True),
)
_FLEET = (
    Setting("seed", "int", "Of everything that is drawn.", default=0),
    Setting(
        "speed",
        "float",
        "Simulated seconds per real second: power, reboots and times of faults go by simulated time; "
        "sensors, histories, latency, session expiry and the control port by real time.",
        default=1.0,
        minimum=1e-3,
        maximum=1e5,
    ),
    Setting("user", "str", "Account on the BMCs.", default="monitor"),
    Setting("password", "str", "Its password; {env=NAME}, {file=PATH} or a literal.", default="monitor"),
    Setting(
        "control_port", "int", "Port of the control server; 0: any.", default=0, minimum=0, maximum=65535
    ),
)
_BMC_COMMON = (
    Setting("id", "str", "Name, as in the control port's calls.", required=True, check=_check_id),
    Setting("protocol", "str", "What it speaks.", required=True, choices=PROTOCOLS),
    Setting("port", "int", "Port on 127.0.0.1; 0: any.", default=0, minimum=0, maximum=65535),
    Setting("user", "str", "Account; absent: that of the fleet."),
    Setting("password", "str", "Its password; absent: that of the fleet."),
    Setting("power", "table", "True power; absent: values stay as captured."),
    Setting("reboots", "tables", "Times in which the host is off.", default=()),
    Setting("sensor", "table", "How power is measured.", default={}),
    Setting("faults", "tables", "What goes wrong, and when.", default=()),
)
_BMC_HTTP = (
    Setting("payload", "str", "Name of a shipped payload, folder, or JSON file."),
    Setting("scheme", "str", "With or without TLS.", default="https", choices=("https", "http")),
    Setting("certificate", "str", "What it shows.", default="good", choices=certificates.KINDS),
    Setting("old_tls", "bool", "true: TLS 1.0 and 1.1 only.", default=False),
    Setting(
        "auth",
        "str",
        "Ways to log in.",
        default="session+basic",
        choices=("session+basic", "session", "basic"),
    ),
    Setting("session_limit", "int", "Sessions at a time.", default=16, minimum=0),
    Setting("session_expiry", "duration", "Idle time after which a session ends.", default=1800.0),
    Setting("live", "tables", "Places of live values; absent: those of the payload."),
)
_REBOOT = (
    Setting("at_s", "float", "Simulated seconds since the start.", required=True, minimum=0),
    Setting("off_s", "float", "Simulated seconds.", default=10.0, minimum=0),
    Setting("standby_w", "float", "Watts meanwhile.", default=0.0, minimum=0),
)
_SENSOR = (
    Setting("refresh_s", "float", "Period between values; 0: at every look.", default=1.0, minimum=0),
    Setting("window_s", "float", "Averaging window; 0: instantaneous.", default=1.0, minimum=0),
    Setting("quantum_w", "float", "Step of the values; 0: none.", default=1.0, minimum=0),
    Setting("gain", "float", "Factor on the true power.", default=1.0, minimum=0),
    Setting("latency_s", "float", "Time to answer a request.", default=0.0, minimum=0, maximum=60),
)


@dataclass(frozen=True, slots=True)
class BmcSpec:
    """One BMC of the spec file.

    Args:
        bmc_id: Its name.
        protocol: One of `PROTOCOLS`.
        where: File and table, for messages about it.
        port: Port on 127.0.0.1; 0 means any.
        user: Account.
        password: Its password.
        power: True power over simulated time; None means that values stay as captured.
        reboots: Times in which the host is off.
        sensor: How power is measured.
        faults: What goes wrong (HTTP).
        payload: What it serves; None for IPMI.
        live: Places of live values.
        http: Values of the keys that only HTTP has.
        raw_ipmi: The table of an IPMI BMC without the common keys, and its ``faults``.
    """

    bmc_id: str
    protocol: str
    where: str
    port: int
    user: str
    password: Secret
    power: PowerSeries | None
    reboots: tuple[OffTime, ...]
    sensor: SensorModel
    faults: tuple[Fault, ...] = ()
    payload: Payload | None = None
    live: tuple[LivePointer, ...] = ()
    http: Mapping[str, Any] = field(default_factory=dict)
    raw_ipmi: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FleetSpec:
    """The whole spec file.

    Args:
        seed: Of everything that is drawn.
        speed: Simulated seconds per real second.
        start_ns: Start of the simulation, nanoseconds since the Unix epoch, UTC.
        control_port: Port of the control server; 0 means any.
        base: Folder of the file, from which relative names start.
        bmcs: The BMCs.
    """

    seed: int
    speed: float
    start_ns: int
    control_port: int
    base: Path
    bmcs: tuple[BmcSpec, ...]


def load_spec(path: Path, *, start_ns: int) -> FleetSpec:
    """Return the checked content of a spec file.

    Args:
        path: The file.
        start_ns: Start of the simulation, nanoseconds since the Unix epoch, UTC.

    Raises:
        ConfigError: Something in it is not allowed.
    """
    top = read_table(load_toml(path), _TOP, where=str(path))
    where = f"{path}: [fleet]"
    fleet = read_table(top["fleet"], _FLEET, where=where)
    reader = _BmcReader(path, fleet, start_ns)
    bmcs = tuple(reader.read(raw, index) for index, raw in enumerate(top["bmc"], start=1))
    _check_unique(path, bmcs)
    return FleetSpec(fleet["seed"], fleet["speed"], start_ns, fleet["control_port"], path.parent, bmcs)


def _check_unique(path: Path, bmcs: Sequence[BmcSpec]) -> None:
    seen: set[str] = set()
    for bmc in bmcs:
        if bmc.bmc_id in seen:
            raise ConfigError(
                f"{path}: [[bmc]] {bmc.bmc_id!r}: key 'id' is used twice; allowed: one BMC per id"
            )
        seen.add(bmc.bmc_id)


class _BmcReader:
    """Reads the [[bmc]] tables of one file.

    Args:
        path: The file.
        fleet: Values of its [fleet] table.
        start_ns: Start of the simulation, nanoseconds since the Unix epoch, UTC.
    """

    def __init__(self, path: Path, fleet: Mapping[str, Any], start_ns: int) -> None:
        self._path = path
        self._fleet = fleet
        self._start_ns = start_ns
        self._payloads: dict[str, Payload] = {}

    def read(self, raw: Mapping[str, Any], index: int) -> BmcSpec:
        where = f"{self._path}: [[bmc]] {raw.get('id', f'number {index}')!r}"
        settings = {setting.name: setting for setting in _BMC_COMMON}
        protocol = "redfish"
        if "protocol" in raw:
            protocol = read_value(raw["protocol"], settings["protocol"], where=where)
        if protocol == "ipmi":
            # Its own keys are checked where they are known, beside the IPMI server.
            common = {key: value for key, value in raw.items() if key in settings and key != "faults"}
            values = read_table(common, _BMC_COMMON, where=where)
            rest = {key: value for key, value in raw.items() if key not in common}
            return self._spec(values, where, raw_ipmi=rest)
        values = read_table(raw, [*_BMC_COMMON, *_BMC_HTTP], where=where)
        return self._spec(values, where, **self._http(values, where))

    def _spec(self, values: Mapping[str, Any], where: str, **more: Any) -> BmcSpec:
        power = None
        if values["power"] is not None:
            power = read_power(
                values["power"], base=self._path.parent, where=f"{where}: power", speed=self._fleet["speed"]
            )
        elif values["reboots"]:
            raise ConfigError(f"{where}: key 'reboots' needs the key 'power'")
        sensor = read_table(values["sensor"], _SENSOR, where=f"{where}: sensor")
        return BmcSpec(
            bmc_id=values["id"],
            protocol=values["protocol"],
            where=where,
            port=values["port"],
            user=self._fleet["user"] if values["user"] is None else values["user"],
            password=self._password(values["password"], where),
            power=power,
            reboots=tuple(self._reboot(raw, f"{where}: reboots") for raw in values["reboots"]),
            sensor=SensorModel(**sensor),
            **more,
        )

    def _password(self, text: str | None, where: str) -> Secret:
        if text is None:
            text, where = self._fleet["password"], f"{self._path}: [fleet]"
        return resolve(text, where=f"{where}: key 'password'")

    def _reboot(self, raw: Mapping[str, Any], where: str) -> OffTime:
        values = read_table(raw, _REBOOT, where=where)
        speed = self._fleet["speed"]
        start_ns = self._start_ns + round(values["at_s"] / speed * NS_PER_S)
        return OffTime(start_ns, start_ns + round(values["off_s"] / speed * NS_PER_S), values["standby_w"])

    def _payload(self, name: str, where: str) -> Payload:
        if name not in self._payloads:
            self._payloads[name] = load_payload(name, base=self._path.parent, where=where)
        return self._payloads[name]

    def _http(self, values: Mapping[str, Any], where: str) -> dict[str, Any]:
        name = values["payload"]
        if name is None and values["protocol"] in GENERATIONS:
            name = GENERATIONS[values["protocol"]].payload
        if name is None:
            raise ConfigError(f"{where}: missing key 'payload': a shipped payload, a folder, or a .json file")
        payload = self._payload(name, f"{where}: key 'payload'")
        return {
            "payload": payload,
            "live": self._live(values, payload, where),
            "faults": tuple(self._fault(raw, values, where) for raw in values["faults"]),
            "http": {setting.name: values[setting.name] for setting in _BMC_HTTP},
        }

    def _live(self, values: Mapping[str, Any], payload: Payload, where: str) -> tuple[LivePointer, ...]:
        if values["live"] is not None:
            return tuple(read_live(raw, payload, where=f"{where}: live") for raw in values["live"])
        if values["power"] is not None and not payload.live and values["protocol"] == "redfish":
            raise ConfigError(
                f"{where}: missing key 'live': a list of tables {{path, pointer}} that says which values of "
                "this payload follow 'power'"
            )
        return payload.live

    def _fault(self, raw: Mapping[str, Any], values: Mapping[str, Any], where: str) -> Fault:
        fault = read_fault(raw, where=f"{where}: faults", now_ns=self._start_ns, speed=self._fleet["speed"])
        if fault.kind in _NEEDS_POWER and values["power"] is None:
            raise ConfigError(f"{where}: faults: kind {fault.kind!r} needs the key 'power' of the BMC")
        return faults.with_payload(fault, base=self._path.parent, where=f"{where}: faults: key 'payload'")
