# shellcheck shell=bash
# The original recorder's shell functions on top of `energy-step`. To be sourced by bash:
#
#   . "$(python3 -m energyrecorder.integrations.shell)"
#
# An `energy.conf` in the current directory is read as the original did (ENERGY_ENVIRONMENT_NAME, ENERGY_API_URL,
# ENERGY_API_USER, ENERGY_API_PASSWORD, ENERGY_LOG_LEVEL); without one, ENERGY_URL, ENERGY_ENV and ENERGY_TOKEN
# count. No function fails, prints to stdout, or waits longer than two seconds for the service.

LOG_DEBUG=3
LOG_INFO=2
LOG_WARNING=1
LOG_ERROR=0
INITIAL_STEP="running"
DO_RECORDING=1
CURRENT_SCENARIO=""
CURRENT_STEP=""
STORED_SCENARIO=""
STORED_STEP=""
# The scenarios that this shell has open and the step of each, the innermost last.
_ENERGY_SCENARIOS=()
_ENERGY_STEPS=()
_ENERGY_VERBOSITY=$LOG_ERROR

# energy-log LEVEL TEXT…
energy-log() {
  local level=$1
  shift
  printf '%s - energy - %s - %s\n' "$(date '+%F %T')" "$level" "$*" >&2
}
energy-log-debug() { if [ "$_ENERGY_VERBOSITY" -ge "$LOG_DEBUG" ]; then energy-log DEBUG "$@"; fi; }
energy-log-info() { if [ "$_ENERGY_VERBOSITY" -ge "$LOG_INFO" ]; then energy-log INFO "$@"; fi; }
energy-log-warning() { if [ "$_ENERGY_VERBOSITY" -ge "$LOG_WARNING" ]; then energy-log WARNING "$@"; fi; }
energy-log-error() { energy-log ERROR "$@"; }

_energy-step() {
  energy-log-debug "energy-step $*"
  # Whatever it says on stdout would become part of the script's own output.
  energy-step "$@" >&2 || true
}

_energy-top() {
  local depth=${#_ENERGY_SCENARIOS[@]}
  CURRENT_SCENARIO=""
  CURRENT_STEP=""
  if [ "$depth" -gt 0 ]; then
    CURRENT_SCENARIO=${_ENERGY_SCENARIOS[depth - 1]}
    CURRENT_STEP=${_ENERGY_STEPS[depth - 1]}
  fi
}

_energy-close-to() {
  local depth=${#_ENERGY_SCENARIOS[@]}
  while [ "$depth" -gt "$1" ]; do
    depth=$((depth - 1))
    unset "_ENERGY_SCENARIOS[$depth]" "_ENERGY_STEPS[$depth]"
    _energy-step stop --outcome "$2"
  done
  if [ "$depth" -eq 0 ]; then
    unset ENERGY_RUN_ID ENERGY_STEP_ID ENERGY_SCENARIO
  fi
}

_energy-open() {
  local run_id
  run_id=$(energy-step start "$1" ${2:+--step "$2"} --print-id) || true
  if [ ${#_ENERGY_SCENARIOS[@]} -eq 0 ] && [ -n "$run_id" ]; then
    # What commands of this script record is part of the run.
    export ENERGY_RUN_ID=$run_id ENERGY_STEP_ID=$run_id ENERGY_SCENARIO=$1
  fi
  _ENERGY_SCENARIOS+=("$1")
  _ENERGY_STEPS+=("$2")
}

# energy-recorder-submit-scenario SCENARIO STEP: be in SCENARIO at STEP. An open scenario goes on, and what was
# opened within it ends; another one is opened within the innermost.
energy-recorder-submit-scenario() {
  local index
  if [ "$DO_RECORDING" -ne 1 ]; then return 0; fi
  for ((index = ${#_ENERGY_SCENARIOS[@]} - 1; index >= 0; index--)); do
    if [ "${_ENERGY_SCENARIOS[index]}" = "$1" ]; then
      _energy-close-to $((index + 1)) passed
      energy-recorder-set-step "${2-}"
      return 0
    fi
  done
  _energy-open "$1" "${2-}"
}

# energy-recorder-set-step STEP: the step before ends.
energy-recorder-set-step() {
  local depth=${#_ENERGY_SCENARIOS[@]}
  if [ "$DO_RECORDING" -ne 1 ] || [ -z "${1-}" ]; then return 0; fi
  if [ "$depth" -gt 0 ]; then _ENERGY_STEPS[depth - 1]=$1; fi
  _energy-step step "$1"
}

# energy-recorder-get-current-scenario: sets CURRENT_SCENARIO and CURRENT_STEP, empty when nothing runs.
energy-recorder-get-current-scenario() {
  if [ "$DO_RECORDING" -ne 1 ]; then return 0; fi
  _energy-top
}

# energy-recorder-start SCENARIO: its first step is called "running".
energy-recorder-start() { energy-recorder-submit-scenario "$1" "$INITIAL_STEP"; }

# energy-recorder-stop [OUTCOME]: ends every scenario that this shell opened; OUTCOME: passed, failed, aborted.
energy-recorder-stop() {
  if [ "$DO_RECORDING" -ne 1 ]; then return 0; fi
  _energy-close-to 0 "${1:-passed}"
}

# energy-recorder-begin-session SCENARIO: as start, and remembers what ran before.
energy-recorder-begin-session() {
  if [ "$DO_RECORDING" -ne 1 ]; then return 0; fi
  energy-recorder-get-current-scenario
  STORED_SCENARIO=$CURRENT_SCENARIO
  STORED_STEP=$CURRENT_STEP
  energy-recorder-start "$1"
}

# energy-recorder-finish-session [OUTCOME]: back to what ran before begin-session; ends everything if nothing did.
energy-recorder-finish-session() {
  if [ "$DO_RECORDING" -ne 1 ]; then return 0; fi
  CURRENT_SCENARIO=$STORED_SCENARIO
  CURRENT_STEP=$STORED_STEP
  if [ -z "$CURRENT_SCENARIO" ] || [ -z "$CURRENT_STEP" ]; then
    energy-recorder-stop "${1:-passed}"
  else
    energy-recorder-submit-scenario "$CURRENT_SCENARIO" "$CURRENT_STEP"
  fi
}

_energy-load() {
  if [ -f energy.conf ]; then
    # shellcheck disable=SC1091  # the user's own file
    . ./energy.conf
    if [ -z "${ENERGY_ENVIRONMENT_NAME-}" ] || [ -z "${ENERGY_API_URL-}" ]; then
      energy-log-error "energy.conf: ENERGY_ENVIRONMENT_NAME and ENERGY_API_URL must be set; nothing is recorded"
      DO_RECORDING=0
      return 0
    fi
    export ENERGY_ENV=$ENERGY_ENVIRONMENT_NAME ENERGY_URL=$ENERGY_API_URL
    export ENERGY_RECORDER_API_USER=${ENERGY_API_USER-} ENERGY_RECORDER_API_PASSWORD=${ENERGY_API_PASSWORD-}
    case ${ENERGY_LOG_LEVEL-} in
    [0-3]) _ENERGY_VERBOSITY=$ENERGY_LOG_LEVEL ;;
    esac
  fi
  if ! command -v energy-step >/dev/null; then
    energy-log-error "energy-step is not installed (pip install energyrecorder); nothing is recorded"
    DO_RECORDING=0
  fi
}
_energy-load
