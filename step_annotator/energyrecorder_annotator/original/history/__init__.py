"""What the original recorder left in its InfluxDB, read and handed to a running annotator."""
