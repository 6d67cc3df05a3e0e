"""Grafana's published mapper under Node: answers of InfluxDB in, annotations and tables out."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from support.tools import missing, need

HERE = Path(__file__).resolve().parent / "grafana_node"
PACKAGES = HERE.parent.parent.parent / "build" / "grafana-packages" / "node_modules"
Json = dict[str, Any]


def bundle(folder: Path) -> Path:
    """Make one script of our few lines and Grafana's modules, and return it."""
    if not PACKAGES.is_dir():
        missing("build/grafana-packages")
    made = folder / "mapper.cjs"
    scenes = PACKAGES / "@grafana/scenes/dist/esm"
    command = [
        need("node"),
        PACKAGES / ".bin" / "esbuild",
        HERE / "mapper.mjs",
        "--bundle",
        "--platform=node",
        "--format=cjs",
        "--log-level=warning",
        # The package offers its index alone, and that needs a browser.
        f"--alias:scenes-annotations={scenes / 'querying/layers/annotations'}",
        f"--alias:scenes-variables={scenes / 'variables'}",
        f"--alias:@grafana/runtime={HERE / 'runtime.mjs'}",
        f"--outfile={made}",
    ]
    environ = {**os.environ, "NODE_PATH": str(PACKAGES)}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return made


def run(script: Path, jobs: Sequence[Json]) -> list[Any]:
    """Return the mapper's answer to each job."""
    done = subprocess.run(
        [need("node"), script],
        input=json.dumps(jobs),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr, done.stderr
    found: list[Any] = json.loads(done.stdout)
    return found


def table_frame(series: Sequence[Json], ref: str) -> list[Json]:
    """Return what the InfluxDB data source makes of an answer in table format: one frame for all series.

    The order is time or first column, tags, the others; a column without any value counts as numbers.
    Source: grafana-influxdb-datasource 13, `pkg/influxdb/influxql`: `buffered/response_parser.go` (the
    default) and `converter/converter.go`.
    """
    if not series:
        return []
    columns: dict[str, list[Any]] = {}
    for one in series:
        length = len(one["values"])
        first, *others = one["columns"]
        columns.setdefault(first, []).extend(row[0] for row in one["values"])
        for tag, value in one.get("tags", {}).items():
            columns.setdefault(tag, []).extend([value] * length)
        for index, name in enumerate(others, 1):
            columns.setdefault(name, []).extend(row[index] for row in one["values"])
    fields = [_field(name, values) for name, values in columns.items()]
    return [{"name": series[0]["name"], "refId": ref, "fields": fields}]


def _field(name: str, values: list[Any]) -> Json:
    if name == "time":
        return {"name": "Time", "type": "time", "values": [value // 10**6 for value in values], "config": {}}
    kind = "string" if any(isinstance(value, str) for value in values) else "number"
    return {"name": name, "type": kind, "values": values, "config": {"displayNameFromDS": name}}
