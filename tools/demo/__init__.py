"""The main job end to end on simulated servers: `make demo`."""
