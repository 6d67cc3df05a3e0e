"""The command `energy-annotator`; one file per command or group of commands."""
