"""The resources of one BMC: bytes as captured, with live values laid over some of them."""

from __future__ import annotations

import copy
import datetime as dt
import json
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from energyrecorder_bmcsim.live import LiveBmc, View
from energyrecorder_bmcsim.payload import LivePointer, Payload, resolve_pointer
from energyrecorder_bmcsim.power import NS_PER_S
from energyrecorder_bmcsim.sensor import quantised


class Renderable(Protocol):
    """A resource whose body changes."""

    def render(self, view: View) -> bytes:
        """Return the body for what the BMC goes by now."""


def bmc_time(clock_ns: int) -> str:
    """Return a BMC's clock as BMCs write it: UTC, whole seconds, ``Z``."""
    return dt.datetime.fromtimestamp(clock_ns // NS_PER_S, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class LiveResource:
    """A captured resource with live values; rendered anew only when one of them can have changed.

    Args:
        tree: The captured body; a copy of it is kept.
        pointers: Places of live values in it.
        live: Where the values come from.
    """

    def __init__(self, tree: Any, pointers: Iterable[LivePointer], live: LiveBmc) -> None:
        self._tree = copy.deepcopy(tree)
        self._live = live
        self._places = [(*resolve_pointer(self._tree, pointer.pointer), pointer) for pointer in pointers]
        self._shows_clock = any(pointer.value == "clock" for *_, pointer in self._places)
        self._key: tuple[object, ...] = ()
        self._body = b""

    def render(self, view: View) -> bytes:
        """Return the body for what the BMC goes by now."""
        clock_s = view.clock_ns // NS_PER_S if self._shows_clock else 0
        key = (self._live.sensor.published_ns(view.read_ns), view.host_on, view.masked, clock_s)
        if key != self._key:
            for container, at, pointer in self._places:
                container[at] = self._value(pointer, view)
            self._body = json.dumps(self._tree, separators=(",", ":")).encode()
            self._key = key
        return self._body

    def _value(self, pointer: LivePointer, view: View) -> object:
        if pointer.value == "host":
            return "On" if view.host_on else "Off"
        if pointer.value == "clock":
            return bmc_time(view.clock_ns)
        if pointer.value == "energy":
            return round(pointer.factor * self._live.energy_j(view.read_ns), 3)
        if view.masked:
            return None if view.masked == "null" else 0
        power_w = quantised(pointer.factor * self._watts(pointer, view), self._live.sensor.model.quantum_w)
        rounded = round(power_w, 6)
        return int(rounded) if rounded.is_integer() else rounded

    def _watts(self, pointer: LivePointer, view: View) -> float:
        match pointer.value:
            case "average":
                return self._live.mean_w(view.read_ns, pointer.over_s)
            case "minimum":
                return self._live.extremes_w(view.read_ns, pointer.over_s)[0]
            case "maximum":
                return self._live.extremes_w(view.read_ns, pointer.over_s)[1]
        return self._live.watts(view.read_ns)


def host_pointers(payload: Payload) -> list[LivePointer]:
    """Return a pointer for each PowerState of a system or chassis that the payload captured as on."""
    return [
        LivePointer(path, "/PowerState", "host")
        for path in payload.bodies
        if ("/Systems/" in path or "/Chassis/" in path)
        and b'"PowerState"' in payload.bodies[path]
        and isinstance(payload.tree(path), dict)
        and payload.tree(path).get("PowerState") == "On"
    ]


class Resources:
    """What one BMC serves.

    Args:
        payload: What was captured.
        live: Path → resource whose body changes.
    """

    def __init__(self, payload: Payload, live: Mapping[str, Renderable]) -> None:
        self.payload = payload
        self._live = live

    def spelled(self, path: str) -> str:
        """Return the path of the resource that ``path`` names but for upper and lower case."""
        lower = path.lower()
        return next((known for known in self.payload.bodies if known.lower() == lower), path)

    def body(self, path: str, view: View | None) -> bytes | None:
        """Return the body of ``path`` (as `Payload.bodies` spells it); None if there is no such resource.

        Args:
            path: Path of the resource.
            view: What the BMC goes by; None for a BMC that only serves what was captured.
        """
        renderable = self._live.get(path) if view is not None else None
        if renderable is not None and view is not None:
            return renderable.render(view)
        return self.payload.bodies.get(path)


def live_resources(payload: Payload, pointers: Iterable[LivePointer], live: LiveBmc) -> dict[str, Renderable]:
    """Return the resources with live values, by path."""
    by_path: dict[str, list[LivePointer]] = {}
    for pointer in [*host_pointers(payload), *pointers]:
        by_path.setdefault(pointer.path, []).append(pointer)
    return {path: LiveResource(payload.tree(path), group, live) for path, group in by_path.items()}
