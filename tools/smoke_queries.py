"""Prints the body of Grafana's `/api/ds/query`: every panel's query of a dashboard, variables replaced."""

import json
import re
import sys
from pathlib import Path
from typing import Any

# Times and numbers; what is left, the data source knows: $timeFilter, $__interval, $__interval_ms.
NOW = {"${__to}ms": "now()", "${__from}ms": "now() - 1h", "${__to}": "2000000000000", "${__from}": "0"}


def body(board: dict[str, Any]) -> dict[str, Any]:
    """Return the request for the last hour, with all values of each variable chosen."""
    variables = board["templating"]["list"]
    chosen = {one["name"]: ".*" if one["type"] == "query" else one["current"]["value"] for one in variables}
    # Where Grafana would choose the interval.
    chosen |= {one["name"]: one["query"] for one in variables if one["type"] == "interval"}
    queries = []
    for target in (target for panel in board["panels"] for target in panel["targets"]):
        text = target["query"]
        for name, value in NOW.items():
            text = text.replace(name, value)
        text = re.sub(r"\$\{?(\w+)\}?", lambda found: chosen.get(found[1], found[0]), text)
        asked = {"refId": f"Q{len(queries)}", "query": text, "intervalMs": 10_000, "maxDataPoints": 500}
        queries.append({**target, **asked, "datasource": {"type": "influxdb", "uid": "energy-influxdb"}})
    return {"from": "now-1h", "to": "now", "queries": queries}


if __name__ == "__main__":
    json.dump(body(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))), sys.stdout)
