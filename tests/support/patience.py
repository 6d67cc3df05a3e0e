"""Makes the SDK in a test's process wait as long as a busy machine needs.

What users get is two seconds at the end and for each command: a machine that stalls for that long makes a
test see what was kept rather than what was sent. Tests of those two seconds themselves do without this.
"""

PATIENT_S = 60.0

PATIENT = f"""
import energyrecorder.client, energyrecorder.transport
energyrecorder.client.EXIT_S = {PATIENT_S}
energyrecorder.transport.Transport.exchange = (
    lambda self, *a, _exchange=energyrecorder.transport.Transport.exchange, **k:
        _exchange(self, *a, **{{**k, "timeout_s": {PATIENT_S}}}))
"""
"""Python code that makes the process patient in which it runs first."""

PATIENT_COMMAND = f"""
{PATIENT}
import energyrecorder.cli.job
energyrecorder.cli.job.DELIVERY_S = {PATIENT_S}
"""
"""The same for a process that is `energy-step`."""
