"""Reads the files of ``energy-annotator integrate`` and words its answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from line_protocol_parser import LineFormatError, parse_line

from energyrecorder import figures
from energyrecorder.errors import ConfigError
from energyrecorder.settings import read_text
from energyrecorder_analysis.integrate import integrate, parse_steps_json
from energyrecorder_analysis.power_input import EnvRow, parse_power_csv, rows_from_line_protocol
from energyrecorder_analysis.report import words


def integrate_files(power_file: str, steps_file: str, *, window_s: float | None, as_table: bool) -> str:
    """Return the energy of each step as JSON or as a table.

    Args:
        power_file: Readings in line protocol (``.lp``) or CSV (anything else).
        steps_file: Steps as JSON.
        window_s: Averaging window of readings that state none; None leaves it unknown.
        as_table: For people rather than programs.

    Raises:
        ConfigError: A file cannot be read or holds something else; file, line and key are named.
    """
    steps = parse_steps_json(read_text(Path(steps_file)), name=steps_file)
    answer = integrate(_power_rows(power_file), steps, window_s)
    if as_table:
        return _table(answer["steps"])
    return json.dumps(answer, ensure_ascii=False, indent=2) + "\n"


def _power_rows(path: str) -> list[EnvRow]:
    text = read_text(Path(path))
    if path.endswith(".lp"):
        return rows_from_line_protocol(_points(text, path), name=path)
    return parse_power_csv(text, name=path)


def _points(text: str, name: str) -> list[tuple[int, dict[str, Any]]]:
    points = []
    # Only \n ends a line: str.splitlines would also split at \x85 or \u2028 inside a tag.
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            point = parse_line(line.rstrip("\r"))
        except (LineFormatError, ValueError, OverflowError) as error:
            raise ConfigError(f"{name}: line {number}: not line protocol: {error}") from None
        if point is not None:
            points.append((number, point))
    return points


def _table(steps: list[dict[str, Any]]) -> str:
    rows = []
    for step in steps:
        result = step["energy_j"], step["u95_j"], step["quality"]
        rows.append(
            (
                words.shorten(step["env"]),
                words.shorten(step["scenario"]),
                words.shorten(step["step"] or ""),
                figures.duration(step["duration_s"]),
                words.energy(*result),
                words.joules(*result),
                step["quality"],
                str(len(step["servers"])),
                step["reason"],
            )
        )
    header = ("env", "scenario", "step", "duration", "energy", "in J", "quality", "servers", "reason")
    return figures.table(header, rows) + "\n"
