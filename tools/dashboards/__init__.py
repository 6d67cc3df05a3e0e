"""Builds the Grafana dashboards from `energyrecorder.schema`."""
