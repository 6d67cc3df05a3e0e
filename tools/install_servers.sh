#!/usr/bin/env bash
# Install the real counterparts that tests talk to: InfluxDB 1.x, PostgreSQL, ipmi_sim, ipmitool, FreeIPMI,
# Chromium, pypy3, Node, nginx and shellcheck from Debian, Telegraf by `go install`, and below build/ Grafana's published mapper
# by npm and Compose's loader by `go build`. Idempotent; silent when all are present.
set -euo pipefail
cd "$(dirname "$0")/.."

TELEGRAF_VERSION=v1.39.3
# Only the plugins that the tests use: the whole of Telegraf takes many minutes to build.
TELEGRAF_TAGS="custom,inputs.cpu,inputs.execd,inputs.http,inputs.internal,inputs.ipmi_sensor,inputs.modbus,\
inputs.prometheus,inputs.redfish,inputs.snmp,processors.execd,processors.starlark,outputs.discard,outputs.execd,\
outputs.file,outputs.http,outputs.influxdb,outputs.influxdb_v2,outputs.prometheus_client,parsers.influx,\
parsers.json_v2,parsers.prometheus,serializers.influx"

declare -A PACKAGE_OF=(
  [influxd]=influxdb [influx]=influxdb-client [ipmi_sim]=openipmi [ipmitool]=ipmitool
  [ipmi-dcmi]=freeipmi-tools [chromium]=chromium [pypy3]=pypy3 [psql]=postgresql [shellcheck]=shellcheck
  [node]=nodejs [npm]=npm [nginx]=nginx-light
)

export PATH="$PATH:/usr/sbin:/usr/local/bin"
missing=()
for program in "${!PACKAGE_OF[@]}"; do
  command -v "$program" >/dev/null || missing+=("${PACKAGE_OF[$program]}")
done
if command -v pypy3 >/dev/null && ! pypy3 -c 'import ensurepip' 2>/dev/null; then missing+=(pypy3-venv); fi
[[ " ${missing[*]:-} " == *" pypy3 "* ]] && missing+=(pypy3-venv)

if ((${#missing[@]})); then
  as_root=()
  ((EUID == 0)) || as_root=(sudo)
  echo "installing ${missing[*]}"
  log=$(mktemp)
  trap 'rm -f "$log"' EXIT
  # Debian starts a service when its package is installed; the tests start their own on loopback.
  if ! { "${as_root[@]}" apt-get update -q && DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
         "${as_root[@]}" apt-get install -q -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
    cat "$log" >&2
    exit 1
  fi
fi

built=$(telegraf --version 2>/dev/null || true)
outputs=$(telegraf plugins outputs 2>/dev/null || true)
# The plugin that was added last: an older build of ours lacks it.
if [[ $built != *"${TELEGRAF_VERSION#v}"* || $outputs != *prometheus_client* ]]; then
  echo "building Telegraf $TELEGRAF_VERSION"
  target=$(mktemp -d)
  GOBIN="$target" go install -ldflags "-X github.com/influxdata/telegraf/internal.Version=${TELEGRAF_VERSION#v}" \
    -tags "$TELEGRAF_TAGS" "github.com/influxdata/telegraf/cmd/telegraf@$TELEGRAF_VERSION"
  install_dir=/usr/local/bin
  [[ -w $install_dir ]] || install_dir="$HOME/.local/bin"
  mkdir -p "$install_dir"
  mv "$target/telegraf" "$install_dir/telegraf"
  rmdir "$target"
fi

# Without what its peers would bring: of @grafana/scenes the tests take two files that need none of it.
packages=build/grafana-packages
listed=tests/support/grafana_node
if ! cmp -s "$listed/package-lock.json" "$packages/.installed"; then
  echo "installing Grafana's mapper into $packages"
  mkdir -p "$packages"
  cp "$listed/package.json" "$listed/package-lock.json" "$packages"
  npm ci --prefix "$packages" --legacy-peer-deps --ignore-scripts --no-audit --no-fund --silent
  cp "$listed/package-lock.json" "$packages/.installed"
fi

checker=build/composecheck
if [[ ! -x $checker || -n $(find tools/composecheck -newer "$checker") ]]; then
  echo "building $checker"
  go build -C tools/composecheck -o "$PWD/$checker" .
fi
