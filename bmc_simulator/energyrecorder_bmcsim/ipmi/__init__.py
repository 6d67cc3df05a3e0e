"""A simulated IPMI 2.0 BMC: RMCP+ log-in, DCMI power, sensor records, satellites, faults."""
