"""The memory of what ran when: HTTP API, journal, results, and the host of execd plugins."""
