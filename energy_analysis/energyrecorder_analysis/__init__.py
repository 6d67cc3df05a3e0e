"""Samples and steps in, joules with an honest interval out: pure functions, no I/O."""
