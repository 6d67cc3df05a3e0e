"""What `energy-annotator doctor` looks at: service, samples and clocks, InfluxDB, Grafana."""
