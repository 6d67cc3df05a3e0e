"""The IPMI BMCs of the fleet: their keys of the spec file, and their place among the others."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from energyrecorder.errors import ConfigError
from energyrecorder.secret import resolve
from energyrecorder.settings import Setting, read_table, read_text
from energyrecorder_bmcsim.ipmi.faults import KINDS, IpmiFault
from energyrecorder_bmcsim.ipmi.proxy import UdpProxy, Weather
from energyrecorder_bmcsim.ipmi.recording import Recording
from energyrecorder_bmcsim.ipmi.server import IpmiBmc
from energyrecorder_bmcsim.ipmi.settings import (
    ControllerSettings,
    IpmiSettings,
    SdrSensor,
    temperature_sensors,
)
from energyrecorder_bmcsim.live import LiveBmc
from energyrecorder_bmcsim.power import NS_PER_S
from energyrecorder_bmcsim.spec import BmcSpec, FleetSpec

_FOREVER_NS = 1 << 62

# Keys without a default here have that of `ControllerSettings` or `IpmiSettings`.
_CONTROLLER = (
    Setting("sdr", "bool", "Whether it has sensors.", default=True),
    Setting("sensors", "tables", "Its sensors; absent: one of 4-W steps."),
    Setting("temperature_sensors", "int", "Further sensors, as a big server has.", default=0, minimum=0),
    Setting("dcmi", "bool", "Whether it answers DCMI."),
    Setting("node_manager", "bool", "Whether it is an Intel Node Manager."),
    Setting("lenovo_energy", "bool", "Whether it has Lenovo's energy counters."),
    Setting("manufacturer", "int", "IANA enterprise number."),
    Setting("product", "int", "Product id."),
    Setting("firmware", "str", "Such as 2.10."),
    Setting("vendor_name", "str", "Manufacturer in the FRU inventory."),
    Setting("product_name", "str", "Product in the FRU inventory."),
    Setting("sdr_latency_s", "float", "What each Get SDR costs.", minimum=0),
    Setting("sdr_read_limit", "int", "Octets that one Get SDR returns at most."),
    Setting("share", "float", "Part of the power that belongs to it.", minimum=0),
    Setting("statistics_window_s", "float", "Of the DCMI statistics.", minimum=1),
    Setting("clock_offset_s", "int", "Its clock minus UTC."),
    Setting("bridged", "tables", "Controllers behind it.", default=()),
)
_SATELLITE = (
    *_CONTROLLER,
    Setting("address", "int", "Slave address, such as 0x82.", required=True),
    Setting("channel", "int", "IPMB channel."),
)
_BMC = (
    *_CONTROLLER,
    Setting("payload", "str", "Recorded answers, FILE.json; they stand for power, sensors and identity."),
    Setting("suites", "list", "Cipher suites, best first; 17 and 3 are known.", check=tuple),
    Setting("kg", "str", "BMC key; {env=NAME}, {file=PATH} or a literal; absent: none."),
    Setting("privilege_limit", "int", "Of the account: 2 user, 3 operator, 4 administrator."),
    Setting("max_sessions", "int", "Sessions at a time."),
    Setting("idle_s", "float", "Time after which an unused session ends.", minimum=0),
    Setting("suite_refusal", "int", "RMCP+ status for a suite not offered."),
    Setting("bridge_style", "str", "How satellites answer.", choices=("forwarded", "inline")),
    Setting("network", "table", "A bad network in front of it."),
    Setting("faults", "tables", "What goes wrong, and when.", default=()),
)
_OWN_KEYS = ("sdr", "sensors", "temperature_sensors", "payload", "kg", "bridged", "network", "faults")
"""Keys that are no field of the settings as they stand."""

_NETWORK = tuple(
    Setting(name, "float", minimum=0)
    for name in ("loss", "delay_s", "jitter_s", "duplicate", "reorder", "reorder_s")
)
_SENSOR_KINDS = {
    **dict.fromkeys(("number", "m", "b", "b_exp", "r_exp", "unit", "sensor_type", "reading_type"), "int"),
    **dict.fromkeys(("entity_id", "entity_instance"), "int"),
    **dict.fromkeys(("signed", "scanning", "available", "needs_host", "non_linear"), "bool"),
    **dict.fromkeys(("share", "constant"), "float"),
}
_SENSOR = (
    Setting("name", "str", "Id string, at most 16 characters.", required=True),
    *(Setting(name, kind) for name, kind in _SENSOR_KINDS.items()),
)
_FAULT = (
    Setting("kind", "str", "What goes wrong.", required=True, choices=tuple(KINDS)),
    Setting("at_s", "float", "When it begins; absent: always has been."),
    Setting("for_s", "float", "How long it lasts; absent: for ever.", minimum=0),
    Setting("count", "int", "Requests that it strikes; absent: all in its time.", minimum=1),
    Setting("code", "int", "Completion code of completion_code.", default=0xC0, minimum=1, maximum=255),
    Setting("latency_s", "float", "Delay of slow.", default=0.5, minimum=0),
)


class IpmiServer:
    """A BMC that speaks IPMI, behind a bad network if the spec file wants one.

    Args:
        spec: What the spec file says of it.
        live: Its live side; None where it has no ``power``.
        fleet: The whole spec.

    Raises:
        ConfigError: Something in its table is not allowed, or both ``power`` and ``payload`` are missing.
    """

    def __init__(self, spec: BmcSpec, live: LiveBmc | None, fleet: FleetSpec) -> None:
        values = read_table(spec.raw_ipmi, _BMC, where=spec.where)
        if live is not None and values["payload"] is not None:
            raise ConfigError(f"{spec.where}: key 'payload' and key 'power' exclude each other")
        source = live if values["payload"] is None else _recording(values["payload"], spec, fleet)
        if source is None:
            raise ConfigError(
                f"{spec.where}: missing key 'power': a table; or 'payload': recorded answers, FILE.json"
            )
        self._port = spec.port
        self._seed = fleet.seed
        self._proxy: UdpProxy | None = None
        try:
            self._bmc = IpmiBmc(_settings(spec, values), source)
            self._weather = None if values["network"] is None else _weather(values["network"], spec.where)
        except ValueError as error:
            if isinstance(error, ConfigError):
                raise
            raise ConfigError(f"{spec.where}: {error}") from None
        for raw in values["faults"]:
            fault = _fault(raw, f"{spec.where}: faults", now_ns=fleet.start_ns, speed=fleet.speed)
            self._bmc.inject(fault)

    async def start(self) -> int:
        """Listen and return the UDP port.

        Raises:
            OSError: The port is taken.
        """
        if self._weather is None:
            return await self._bmc.start(self._port)
        self._proxy = UdpProxy(await self._bmc.start(), self._weather, seed=self._seed)
        return await self._proxy.start(self._port)

    async def close(self) -> None:
        """Stop listening."""
        if self._proxy is not None:
            await self._proxy.close()
        await self._bmc.close()

    def stats(self) -> dict[str, int]:
        """See `energyrecorder_bmcsim.fleet.Server`."""
        return self._bmc.stats()

    def add_fault(self, raw: Mapping[str, Any], *, where: str, now_ns: int) -> tuple[int, int]:
        """See `energyrecorder_bmcsim.fleet.Server`."""
        fault = _fault({"at_s": 0, **raw}, where, now_ns=now_ns, speed=1.0)
        self._bmc.inject(fault)
        return fault.start_ns, _FOREVER_NS if fault.end_ns is None else fault.end_ns


def _recording(name: str, spec: BmcSpec, fleet: FleetSpec) -> Recording:
    where = f"{spec.where}: key 'payload' is {name!r}"
    text = read_text(fleet.base / name, where=where)
    try:
        return Recording(json.loads(text))
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{where}: {error}") from None


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what stands in the file and is a field of the settings by the same name."""
    return {key: value for key, value in values.items() if value is not None and key not in _OWN_KEYS}


