"""What a simulated IPMI BMC is told: account, cipher suites, identity, sensors, satellites."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, Protocol

from energyrecorder_bmcsim.ipmi.crypto import SUITES
from energyrecorder_bmcsim.ipmi.message import BMC_ADDRESS

_LONGEST_NAME = 16
_LONGEST_USER = 16
_LONGEST_PASSWORD = 20
_KG_SIZE = 20
_GUID_SIZE = 16
_MANTISSA = range(-512, 512)
_EXPONENT = range(-8, 8)
_OCTET = range(0x100)
_CHANNELS = range(0x10)
_SENSOR_NUMBERS = range(0xFF)
_MOST_SENSORS = 4 * 0xFE
_ADDRESSES = range(2, 0x100, 2)

UNIT_WATTS = 0x06
UNIT_DEGREES_C = 0x01
TYPE_TEMPERATURE = 0x01
TYPE_OTHER_UNITS = 0x0B
READING_THRESHOLD = 0x01


def _require(holds: bool, key: str, value: object, allowed: str) -> None:  # noqa: FBT001 - a condition, not a flag
    if not holds:
        raise ValueError(f"key {key!r} is {value!r}; allowed: {allowed}")


class ReadingSource(Protocol):
    """Where a BMC gets its figures from; any moment that is not in the future may be asked for."""

    def watts(self, now_ns: int, /) -> float:
        """Return the power that the sensor shows at ``now_ns`` (UTC), watts; NaN when it shows none."""

    def host_on(self, now_ns: int, /) -> bool:
        """Tell whether the host is on at ``now_ns`` (UTC)."""


@dataclass(frozen=True, slots=True)
class SdrSensor:
    """A sensor with a full sensor record (IPMI 2.0 §43.1).

    What it shows is M·x + B·10^b_exp, times 10^r_exp, for a raw byte x; the nearest x is taken, so the
    sensor's step is M·10^r_exp.

    Args:
        name: Id string, at most 16 ASCII characters.
        number: Sensor number on LUN 0, 1..254; 0 takes the first free one, on LUN 1..3 when LUN 0 is full.
        m: M, -512..511 but not 0.
        b: B, -512..511.
        b_exp: Exponent of B, -8..7.
        r_exp: Exponent of the result, -8..7.
        unit: Base unit code (IPMI 2.0 table 43-15); 06h is watts.
        sensor_type: Sensor type code (table 42-3).
        reading_type: 01h for thresholds (analog), 6Fh for a discrete sensor without a unit.
        entity_id: Entity (table 43-13); 7 is the system board, 10 a power supply.
        entity_instance: Instance of the entity.
        signed: Raw byte in two's complement instead of unsigned.
        share: Part of the source's watts that it shows.
        constant: Fixed value in its unit instead of watts; for a discrete sensor the state bits.
        scanning: False sets "scanning disabled" in each reading.
        available: False sets "reading unavailable" in each reading.
        needs_host: Unavailable while the host is off.
        non_linear: Factors differ from reading to reading (§35.5): up to raw byte 127 the step is that of
            ``m``, above it four times as wide; its record holds an M of 0.
    """

    name: str
    number: int = 0
    m: int = 4
    b: int = 0
    b_exp: int = 0
    r_exp: int = 0
    unit: int = UNIT_WATTS
    sensor_type: int = TYPE_OTHER_UNITS
    reading_type: int = READING_THRESHOLD
    entity_id: int = 7
    entity_instance: int = 1
    signed: bool = False
    share: float = 1.0
    constant: float | None = None
    scanning: bool = True
    available: bool = True
    needs_host: bool = False
    non_linear: bool = False

    def __post_init__(self) -> None:
        _require(
            self.name.isascii() and 0 < len(self.name) <= _LONGEST_NAME,
            "name", self.name, "1 to 16 ASCII characters",
        )  # fmt: skip
        _require(self.number in _SENSOR_NUMBERS, "number", self.number, "0 to 254")
        _require(self.m in _MANTISSA and self.m != 0, "m", self.m, "-512 to 511, not 0")
        _require(self.b in _MANTISSA, "b", self.b, "-512 to 511")
        _require(self.b_exp in _EXPONENT, "b_exp", self.b_exp, "-8 to 7")
        _require(self.r_exp in _EXPONENT, "r_exp", self.r_exp, "-8 to 7")
        plain = self.m == 1 and not (self.signed or self.b)
        _require(
            not self.non_linear or plain, "non_linear", self.non_linear, "with m 1, b 0 and signed false"
        )
        for key in ("unit", "sensor_type", "reading_type", "entity_id", "entity_instance"):
            _require(getattr(self, key) in _OCTET, key, getattr(self, key), "0 to 255")


@dataclass(frozen=True, slots=True)
class ControllerSettings:
    """One management controller: the BMC itself, or a satellite behind it.

    Args:
        address: Slave address, even; 20h is the BMC.
        channel: IPMB channel on which the BMC reaches it; no matter for the BMC.
        manufacturer: IANA enterprise number.
        product: Product id.
        firmware: Major and minor revision, such as ``"2.10"``.
        vendor_name: Manufacturer in the FRU inventory.
        product_name: Product in the FRU inventory.
        dcmi: Whether it answers DCMI commands.
        node_manager: Whether it is an Intel Node Manager; one sits at 2Ch on channel 6.
        lenovo_energy: Whether it has Lenovo's energy counters.
        sensors: Its sensors, in the order of the repository.
        extra_records: Further SDRs as octets from the SDR version on (51h, type, length, body): OEM records.
        sdr_latency_s: What each Get SDR costs, seconds.
        sdr_read_limit: Octets that one Get SDR returns at most; more ends with CAh.
        share: Part of the source's watts that belongs to it.
        statistics_window_s: Window of the DCMI statistics, seconds.
        clock_offset_s: Its clock minus UTC, seconds: BMCs on local time.
        bridged: Controllers that it reaches by Send Message.
    """

    address: int = BMC_ADDRESS
    channel: int = 0
    manufacturer: int = 674
    product: int = 0x0100
    firmware: str = "2.10"
    vendor_name: str = "Simulated"
    product_name: str = "BMC"
    dcmi: bool = True
    node_manager: bool = False
    lenovo_energy: bool = False
    sensors: tuple[SdrSensor, ...] = (SdrSensor("Pwr Consumption"),)
    extra_records: tuple[bytes, ...] = ()
    sdr_latency_s: float = 0.0
    sdr_read_limit: int = 0xFF
    share: float = 1.0
    statistics_window_s: float = 60.0
    clock_offset_s: int = 0
    bridged: tuple[ControllerSettings, ...] = ()

    def __post_init__(self) -> None:
        _require(self.address in _ADDRESSES, "address", self.address, "even, 2 to 254")
        _require(self.channel in _CHANNELS, "channel", self.channel, "0 to 15")
        _require(0 <= self.manufacturer < 1 << 20, "manufacturer", self.manufacturer, "0 to 1048575")
        _require(0 <= self.product < 1 << 16, "product", self.product, "0 to 65535")
        major, _, minor = self.firmware.partition(".")
        _require(
            major.isdecimal() and int(major) < 0x80 and minor.isdecimal() and int(minor) < 100,  # noqa: PLR2004 - seven bits and two BCD digits
            "firmware", self.firmware, "major.minor, up to 127.99",
        )  # fmt: skip
        numbers = [sensor.number for sensor in self.sensors if sensor.number]
        _require(len(numbers) == len(set(numbers)), "sensors", sorted(numbers), "each number once")
        _require(len(self.sensors) <= _MOST_SENSORS, "sensors", len(self.sensors), f"at most {_MOST_SENSORS}")
        _require(self.sdr_read_limit > 0, "sdr_read_limit", self.sdr_read_limit, "1 or more")


BridgeStyle = Literal["forwarded", "inline"]


@dataclass(frozen=True, slots=True)
class IpmiSettings:
    """A simulated BMC on RMCP+.

    Args:
        user: Name of the one account, 1..16 octets.
        password: Its password, at most 20 octets.
        suites: Cipher suites offered, best first; 17 and 3 are known.
        kg: BMC key of two-key log-in, 20 octets; empty when the password serves for both.
        privilege_limit: Highest privilege of the account: 2 user, 3 operator, 4 administrator.
        guid: System GUID, 16 octets; empty draws one.
        max_sessions: Sessions that fit, pending log-ins included.
        idle_s: Seconds without a packet after which a session ends (IPMI 2.0 §6.12.15: 60 s).
        latency_s: What each request costs, seconds; a BMC answers one after the other.
        suite_refusal: RMCP+ status that answers a suite not offered; 11h is the standard's, some say 04h.
        bridge_style: How answers of satellites come back: ``forwarded``, an acknowledgement and then the
            satellite's own message, or ``inline``, within the answer to Send Message.
        controller: The BMC's own identity and sensors, and what is behind it.
    """

    user: bytes
    password: bytes = field(repr=False)
    suites: tuple[int, ...] = (17, 3)
    kg: bytes = field(default=b"", repr=False)
    privilege_limit: int = 4
    guid: bytes = b""
    max_sessions: int = 16
    idle_s: float = 60.0
    latency_s: float = 0.0
    suite_refusal: int = 0x11
    bridge_style: BridgeStyle = "forwarded"
    controller: ControllerSettings = ControllerSettings()

    def __post_init__(self) -> None:
        _require(0 < len(self.user) <= _LONGEST_USER, "user", self.user, "1 to 16 octets")
        _require(len(self.password) <= _LONGEST_PASSWORD, "password", "…", "at most 20 octets")
        _require(len(self.kg) in (0, _KG_SIZE), "kg", "…", "20 octets, or none")
        _require(len(self.guid) in (0, _GUID_SIZE), "guid", self.guid.hex(), "16 octets, or none")
        known = bool(self.suites) and all(suite in SUITES for suite in self.suites)
        _require(known, "suites", self.suites, "some of " + ", ".join(map(str, SUITES)))
        _require(self.privilege_limit in range(1, 5), "privilege_limit", self.privilege_limit, "1 to 4")
        _require(self.max_sessions > 0, "max_sessions", self.max_sessions, "1 or more")


def temperature_sensors(count: int) -> tuple[SdrSensor, ...]:
    """Return ``count`` temperature sensors: they pad a repository to the size of a big server's."""
    return tuple(
        SdrSensor(
            f"Temp {index:03d}",
            m=1,
            unit=UNIT_DEGREES_C,
            sensor_type=TYPE_TEMPERATURE,
            entity_id=3,
            entity_instance=1 + index % 0x5F,
            constant=20.0 + index % 40,
        )
        for index in range(count)
    )
