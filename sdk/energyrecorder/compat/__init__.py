"""Names and behaviour of what energyrecorder renews, so that old test code changes one import line."""
