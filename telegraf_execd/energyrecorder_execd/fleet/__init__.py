"""Who is polled: ``fleet.toml`` read, checked and expanded into one `Server` per BMC."""

from energyrecorder_execd.fleet.load import load_fleet
from energyrecorder_execd.fleet.model import Fleet, Server, SourceTiming
from energyrecorder_execd.fleet.tables import interval

__all__ = ["Fleet", "Server", "SourceTiming", "interval", "load_fleet"]
