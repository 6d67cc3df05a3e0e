"""Builds the Grafana dashboards from `energyrecorder.schema`."""

from typing import Any

Json = dict[str, Any]
