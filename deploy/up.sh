#!/usr/bin/env bash
# Starts the stack of compose.yaml: names whoever holds a port, makes secrets.env once, waits for Grafana.
# PROFILE=fleet polls the servers of deploy/fleet.toml; the default is three simulated ones.
# PROFILE="fleet legacy" opens the original's port as well.
set -euo pipefail
cd "$(dirname "$0")"
read -ra profiles <<<"${PROFILE:-simulator}"
ports=("${INFLUXDB_PORT:-8086}" "${ANNOTATOR_PORT:-8742}" "${GRAFANA_PORT:-3000}")
[[ " ${profiles[*]} " != *" legacy "* ]] || ports+=("${LEGACY_PORT:-8888}")

# Says who listens on a port, as far as we may see it; fails when nobody does.
holder() {
  local listening container
  listening=$(ss -Hltnp "sport = :$1" 2>/dev/null) && [[ -n $listening ]] || return 1
  container=$(docker ps --filter "publish=$1" --format '{{.Names}}')
  if [[ -n $container ]]; then
    echo "container $container"
  elif [[ $listening == *users:* ]]; then
    echo "${listening##* }"
  else
    echo "a process of somebody else, which 'sudo ss -ltnp' names"
  fi
}

if ! docker compose version >/dev/null 2>&1; then
  echo "make up needs Docker with the compose plugin; without it: docs/telegraf.md and docs/grafana.md" >&2
  exit 2
fi
if [[ " ${profiles[*]} " == *" fleet "* ]]; then
  fleet=${ENERGY_FLEET_FILE:-fleet.toml}
  if [[ ! -f $fleet ]]; then
    echo "deploy/$fleet is not there; energy-execd check --fleet FILE validates one" >&2
    exit 2
  fi
  # energy-execd init writes it for its owner alone, and the container has a user of its own.
  if [[ -z $(find -L "$fleet" -maxdepth 0 -perm -o=r) ]]; then
    echo "deploy/$fleet: the collector's user may not read it; name passwords as {env=BMC_PASSWORD}, then chmod o+r" >&2
    exit 2
  fi
fi

# By its name alone, for which Compose reads no file and wants no secret.
running=$(docker compose --project-name energyrecorder ps --quiet 2>/dev/null || true)
if [[ -z $running ]]; then
  for port in "${ports[@]}"; do
    if who=$(holder "$port"); then
      echo "port $port is taken: $who" >&2
      echo "choose another: INFLUXDB_PORT, ANNOTATOR_PORT, GRAFANA_PORT or LEGACY_PORT" >&2
      exit 1
    fi
  done
fi

if [[ ! -f secrets.env ]]; then
  (umask 077 && while IFS= read -r line; do
    [[ $line == *= ]] && line+=$(head -c 18 /dev/urandom | base64 | tr '+/' 'ab')
    printf '%s\n' "$line"
  done <secrets.env.sample >secrets.env)
  echo "made deploy/secrets.env with new passwords; set BMC_PASSWORD for your own servers"
fi
while IFS='=' read -r name _; do
  [[ $name != '#'* ]] || continue
  if ! grep -q "^$name=." secrets.env; then
    echo "deploy/secrets.env: $name has no value" >&2
    exit 2
  fi
  # A variable of the caller would take precedence over the file.
  unset "$name"
done <secrets.env.sample

compose=(docker compose --project-name energyrecorder --env-file secrets.env)
"${compose[@]}" "${profiles[@]/#/--profile=}" up --detach --build --wait || {
  echo "not all of it is well; 'docker compose -p energyrecorder logs SERVICE' says why; stop it with: make down" >&2
  exit 1
}
password=$(sed -n 's/^GF_SECURITY_ADMIN_PASSWORD=//p' secrets.env)
echo "Grafana: http://127.0.0.1:${GRAFANA_PORT:-3000}  user admin, password ${password:+in deploy/secrets.env}"
echo "Annotator: http://127.0.0.1:${ANNOTATOR_PORT:-8742}/  asks for ENERGY_TOKEN of deploy/secrets.env as password"
echo "stop it with: make down"
