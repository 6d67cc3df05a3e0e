"""A fleet of simulated BMCs on loopback that replays power traces, knows the truth, and can fail."""
