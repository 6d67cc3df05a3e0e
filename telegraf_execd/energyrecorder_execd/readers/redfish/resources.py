"""What the reader keeps of chassis, systems and collections (pure)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from energyrecorder_execd import quirks
from energyrecorder_execd.readers.host_state import told_state
from energyrecorder_execd.readers.json_values import (
    Json,
    as_object,
    link,
    members,
    sub_object,
    target,
    targets,
    text,
)

_ABSENT = frozenset({"absent", "unavailableoffline"})


def same_key(path: str) -> str:
    """Return what two spellings of one path have in common.

    An HPE c7000 blade lists ``enclosurechassis`` and ``EnclosureChassis``; iLO 5 adds a slash to each path.
    """
    return path.rstrip("/").lower()


def last_part(path: str) -> str:
    """Return the id that a path ends with."""
    return path.rstrip("/").rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class Collection:
    """A collection, or one page of it.

    Args:
        paths: Of the members, in order, each once.
        bodies: Members that came with their whole body (Delta shelf: expanded without being asked).
        next_page: Path of the next page; None at the end.
    """

    paths: tuple[str, ...]
    bodies: tuple[Json, ...]
    next_page: str | None


def parse_collection(document: Any, resource: str) -> Collection:
    """Return the members of a collection: ``Members``, or ``links.Member`` of iLO 4's own REST.

    Raises:
        BmcDataError: The document is no object.
    """
    body = as_object(document, resource)
    items = body.get("Members")
    if items is None:
        items = sub_object(body, "links").get("Member")
    paths: dict[str, str] = {}
    for path in targets(items):
        paths.setdefault(same_key(path), path)
    bodies = tuple(item for item in members(items) if len(item) > 1)
    return Collection(tuple(paths.values()), bodies, link(body, "Members@odata.nextLink", "@odata.nextLink"))


@dataclass(frozen=True, slots=True)
class Chassis:
    """One chassis and the resources that may hold its power.

    Args:
        path: As listed.
        chassis_id: Its id.
        name: Its name.
        kind: ChassisType in lower case.
        state: Power state: ``on``, ``off``, ``unknown``.
        contained_by: Paths (as `same_key`) of the chassis around it.
        systems: Paths (as `same_key`) of the computers in it.
        power: Path of Power; likewise ``environment``, ``sensors``, ``power_subsystem``, ``thermal``,
            ``thermal_subsystem``. None: it has none.
        vendor: Manufacturer; likewise ``model``.
    """

    path: str
    chassis_id: str = ""
    name: str = ""
    kind: str = ""
    state: str = "unknown"
    contained_by: tuple[str, ...] = ()
    systems: tuple[str, ...] = ()
    power: str | None = None
    environment: str | None = None
    sensors: str | None = None
    power_subsystem: str | None = None
    thermal: str | None = None
    thermal_subsystem: str | None = None
    vendor: str | None = None
    model: str | None = None

    @property
    def is_component(self) -> bool:
        """Whether this is a part of a computer rather than one."""
        return self.kind in quirks.COMPONENT_CHASSIS

    @property
    def is_enclosure(self) -> bool:
        """Whether several computers may share this."""
        return self.kind in quirks.ENCLOSURE_CHASSIS

    @property
    def is_fed(self) -> bool:
        """Whether the supplies it lists belong to the enclosure around it."""
        return self.kind in quirks.FED_CHASSIS


def parse_chassis(document: Any, path: str) -> Chassis:
    """Return the chassis in ``document``.

    Raises:
        BmcDataError: The document is no object.
    """
    body = as_object(document, path)
    links = sub_object(body, "Links") or sub_object(body, "links")
    return Chassis(
        path=path,
        chassis_id=text(body, "Id") or last_part(path),
        name=text(body, "Name") or "",
        kind=(text(body, "ChassisType") or "").lower(),
        state=told_state(body) or "unknown",
        contained_by=tuple(same_key(p) for p in targets(links.get("ContainedBy"))),
        systems=tuple(same_key(p) for p in targets(links.get("ComputerSystems"))),
        power=link(body, "Power") or link(links, "Power", "PowerMetrics"),
        environment=link(body, "EnvironmentMetrics"),
        sensors=link(body, "Sensors"),
        power_subsystem=link(body, "PowerSubsystem"),
        thermal=link(body, "Thermal") or link(links, "Thermal", "ThermalMetrics"),
        thermal_subsystem=link(body, "ThermalSubsystem"),
        vendor=text(body, "Manufacturer"),
        model=text(body, "Model"),
    )


@dataclass(frozen=True, slots=True)
class System:
    """One computer.

    Args:
        path: As listed.
        system_id: Its id.
        state: Power state: ``on``, ``off``, ``unknown``.
        tells_state: Whether it has a power state at all.
        chassis: Paths (as `same_key`) of the chassis it is in.
        vendor: Manufacturer; likewise ``model`` and ``bios``.
    """

    path: str
    system_id: str = ""
    state: str = "unknown"
    tells_state: bool = False
    chassis: tuple[str, ...] = ()
    vendor: str | None = None
    model: str | None = None
    bios: str | None = None


def parse_system(document: Any, path: str) -> System:
    """Return the computer in ``document``.

    Raises:
        BmcDataError: The document is no object.
    """
    body = as_object(document, path)
    links = sub_object(body, "Links") or sub_object(body, "links")
    state = told_state(body)
    return System(
        path=path,
        system_id=text(body, "Id") or last_part(path),
        state=state or "unknown",
        tells_state=state is not None,
        chassis=tuple(same_key(p) for p in targets(links.get("Chassis"))),
        vendor=text(body, "Manufacturer"),
        model=text(body, "Model"),
        bios=text(body, "BiosVersion"),
    )


def is_absent(item: Json) -> bool:
    """Whether the status says that the thing is not there."""
    return (text(sub_object(item, "Status"), "State") or "").lower() in _ABSENT


def parse_firmware(document: Any) -> str | None:
    """Return the firmware version of a manager; None if it does not say."""
    return text(document, "FirmwareVersion") if isinstance(document, dict) else None


def data_source(value: Any) -> str | None:
    """Return the path of the sensor that a reading was copied from; None if it does not say."""
    return target(value.get("DataSourceUri")) if isinstance(value, dict) else None
