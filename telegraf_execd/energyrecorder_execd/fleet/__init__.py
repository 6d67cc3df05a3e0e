"""Who is polled: ``fleet.toml`` read, checked and expanded into one `Server` per BMC."""

from energyrecorder_execd.fleet.load import load_fleet
from energyrecorder_execd.fleet.model import Fleet, Server

__all__ = ["Fleet", "Server", "load_fleet"]
