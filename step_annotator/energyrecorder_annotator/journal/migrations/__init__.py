"""The schema of the journal, one file per step, applied in order."""
