"""Readings from files: CSV and line protocol that is parsed already, into rows per environment and server."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from energyrecorder.errors import ConfigError
from energyrecorder.schema import CLOCKS, SERVER_BMC, SERVER_POWER
from energyrecorder_analysis.series import PowerRow
from energyrecorder_analysis.timestamp import FileTimes

CSV_REQUIRED = ("time", "env", "server", "watts")
CSV_OPTIONAL = ("window_s", "clock")


class EnvRow(NamedTuple):
    """One reading and whose it is.

    Args:
        env: Environment of the server.
        server: Server id.
        row: The reading; without watts it only says that the server is expected.
    """

    env: str
    server: str
    row: PowerRow


def parse_power_csv(text: str, *, name: str) -> list[EnvRow]:
    """Return the readings of a CSV file with the header ``time,env,server,watts[,window_s][,clock]``.

    Args:
        text: Content; ``time`` is ISO 8601 with a zone, or nanoseconds; an empty ``watts`` is a missing
            reading; without ``clock`` it is ``poll``.
        name: Name of the file, for messages.

    Raises:
        ConfigError: A column is missing or unknown, a line has too many or too few cells, or a cell holds
            something else; the message names file, line, column and what is allowed.
    """
    lines = csv.reader(io.StringIO(text.removeprefix("\ufeff")), strict=True)
    header: list[str] | None = None
    times = FileTimes()
    rows = []
    try:
        for cells in lines:
            if not any(cell.strip() for cell in cells):
                continue
            if header is None:
                header = _header(cells, name)
                continue
            rows.append(_csv_row(header, cells, times, f"{name}: line {lines.line_num}"))
    except csv.Error as error:
        raise ConfigError(f"{name}: line {lines.line_num}: not CSV: {error}") from None
    if header is None:
        raise ConfigError(f"{name}: empty; allowed: the header {','.join(CSV_REQUIRED)} and readings below")
    times.check()
    return rows


def rows_from_line_protocol(points: Iterable[tuple[int, Mapping[str, Any]]], *, name: str) -> list[EnvRow]:
    """Return the readings among parsed points of line protocol.

    Totals of servers count (``scope=server`` without ``part``); a point of ``server_bmc`` says that its
    server is expected, so that one without any reading is noticed. Other points are none of our business.

    Args:
        points: Line of the file, and ``{"measurement", "tags", "fields", "time"}`` as line-protocol-parser
            gives them.
        name: Name of the file, for messages.

    Raises:
        ConfigError: A point without time stamp, env or server, a field of a wrong type, or time stamps that
            are no nanoseconds.
    """
    times = FileTimes()
    rows = []
    for line, point in points:
        measurement = point.get("measurement")
        if measurement not in (SERVER_POWER, SERVER_BMC):
            continue
        tags = point.get("tags") or {}
        if measurement == SERVER_POWER and (tags.get("scope", "server") != "server" or tags.get("part")):
            continue
        where = f"{name}: line {line} ({measurement})"
        time_ns = point.get("time")
        if not isinstance(time_ns, int) or not tags.get("env") or not tags.get("server"):
            raise ConfigError(f"{where}: needs the tags 'env' and 'server' and a time stamp")
        fields = (point.get("fields") or {}) if measurement == SERVER_POWER else {}
        row = PowerRow(
            time_ns=times.read(time_ns, f"{where}: time stamp"),
            watts=_number(fields, "watts", where),
            window_s=_number(fields, "window_s", where),
            refresh_s=_number(fields, "refresh_s", where),
            quantum_w=_number(fields, "quantum_w", where),
            clock=_clock(fields.get("clock"), where, "field"),
            source=fields.get("source"),
            side=fields.get("side"),
            accuracy_pct=_number(fields, "accuracy_pct", where),
        )
        rows.append(EnvRow(tags["env"], tags["server"], row))
    times.check()
    return rows


def _header(cells: list[str], name: str) -> list[str]:
    header = [cell.strip() for cell in cells]
    allowed = f"allowed: {','.join(CSV_REQUIRED)}[,window_s][,clock]"
    for column in header:
        if column not in CSV_REQUIRED + CSV_OPTIONAL or header.count(column) > 1:
            raise ConfigError(f"{name}: header: unknown or repeated column {column!r}; {allowed}")
    for column in CSV_REQUIRED:
        if column not in header:
            raise ConfigError(f"{name}: header: missing column {column!r}; {allowed}")
    return header


def _csv_row(header: list[str], cells: list[str], times: FileTimes, where: str) -> EnvRow:
    if len(cells) != len(header):
        raise ConfigError(f"{where}: {len(cells)} cells; allowed: {len(header)}, as in the header")
    row = {column: cell.strip() for column, cell in zip(header, cells, strict=True)}
    for column in ("env", "server"):
        if not row[column]:
            raise ConfigError(f"{where}: column {column!r} is empty; allowed: a name")
    reading = PowerRow(
        time_ns=times.read(row["time"], f"{where}: column 'time'"),
        watts=_cell(row, "watts", where),
        window_s=_cell(row, "window_s", where),
        clock=_clock(row.get("clock") or None, where, "column"),
    )
    return EnvRow(row["env"], row["server"], reading)


def _cell(row: Mapping[str, str], column: str, where: str) -> float | None:
    text = row.get(column)
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 0):
        raise ConfigError(
            f"{where}: column {column!r} is {text!r}; allowed: a number of at least 0, or empty"
        )
    return value


def _number(fields: Mapping[str, Any], key: str, where: str) -> float | None:
    value = fields.get(key)
    if value is None:
        return None
    if (
        isinstance(value, bool)
        or not isinstance(value, (int, float))
        or not math.isfinite(value)
        or value < 0
    ):
        raise ConfigError(f"{where}: field {key!r} is {value!r}; allowed: a number of at least 0")
    return float(value)


def _clock(value: object, where: str, what: str) -> str:
    if value is None:
        return "poll"
    if value not in CLOCKS:
        raise ConfigError(f"{where}: {what} 'clock' is {value!r}; allowed: {', '.join(CLOCKS)}")
    return str(value)
