"""One folder per protocol: find where the power stands, understand it, select which value counts."""
