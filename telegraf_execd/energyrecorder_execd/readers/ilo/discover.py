"""Finds the power meter of an iLO, by its links where it gives them, else at the paths of its firmwares."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, replace
from typing import Any

from energyrecorder.errors import BmcAuthError, BmcDataError, BmcError
from energyrecorder_execd import quirks
from energyrecorder_execd.http import Answer, BmcHttp, HttpStatusError
from energyrecorder_execd.readers.base import ServerInfo, WebPageError
from energyrecorder_execd.readers.fast_meter import RECORD_S, fast_meter_link, has_records
from energyrecorder_execd.readers.json_values import (
    Json,
    lenient_watts,
    link,
    members,
    sub_object,
    targets,
    text,
)
from energyrecorder_execd.readers.supplies import capacity_w

ROOTS = ("/redfish/v1/", "/rest/v1")
"""iLO 5 and 6, and iLO 4 from 2.3 on; iLO 4 with its own REST only."""

# Firmware 2.1 of iLO 4 and firmware 2.4; iLO 5 and 6 link to the second one.
_METERS = ("PowerMetrics/FastPowerMeter", "Power/FastPowerMeter")

DESCRIPTION_LIMIT_S = 3.0
"""Longest wait for what only describes the server, beyond what as many answers of the meter would take."""

_DESCRIPTION_REQUESTS = 4

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Meter:
    """Where things stand on one iLO.

    Args:
        path: Of the meter.
        answer: What it held when it was found.
        system: Path of the resource with the host's power state; None if there is none.
        manager: Path of the resource with the iLO's clock; None if there is none.
        info: What is known of the server.
        whole: Nothing failed of what was asked for besides the meter.
    """

    path: str
    answer: Answer
    system: str | None
    manager: str | None
    info: ServerInfo
    whole: bool = True


async def find_meter(http: BmcHttp) -> Meter:
    """Return where the meter is.

    Raises:
        BmcError: The iLO cannot be reached, refuses the log-in, or has no meter (reason ``unsupported``).
    """
    nothing: BmcError = BmcError("no FastPowerMeter at any chassis", reason="unsupported")
    for root_path in ROOTS:
        try:
            root = await _get(http, root_path, anonymous=True)
        except WebPageError as error:
            nothing = error
            continue
        if root is None:
            continue
        body = root.document
        http.offer_sessions(_link(body, "Sessions"))
        for chassis in await _members(http, _link(body, "Chassis")):
            found = await _meter_of(http, chassis)
            if found is None:
                continue
            meter, power, housing = found
            described = await _described(http, body, meter.latency_s)
            systems, managers, info = described or ([], [], ServerInfo())
            supplies = _supplies(power)
            alone = described is not None and _feeds_one(housing, info)
            rated_w = capacity_w(supplies) if alone else None
            return Meter(
                path=meter.path,
                answer=meter,
                system=systems[0] if systems else None,
                manager=managers[0] if managers else None,
                info=replace(
                    info,
                    refresh_s=RECORD_S,
                    refresh_from="vendor",
                    window_s=RECORD_S,
                    power_cap_w=_limit_w(power),
                    psu_count=len(supplies) or None,
                    psu_capacity_w=rated_w,
                ),
                whole=described is not None,
            )
    raise nothing


async def _described(
    http: BmcHttp, root: Json, latency_s: float
) -> tuple[list[str], list[str], ServerInfo] | None:
    """Return systems, managers and what they tell; None if one of them fails or hangs, as the meter does not.

    Raises:
        BmcAuthError: The log-in was refused.
    """
    try:
        async with asyncio.timeout(DESCRIPTION_LIMIT_S + _DESCRIPTION_REQUESTS * latency_s):
            systems = await _members(http, _link(root, "Systems"))
            managers = await _members(http, _link(root, "Managers"))
            return systems, managers, await _server_info(http, root, systems, managers)
    except BmcAuthError:
        raise
    except (BmcError, TimeoutError) as error:
        _log.debug("what describes the server was not read: %r", error)
        return None


async def _get(http: BmcHttp, path: str | None, *, anonymous: bool = False) -> Answer | None:
    """Return the object at ``path``; None if there is none."""
    if path is None:
        return None
    try:
        answer = await http.get(path, anonymous=anonymous)
    except HttpStatusError as error:
        if error.absent:
            return None
        raise
    if not isinstance(answer.document, dict):
        raise BmcDataError(f"{path}: the document is no object", reason="data")
    return answer


def _link(body: Json, key: str) -> str | None:
    """Return a link of Redfish (``Chassis``, ``Links.Sessions``) or of iLO 4's REST (``links.Chassis``)."""
    return link(body, key) or link(sub_object(body, "links"), key) or link(sub_object(body, "Links"), key)


