#!/usr/bin/env bash
# Asks a running Grafana (make up) whether it took our provisioning: dashboards, alert rules, data source, every panel's
# query; and, with Chromium and `make venv`, draws every page into build/smoke. For people with Docker:
#   GRAFANA_TAG=11.6.0 make up && deploy/smoke-grafana.sh
set -euo pipefail
cd "$(dirname "$0")"
grafana=${GRAFANA_URL:-http://127.0.0.1:${GRAFANA_PORT:-3000}}
password=${GRAFANA_PASSWORD:-$(sed -n 's/^GF_SECURITY_ADMIN_PASSWORD=//p' secrets.env)}
python=$(command -v ../build/venv/bin/python || command -v python3)
answer=$(mktemp)
trap 'rm -f "$answer"' EXIT
# The password goes by a file descriptor, not by the list of arguments.
ask() { curl -sS --fail-with-body --config <(printf 'user = "admin:%s"\n' "$password") "$@"; }
failed() {
  echo "$1" >&2
  exit 1
}

ask "$grafana/api/health" | grep -o '"version": *"[^"]*"' || failed "no Grafana answers at $grafana"
ask "$grafana/api/datasources/uid/energy-influxdb/health" || failed "data source energy-influxdb: see above"
echo
while read -r uid; do
  ask -o /dev/null "$grafana/api/v1/provisioning/alert-rules/$uid" || failed "alert rule $uid: not provisioned"
done < <(grep -o '"uid": "energy-[a-z-]*",$' ../dashboards/provisioning/alerting/energy.json |
  cut -d'"' -f4 | grep -v '^energy-influxdb$' | sort -u)
for file in ../dashboards/energy/*.json; do
  uid=$(basename "$file" .json)
  ask -o /dev/null "$grafana/api/dashboards/uid/$uid" || failed "$uid: not provisioned"
  "$python" ../tools/smoke_queries.py "$file" |
    ask -o "$answer" -H 'Content-Type: application/json' --data-binary @- "$grafana/api/ds/query" || true
  if ! grep -q '"results"' "$answer" || grep -q '"error":' "$answer"; then
    grep -o '"error":"[^"]*"' "$answer" | sort -u >&2 || head -c 500 "$answer" >&2
    failed "$uid: a query fails"
  fi
  echo "$uid: provisioned, all queries accepted"
done
if "$python" -c 'import playwright' 2>/dev/null && command -v chromium >/dev/null; then
  GRAFANA_PASSWORD=$password "$python" ../tools/smoke_pages.py "$grafana" ../dashboards/energy ../build/smoke
else
  echo "pages not drawn: that needs Chromium and make venv"
fi
