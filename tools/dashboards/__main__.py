"""Writes `dashboards/*.json` and the alert rules; with ``--check`` only says which of them are stale."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path

from dashboards import alerts, comparison, fleet, health, live, run_detail, trend

FOLDER = Path(__file__).resolve().parent.parent.parent / "dashboards"
BUILDERS = (live, run_detail, trend, comparison, fleet, health)


def built() -> Mapping[str, str]:
    """Return the text of each file by its path below `dashboards/`."""
    boards = [module.build() for module in BUILDERS]
    # In a folder of their own: Grafana takes every JSON file below it for a dashboard.
    files = {f"energy/{board['uid']}.json": board for board in boards}
    # JSON is YAML; Grafana reads both endings in this folder.
    files["provisioning/alerting/energy.json"] = alerts.build()
    return {name: json.dumps(made, indent=1, ensure_ascii=False) + "\n" for name, made in files.items()}


def main(arguments: list[str]) -> int:
    """Write or check the files; return 1 when one is stale."""
    stale = 0
    for name, text in built().items():
        path = FOLDER / name
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        stale = 1
        if "--check" in arguments:
            print(f"dashboards/{name} is stale: make dashboards")
        else:
            path.write_text(text, encoding="utf-8")
            print(f"wrote dashboards/{name}")
    return stale if "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
