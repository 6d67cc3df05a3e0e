# `make` alone lists the targets. Everything is installed below build/, nothing outside the checkout
# but what `make servers` takes from Debian and the Go module proxy.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3.11
VENV := build/venv
BIN := $(VENV)/bin
PYTEST := $(BIN)/python -m pytest

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

$(VENV)/.users: pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "make: $(PYTHON) is needed; name another with PYTHON=/path/to/python3.11"; exit 2; }
	@echo "installing into $(VENV) (once)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[all]"
	@touch $@

$(VENV)/.developers: $(VENV)/.users
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt $$($(BIN)/python tools/dev_requirements.py)
	@touch $@

.PHONY: venv
venv: $(VENV)/.developers ## the virtual environment with everything developers need

.PHONY: demo
demo: $(VENV)/.users ## six simulated servers, two test runs, one report: build/demo/report.html
	@PYTHONPATH=tools $(BIN)/python -m demo

.PHONY: servers
servers: ## install the real counterparts that tests talk to (Debian packages, Telegraf by go install)
	@tools/install_servers.sh

.PHONY: check
check: $(VENV)/.developers ## ruff, mypy --strict, import-linter, Python 3.9 level of the SDK
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet . || { echo "run: $(BIN)/ruff format ."; exit 1; }
	@$(BIN)/mypy
	@$(BIN)/mypy --python-version 3.11 tests/typing/api.py
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/vermin --quiet --no-tips --eval-annotations -t=3.9- --violations sdk/energyrecorder

.PHONY: test
test: $(VENV)/.developers ## the tests, at most 5 minutes on 2 cores; says what it skipped and why
	@$(PYTEST) -q -m "not e2e" -n 3 --dist loadfile
	@tools/test_sdk_pypy.sh

.PHONY: test-e2e
test-e2e: $(VENV)/.developers ## real Telegraf, InfluxDB, Chromium and the demo, at most 20 minutes
	@$(PYTEST) -q -m e2e

.PHONY: soak
soak: $(VENV)/.developers ## ten minutes without InfluxDB, an hour of 100 BMCs with all faults; OUTAGE_S, SOAK_S=seconds
	@ENERGY_OUTAGE_S=$(or $(OUTAGE_S),600) $(PYTEST) -q -s tests/annotator/test_influx_outage.py
	@ENERGY_SOAK_S=$(or $(SOAK_S),3600) $(PYTEST) -q -s tests/faults/test_soak.py

.PHONY: bench
bench: $(VENV)/.developers ## all figures as ratios to named peers: build/bench/results.json
	@PYTHONPATH=tools $(BIN)/python -m bench

.PHONY: bench-quick
bench-quick: $(VENV)/.developers ## the same, short
	@PYTHONPATH=tools $(BIN)/python -m bench --quick

.PHONY: dashboards
dashboards: $(VENV)/.users ## write Grafana's dashboards and alert rules from the schema
	@PYTHONPATH=tools $(BIN)/python -m dashboards

.PHONY: up
up: ## InfluxDB, Telegraf, annotator and Grafana at :3000 by Docker, with simulated servers (PROFILE=fleet: yours)
	@deploy/up.sh

.PHONY: down
down: ## stop what `make up` started; the data stay in their volumes
	@docker compose --project-name energyrecorder down

.PHONY: clean
clean: ## remove build/
	@rm -rf build
