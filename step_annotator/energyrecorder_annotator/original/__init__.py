"""The API of the original energyrecorder, so that its clients work unchanged."""
