"""What a BMC serves: resources typed in a file, shipped with the simulator, or captured in a folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from energyrecorder.errors import ConfigError
from energyrecorder.settings import Setting, read_table, read_text

LIVE_VALUES = ("power", "average", "minimum", "maximum", "energy", "host", "clock")
"""What a live pointer shows: the sensor's watts; their mean, least and greatest over ``over_s``; joules
counted since the start; ``On`` or ``Off``; the BMC's own time."""

_LIVE = (
    Setting("path", "str", "Path of the resource.", required=True),
    Setting("pointer", "str", "JSON pointer (RFC 6901) to the value in it.", required=True),
    Setting("value", "str", "What stands there.", default="power", choices=LIVE_VALUES),
    Setting("factor", "float", "Factor on the value, such as a PSU's share.", default=1.0),
    Setting("over_s", "duration", "Period of average, minimum and maximum.", default=60.0),
)
_SHIPPED = (
    Setting("about", "table", "Vendor, model, firmware, and where the facts come from."),
    Setting("resources", "table", "Path → body.", required=True),
    Setting("live", "tables", "Live pointers.", default=()),
    Setting("absolute_location", "bool", "Location of a session with scheme and host.", default=False),
)


@dataclass(frozen=True, slots=True)
class LivePointer:
    """A place in a resource at which a live value stands.

    Args:
        path: Path of the resource, without a slash at its end.
        pointer: JSON pointer (RFC 6901).
        value: One of `LIVE_VALUES`.
        factor: Factor on the value.
        over_s: Period of average, minimum and maximum, seconds.
    """

    path: str
    pointer: str
    value: str = "power"
    factor: float = 1.0
    over_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Payload:
    """The resources of one kind of BMC.

    Args:
        bodies: Path (decoded, no slash at its end) → body as it is sent.
        live: Live pointers that the payload brings along.
        absolute_location: Whether the Location of a new session carries scheme and host, as iLO 4 and 5 do.
        trees: Bodies parsed so far, by path; filled by `tree`.
    """

    bodies: Mapping[str, bytes]
    live: tuple[LivePointer, ...] = ()
    absolute_location: bool = False
    trees: dict[str, Any] = field(default_factory=dict)

    def tree(self, path: str) -> Any:
        """Return the parsed body of ``path``, not to be changed; None where there is no JSON."""
        if path not in self.trees:
            try:
                self.trees[path] = json.loads(self.bodies[path])
            except (KeyError, ValueError):
                self.trees[path] = None
        return self.trees[path]


def normal_path(path: str) -> str:
    """Return ``path`` as `Payload.bodies` spells it."""
    return unquote(path).rstrip("/") or "/"


def shipped_names(folder: str = "payloads", suffix: str = ".json") -> list[str]:
    """Return the names of the shipped payloads (or of the traces, ``traces`` and ``.csv``)."""
    entries = resources.files("energyrecorder_bmcsim").joinpath(folder).iterdir()
    return sorted(entry.name.removesuffix(suffix) for entry in entries if entry.name.endswith(suffix))


def load_payload(name: str, *, base: Path, where: str) -> Payload:
    """Return a payload.

    Args:
        name: Name of a shipped one; or a folder in ``redfish/v1/.../index.json`` layout; or a JSON file
            ``{path: body}``, where a body that is a text is sent as it stands.
        base: Folder that relative names start from.
        where: File, table and key, for the message.

    Raises:
        ConfigError: There is no such payload, or it cannot be read.
    """
    if name in shipped_names():
        text = (
            resources.files("energyrecorder_bmcsim").joinpath("payloads", f"{name}.json").read_text("utf-8")
        )
        return _from_json(text, where=f"{where} {name!r}")
    path = (base / name).expanduser()
    if path.is_dir():
        return _from_folder(path, where=where)
    if not path.is_file():
        raise ConfigError(
            f"{where} is {name!r}; allowed: a folder, a .json file, or one of {', '.join(shipped_names())}"
        )
    named = f"{where} {name!r}"
    return _from_json(read_text(path, where=named), where=named)


def _from_folder(folder: Path, *, where: str) -> Payload:
    bodies = {
        normal_path(f"/{file.parent.relative_to(folder).as_posix()}"): file.read_bytes()
        for file in sorted(folder.rglob("index.json"))
    }
    bodies.pop("/.", None)
    if not any(path.startswith(("/redfish/v1", "/rest/v1")) for path in bodies):
        raise ConfigError(
            f"{where} is {str(folder)!r}; allowed: a folder with redfish/v1/index.json or rest/v1/index.json"
        )
    return Payload(bodies)


def _from_json(text: str, *, where: str) -> Payload:
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{where}: not valid JSON: {error}") from None
    if not isinstance(parsed, dict):
        raise ConfigError(f"{where}: must be an object {{path: body}}")
    values: dict[str, Any] = {"resources": parsed, "live": (), "absolute_location": False}
    if "resources" in parsed:
        values = read_table(parsed, _SHIPPED, where=where)
    odd = next((path for path in values["resources"] if not path.startswith("/")), None)
    if odd is not None:
        raise ConfigError(f"{where}: key {odd!r}; allowed: paths, such as '/redfish/v1/Chassis/1/Power'")
    bodies = {normal_path(path): _body(body) for path, body in values["resources"].items()}
    payload = Payload(bodies, absolute_location=values["absolute_location"])
    live = tuple(read_live(table, payload, where=f"{where}: live") for table in values["live"])
    return Payload(bodies, live, values["absolute_location"], payload.trees)


def _body(body: object) -> bytes:
    return body.encode() if isinstance(body, str) else json.dumps(body, separators=(",", ":")).encode()


def read_live(raw: object, payload: Payload, *, where: str) -> LivePointer:
    """Return the live pointer that a table describes.

    Raises:
        ConfigError: The table is wrong, or the payload has no such place.
    """
    values = read_table(raw, _LIVE, where=where)
    path, pointer = normal_path(values["path"]), values["pointer"]
    tree = payload.tree(path)
    if tree is None:
        raise ConfigError(
            f"{where}: key 'path' is {values['path']!r}; allowed: a JSON resource of the payload"
        )
    try:
        resolve_pointer(tree, pointer)
    except LookupError:
        raise ConfigError(
            f"{where}: key 'pointer' is {pointer!r}; allowed: a JSON pointer to a value of {path}, "
            "such as '/PowerControl/0/PowerConsumedWatts'"
        ) from None
    return LivePointer(path, pointer, values["value"], values["factor"], values["over_s"])


def resolve_pointer(tree: Any, pointer: str) -> tuple[Any, str | int]:
    """Return the container in ``tree`` that holds the value, and the value's key or index in it.

    Raises:
        LookupError: There is no such place.
    """
    if not pointer.startswith("/"):
        raise LookupError(pointer)
    container: Any = None
    key: str | int = ""
    value = tree
    for token in pointer[1:].split("/"):
        container, key = value, token.replace("~1", "/").replace("~0", "~")
        match container:
            case list() if key.isdecimal():
                key = int(key)
            case dict():
                pass
            case _:
                raise LookupError(pointer)
        value = container[key]
    return container, key
