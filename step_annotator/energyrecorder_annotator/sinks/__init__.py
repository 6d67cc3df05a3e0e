"""Telling others what the journal knows: InfluxDB, Grafana, a webhook. The journal never waits for them."""
