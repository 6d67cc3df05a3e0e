"""Plugins for the test frameworks that people already run; each imports its own framework only."""
