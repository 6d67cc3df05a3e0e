"""Did it get worse? Runs in, a verdict out that says "cannot tell" rather than something false; all pure.

The way of a comparison: `observe` (a run's answer → energies that may be compared, and why others may not) →
`ranks` or `student` (how far two sets of runs differ) → `holm` (many steps at once) → `judge` (the verdict) →
`family` (all scenarios of two selections). `power` and `plan` say how many runs it takes, `budget` holds
energies against a limit. The unit is the run, never the reading: readings of one run depend on each other.
"""
