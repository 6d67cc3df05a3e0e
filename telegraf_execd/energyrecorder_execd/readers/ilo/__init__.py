"""The reader for the 10-second power meter that HPE iLO keeps (FastPowerMeter)."""

from energyrecorder_execd.readers.ilo.reader import IloReader

__all__ = ["IloReader"]
