"""Reading of the ``power`` table: trace, constant, formula, steps or CSV file."""

from __future__ import annotations

import csv
import itertools
import math
import statistics
from importlib import resources
from pathlib import Path
from typing import Any

from energyrecorder.errors import ConfigError
from energyrecorder.settings import Setting, read_table, read_text
from energyrecorder_bmcsim.formula import parse_formula
from energyrecorder_bmcsim.payload import shipped_names
from energyrecorder_bmcsim.power import Adjusted, Constant, Looped, PowerSeries, Sampled, Steps

_CELL_S = 0.1
"""Real seconds for which a formula holds one value: shorter than any sensor's refresh."""

_SPEED = Setting(
    "speed", "float", "Its seconds per simulated second.", default=1.0, minimum=1e-6, maximum=1e6
)
_STEPS_ALLOWED = "pairs [t_s, watts] with rising times and watts of at least 0, such as [[0, 200], [60, 400]]"


def _check_steps(pairs: list[Any]) -> list[tuple[float, float]]:
    for pair in pairs:
        numbers = isinstance(pair, list) and all(type(item) in (int, float) for item in pair)
        if not numbers or len(pair) != len(("t_s", "watts")) or not math.isfinite(sum(pair)) or pair[1] < 0:
            raise ValueError(_STEPS_ALLOWED)
    if not pairs or any(left[0] >= right[0] for left, right in itertools.pairwise(pairs)):
        raise ValueError(_STEPS_ALLOWED)
    return [(float(t_s), float(power_w)) for t_s, power_w in pairs]


_FORMS = (
    Setting("trace", "str", "Name of a shipped trace; it starts again at its end."),
    Setting("constant_w", "float", "The same watts for ever.", minimum=0),
    Setting("formula", "str", "Watts as a formula of t, simulated seconds.", check=parse_formula),
    Setting("steps", "list", "Pairs [t_s, watts]; the last one stays.", check=_check_steps),
    Setting("csv", "str", "File with the columns t_s and avg_w; it starts again at its end."),
)
_ADJUSTMENTS = (
    Setting("scale", "float", "Factor on the watts.", default=1.0, minimum=0),
    Setting("offset_s", "float", "Where it begins, in its own seconds.", default=0.0),
    _SPEED,
)


def read_power(raw: object, *, base: Path, where: str, speed: float) -> PowerSeries:
    """Return the power that a ``power`` table describes.

    Args:
        raw: The table.
        base: Folder that relative file names start from.
        where: File and table, for the message.
        speed: Simulated seconds per real second.

    Raises:
        ConfigError: Something in it is not allowed.
    """
    values = read_table(raw, [*_FORMS, *_ADJUSTMENTS], where=where)
    given = [setting.name for setting in _FORMS if values[setting.name] is not None]
    if len(given) != 1:
        found = " and ".join(given) or "none"
        names = ", ".join(setting.name for setting in _FORMS)
        raise ConfigError(f"{where}: exactly one of the keys {names} is needed, not {found}")
    series = _series(given[0], values, base=base, where=where, cell_s=_CELL_S * speed * values["speed"])
    return Adjusted(series, values["scale"], values["offset_s"], values["speed"])


def _series(form: str, values: dict[str, Any], *, base: Path, where: str, cell_s: float) -> PowerSeries:
    match form:
        case "constant_w":
            return Constant(values["constant_w"])
        case "formula":
            return Sampled(values["formula"], cell_s)
        case "steps":
            return Steps(*zip(*values["steps"], strict=True))
        case "trace":
            return _shipped_trace(values["trace"], where=where)
    named = f"{where}: key 'csv' is {values['csv']!r}"
    text = read_text((base / values["csv"]).expanduser(), where=named)
    try:
        return parse_csv(text)
    except ValueError as error:
        raise ConfigError(f"{named}: {error}") from None


def _shipped_trace(name: str, *, where: str) -> PowerSeries:
    names = shipped_names("traces", ".csv")
    if name not in names:
        raise ConfigError(f"{where}: key 'trace' is {name!r}; allowed: {', '.join(names)}")
    text = resources.files("energyrecorder_bmcsim").joinpath("traces", f"{name}.csv").read_text("utf-8")
    return parse_csv(text)


def parse_csv(text: str) -> Looped:
    """Return the series of a CSV text.

    Args:
        text: Columns ``t_s`` (rising, seconds) and ``avg_w`` (watts), others ignored; ``#`` begins a
            comment. A value holds until the next one, the last as long as the median of the others.

    Raises:
        ValueError: It is not such a text.
    """
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    try:
        rows = [(float(row["t_s"]), float(row["avg_w"])) for row in csv.DictReader(lines)]
    except (KeyError, TypeError, ValueError):
        raise ValueError("allowed: a CSV file with numbers in the columns t_s and avg_w") from None
    widths_s = [right[0] - left[0] for left, right in itertools.pairwise(rows)]
    if not widths_s or min(widths_s) <= 0 or any(not 0 <= power_w < math.inf for _t_s, power_w in rows):
        raise ValueError("allowed: two or more rows, t_s rising, avg_w at least 0")
    times_s = [t_s - rows[0][0] for t_s, _power_w in rows]
    return Looped(times_s, [power_w for _t_s, power_w in rows], times_s[-1] + statistics.median(widths_s))