async def _members(http: BmcHttp, path: str | None) -> list[str]:
    answer = await _get(http, path)
    if answer is None:
        return []
    body = answer.document
    return targets(body.get("Members")) or targets(sub_object(body, "links").get("Member"))


async def _meter_of(http: BmcHttp, chassis: str) -> tuple[Answer, Json, Json] | None:
    """Return the meter of a chassis, its Power resource and itself; None if it has no meter."""
    answer = await _get(http, chassis)
    if answer is None:
        return None
    body = answer.document
    power = await _get(http, link(body, "Power") or link(sub_object(body, "links"), "PowerMetrics", "Power"))
    shown: Json = power.document if power is not None else {}
    linked = fast_meter_link(shown)
    guesses = [f"{chassis.rstrip('/')}/{tail}" for tail in _METERS]
    for path in dict.fromkeys(filter(None, (linked, *guesses))):
        meter = await _get(http, path)
        if meter is not None and has_records(meter.document):
            return meter, shown, body
    return None


def _limit_w(power: Json) -> float | None:
    """Return the power cap; None unknown, or none."""
    control = next(iter(members(power.get("PowerControl"))), {})
    cap_w = lenient_watts(sub_object(control, "PowerLimit"), "LimitInWatts")
    return cap_w or None


def _supplies(power: Json) -> list[Json]:
    """Return the supplies that are there."""
    listed = members(power.get("PowerSupplies"))
    return [one for one in listed if text(sub_object(one, "Status"), "State") != "Absent"]


def _feeds_one(chassis: Json, info: ServerInfo) -> bool:
    """Whether the supplies that a chassis lists are those of one computer, not of an enclosure around it."""
    links = sub_object(chassis, "Links") or sub_object(chassis, "links")
    kind = (text(chassis, "ChassisType") or "").lower()
    shared = quirks.effects(info.vendor, info.model, info.bmc_fw).supplies_are_shared
    housed = kind in quirks.FED_CHASSIS | quirks.ENCLOSURE_CHASSIS or targets(links.get("ContainedBy"))
    return not shared and not housed


async def _server_info(http: BmcHttp, root: Json, systems: list[str], managers: list[str]) -> ServerInfo:
    system = await _get(http, systems[0]) if systems else None
    manager = await _get(http, managers[0]) if managers else None
    body: Json = system.document if system is not None else {}
    firmware = text(manager.document, "FirmwareVersion") if manager is not None else _root_firmware(root)
    return ServerInfo(
        vendor=text(body, "Manufacturer"),
        model=text(body, "Model"),
        bmc_fw=firmware,
        bios=text(body, "BiosVersion"),
    )


def _root_firmware(root: Json) -> str | None:
    """Return what the root of iLO 4's own REST says: ``Oem.Hp.Manager[0]``."""
    managers: Any = sub_object(sub_object(root, "Oem"), "Hp").get("Manager")
    if isinstance(managers, list) and managers and isinstance(managers[0], dict):
        kind, version = text(managers[0], "ManagerType"), text(managers[0], "ManagerFirmwareVersion")
        return " ".join(part for part in (kind, version) if part) or None
    return None
