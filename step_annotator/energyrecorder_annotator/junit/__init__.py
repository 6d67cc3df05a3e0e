"""Steps from JUnit files: reading them, placing them in time, and naming them; all pure."""