def _settings(spec: BmcSpec, values: Mapping[str, Any]) -> IpmiSettings:
    controller_keys = {setting.name for setting in _CONTROLLER}
    kg = b""
    if values["kg"] is not None:
        # Tools pad a shorter key with zeros (ipmitool -k).
        kg = resolve(values["kg"], where=f"{spec.where}: key 'kg'").reveal().encode().ljust(20, b"\0")
    return IpmiSettings(
        user=spec.user.encode(),
        password=spec.password.reveal().encode(),
        kg=kg,
        latency_s=spec.sensor.latency_s,
        controller=_controller({key: values[key] for key in controller_keys}, spec.where),
        **{key: value for key, value in _given(values).items() if key not in controller_keys},
    )


def _controller(values: Mapping[str, Any], where: str) -> ControllerSettings:
    sensors: tuple[SdrSensor, ...] = ControllerSettings().sensors
    if values["sensors"] is not None:
        tables = [read_table(raw, _SENSOR, where=f"{where}: sensors") for raw in values["sensors"]]
        sensors = tuple(SdrSensor(**_given(table)) for table in tables)
    if not values["sdr"]:
        sensors = ()
    sensors += temperature_sensors(values["temperature_sensors"])
    behind = f"{where}: bridged"
    satellites = (read_table(raw, _SATELLITE, where=behind) for raw in values["bridged"])
    bridged = tuple(_controller(satellite, behind) for satellite in satellites)
    return ControllerSettings(sensors=sensors, bridged=bridged, **_given(values))


def _weather(raw: object, where: str) -> Weather:
    return Weather(**_given(read_table(raw, _NETWORK, where=f"{where}: network")))


def _fault(raw: Mapping[str, Any], where: str, *, now_ns: int, speed: float) -> IpmiFault:
    values = read_table(raw, _FAULT, where=where)
    start_ns = 0 if values["at_s"] is None else now_ns + round(values["at_s"] / speed * NS_PER_S)
    end_ns = None
    if values["for_s"] is not None:
        end_ns = max(start_ns, now_ns) + round(values["for_s"] / speed * NS_PER_S)
    return IpmiFault(
        values["kind"], start_ns, end_ns, values["count"], code=values["code"], latency_s=values["latency_s"]
    )
