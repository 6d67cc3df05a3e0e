"""The commands that set a fleet up and look at single BMCs; `run` and `once` need none of this."""
