"""Talking to InfluxDB: settings, HTTP client and InfluxQL text, for sinks and samples alike."""
