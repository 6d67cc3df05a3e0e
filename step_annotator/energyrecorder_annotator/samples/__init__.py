"""Readings of servers: from line protocol into a store, and back as series."""
