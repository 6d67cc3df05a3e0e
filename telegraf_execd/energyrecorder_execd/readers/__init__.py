"""One folder per protocol: ``fetch`` asks, ``parse`` understands, ``select`` says which value is the power."""
