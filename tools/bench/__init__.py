"""Figures as ratios to named peers: `make bench`."""
