"""Samples and steps in, joules with an honest interval out: pure functions, no I/O.

A step's journey through this room: `series` (readings of one server, cleaned) → `lag` (when each reading
was true) → `curve` (power over time) → `estimate` with `uncertainty` (joules of one server) → `combine`
(joules of a step over its servers) → `report`. `integrate` is the same journey for files;
`compare` says whether runs got worse.

Nothing is imported here, so that a service that does not compute joules yet does not pay for numpy.
"""
