"""Checked reading of TOML tables: every mistake is one line naming file, table, key and what is allowed.

A command describes each of its tables once as a tuple of `Setting`; reading, defaults, checks and the
generated documentation all follow from that description.
"""

from __future__ import annotations

import difflib
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Iterable, Mapping, Optional, Sequence

from energyrecorder.errors import ConfigError

Kind = str
"""One of ``str``, ``int``, ``float`` (an integer is accepted), ``bool``, ``list[str]``,
``list`` (of anything), ``table`` (any keys), ``tables`` (a list of tables), ``duration``."""

_KIND_NAMES = {
    "str": "a text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "list[str]": "a list of texts",
    "list": "a list",
    "table": "a table",
    "tables": "a list of tables",
    "duration": "a duration such as '500ms', '10s', '5m', '2h' or '90d'",
}
_UNITS_S = {"ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>ms|s|m|h|d)")


@dataclass(frozen=True)
class Setting:
    """One key of one table.

    Args:
        name: The key.
        kind: See `Kind`; a ``duration`` is read into seconds (float).
        help: One sentence for the documentation.
        default: Value when the key is absent; ignored if ``required``.
        required: Absent is an error.
        choices: The values allowed; empty means any.
        minimum: Least number (or seconds) allowed; None means no bound.
        maximum: Greatest number (or seconds) allowed; None means no bound.
        check: Further check and conversion of the value; raises ``ValueError`` saying what is allowed.
    """

    name: str
    kind: Kind
    help: str = ""
    default: Any = None
    required: bool = False
    choices: Sequence[Any] = ()
    minimum: Optional[float] = None
    maximum: Optional[float] = None
    check: Optional[Callable[[Any], Any]] = None


def read_text(path: Path, *, where: Optional[str] = None) -> str:
    """Return the text of a UTF-8 file, without a byte order mark.

    Args:
        path: The file.
        where: What names it in a message; None means its path.

    Raises:
        ConfigError: It cannot be read.
    """
    named = str(path) if where is None else where
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{named}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{named}: not UTF-8 at byte {error.start}") from None


def load_toml(path: Path) -> Mapping[str, Any]:
    """Return the parsed file.

    Raises:
        ConfigError: The file cannot be read or is not TOML (with line and column), or this Python has
            no ``tomllib`` (before 3.11).
    """
    try:
        import tomllib  # novermin  # only commands that read files need it
    except ModuleNotFoundError:
        raise ConfigError(
            f"{path}: reading TOML needs Python 3.11 or newer; use environment variables"
        ) from None
    text = read_text(path)
    try:
        parsed: Mapping[str, Any] = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # also a number too long, and what is nested too deeply
        raise ConfigError(f"{path}: not valid TOML: {error}") from None
    return parsed


def parse_duration(text: object) -> float:
    """Return the seconds that ``text`` (``"10s"``, ``"500ms"``, ``"90d"``) stands for.

    Raises:
        ValueError: It is not a positive number with a unit.
    """
    match = _DURATION.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None:
        raise ValueError(_KIND_NAMES["duration"])
    return _finite(match["number"]) * _UNITS_S[match["unit"]]


def read_table(raw: object, settings: Sequence[Setting], *, where: str) -> dict[str, Any]:
    """Return the values of one table, defaults filled in.

    Args:
        raw: The parsed table.
        settings: What the table may hold.
        where: File and table, such as ``fleet.toml: [[server]] 'old-1'``.

    Raises:
        ConfigError: An unknown key, a wrong type, a value outside what is allowed, or a missing key.
    """
    if not isinstance(raw, Mapping):
        raise ConfigError(f"{where}: must be a table, not {raw!r}")
    known = {setting.name: setting for setting in settings}
    for key in raw:
        if key not in known:
            close = nearest(str(key), known)
            hint = "" if close is None else f" (did you mean {close!r}?)"
            raise ConfigError(f"{where}: unknown key {key!r}{hint}; allowed: {', '.join(known)}")
    return {name: _read_key(raw, setting, where=where) for name, setting in known.items()}


def _read_key(raw: Mapping[str, Any], setting: Setting, *, where: str) -> Any:
    if setting.name not in raw:
        if setting.required:
            raise ConfigError(f"{where}: missing key {setting.name!r}: {_allowed(setting)}")
        return setting.default
    return read_value(raw[setting.name], setting, where=where)


def read_value(value: Any, setting: Setting, *, where: str) -> Any:
    """Return ``value`` checked against ``setting`` and converted (durations to seconds).

    Raises:
        ConfigError: It is not what the setting allows.
    """
    shown = f"{where}: key {setting.name!r}"
    try:
        converted = _convert(value, setting.kind)
    except ValueError:
        raise ConfigError(f"{shown} is {value!r}; allowed: {_allowed_instead(value, setting)}") from None
    if setting.choices and converted not in setting.choices:
        raise ConfigError(f"{shown} is {value!r}; allowed: {_allowed(setting)}")
    too_small = setting.minimum is not None and converted < setting.minimum
    if too_small or (setting.maximum is not None and converted > setting.maximum):
        raise ConfigError(f"{shown} is {value!r}; allowed: {_allowed(setting)}")
    if setting.check is None:
        return converted
    try:
        return setting.check(converted)
    except ValueError as error:
        raise ConfigError(f"{shown} is {value!r}; allowed: {error}") from None


def _convert(value: Any, kind: Kind) -> Any:
    if kind == "duration":
        return parse_duration(value)
    if kind == "float" and isinstance(value, (int, float)) and not isinstance(value, bool):
        return _finite(value)
    if kind == "list[str]" and isinstance(value, list) and all(isinstance(item, str) for item in value):
        return list(value)
    if kind == "tables" and isinstance(value, list) and all(isinstance(item, Mapping) for item in value):
        return list(value)
    plain = {"str": str, "int": int, "bool": bool, "list": list, "table": Mapping}.get(kind)
    if plain is None or not isinstance(value, plain) or (kind == "int" and isinstance(value, bool)):
        raise ValueError(kind)
    return value


def _finite(value: Any) -> float:
    """Return a number; TOML has ``nan`` and ``inf``, which would pass every bound or break later arithmetic.

    Raises:
        ValueError: It is none, or too large.
    """
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError("a finite number")
    return number


def _allowed_instead(value: Any, setting: Setting) -> str:
    """Return what is allowed instead of a value of a wrong type; the check of a text knows it best."""
    if setting.kind == "str" and setting.check is not None:
        try:
            setting.check(str(value))
        except ValueError as error:
            return str(error)
    return _allowed(setting)


def _allowed(setting: Setting) -> str:
    if setting.choices:
        return ", ".join(repr(choice) for choice in setting.choices)
    text = _KIND_NAMES[setting.kind]
    if setting.kind == "str" and setting.default:
        text = f"{text} such as {setting.default!r}"
    unit = " s" if setting.kind == "duration" else ""
    if setting.minimum is not None and setting.maximum is not None:
        return f"{text} from {setting.minimum:g} to {setting.maximum:g}{unit}"
    if setting.minimum is not None:
        return f"{text} of at least {setting.minimum:g}{unit}"
    if setting.maximum is not None:
        return f"{text} of at most {setting.maximum:g}{unit}"
    return text


def nearest(name: str, known: Iterable[str]) -> Optional[str]:
    """Return the known name that a mistyped one is most like; None when none is."""
    return next(iter(difflib.get_close_matches(name, list(known), n=1)), None)
