"""The schema of the embedded sample store, one file per step, applied in order."""
