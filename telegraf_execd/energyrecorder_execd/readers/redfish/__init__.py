"""The reader for BMCs that speak Redfish."""

from energyrecorder_execd.readers.redfish.reader import RedfishReader

__all__ = ["RedfishReader"]
