"""Tell energyrecorder which step runs, from Python: decorators, context managers, `Energy`."""
