#!/usr/bin/env bash
# Asks a running Grafana (make up) whether it took our provisioning: dashboards, data source, every panel's query.
# For people with Docker: GRAFANA_TAG=11.6.0 make up && deploy/smoke-grafana.sh
set -euo pipefail
cd "$(dirname "$0")"
grafana=${GRAFANA_URL:-http://127.0.0.1:${GRAFANA_PORT:-3000}}
password=${GRAFANA_PASSWORD:-$(sed -n 's/^GF_SECURITY_ADMIN_PASSWORD=//p' secrets.env)}
# The password goes by a file descriptor, not by the list of arguments.
ask() { curl -fsS --config <(printf 'user = "admin:%s"\n' "$password") "$@"; }

ask "$grafana/api/health" | grep -o '"version": *"[^"]*"'
ask "$grafana/api/datasources/uid/energy-influxdb/health"
echo
for file in ../dashboards/energy/*.json; do
  uid=$(basename "$file" .json)
  ask -o /dev/null "$grafana/api/dashboards/uid/$uid"
  ask "$grafana/api/ds/query" -H 'Content-Type: application/json' --data-binary @<(
    python3 - "$file" <<'PYTHON'
import json
import re
import sys

board = json.load(open(sys.argv[1], encoding="utf-8"))
chosen = {}
for variable in board["templating"]["list"]:
    chosen[variable["name"]] = ".*" if variable["type"] == "query" else variable["current"]["value"]
queries = []
for panel in board["panels"]:
    for target in panel["targets"]:
        text = target["query"].replace("${__to}ms", "now()").replace("${__from}ms", "now() - 1h")
        text = text.replace("${__to}", "2000000000000").replace("${__from}", "0")
        text = re.sub(r"\$\{?(\w+)\}?", lambda m: chosen.get(m[1], m[0]), text)
        queries.append({**target, "refId": f"Q{len(queries)}", "query": text, "intervalMs": 10000,
                        "maxDataPoints": 500, "datasource": {"type": "influxdb", "uid": "energy-influxdb"}})
json.dump({"from": "now-1h", "to": "now", "queries": queries}, sys.stdout)
PYTHON
  ) -o "/tmp/smoke-$$.json"
  if grep -q '"error":' "/tmp/smoke-$$.json"; then
    echo "$uid: a query fails:" >&2
    grep -o '"error":"[^"]*"' "/tmp/smoke-$$.json" | sort -u >&2
    rm -f "/tmp/smoke-$$.json"
    exit 1
  fi
  rm -f "/tmp/smoke-$$.json"
  echo "$uid: provisioned, all queries accepted"
done
