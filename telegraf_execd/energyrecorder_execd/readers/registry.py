"""Which reader speaks which protocol; each is imported when the first BMC needs it."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from energyrecorder.errors import ConfigError
from energyrecorder_execd.readers.base import Context, Reader, Target

Factory = Callable[[Target, Context, Any], Reader]
"""Makes a reader of a target, its context, and what all readers of that transport share."""

READERS: Mapping[str, str] = {
    "redfish": "energyrecorder_execd.readers.redfish:RedfishReader",
    "ilo": "energyrecorder_execd.readers.ilo:IloReader",
    "ipmi": "energyrecorder_execd.readers.ipmi:IpmiReader",
}
SHARED: Mapping[str, str] = {
    "redfish": "energyrecorder_execd.http:HttpClients",
    "ilo": "energyrecorder_execd.http:HttpClients",
    "ipmi": "energyrecorder_execd.readers.ipmi:IpmiEndpoint",
}
"""What readers share (connections, sockets): made once per process; each has ``close()``."""

_INSTALL = "pip install 'energyrecorder[execd]'"


class Registry:
    """Makes readers and holds what they share.

    Args:
        readers: ``module:name`` of each protocol's factory.
        shared: ``module:name`` of what the factories share.
    """

    def __init__(self, readers: Mapping[str, str] = READERS, shared: Mapping[str, str] = SHARED) -> None:
        self._readers = readers
        self._shared = shared
        self._made: dict[str, Any] = {}

    def require(self, protocols: Iterable[str]) -> None:
        """Import what ``protocols`` need, so that a missing library shows at start.

        Raises:
            ConfigError: A library is not installed; the message holds the command that installs it.
        """
        for protocol in protocols:
            if protocol in self._readers:
                self._load(self._readers[protocol], protocol)

    def reader(self, protocol: str, target: Target, context: Context) -> Reader:
        """Return a new reader of one BMC.

        Raises:
            ConfigError: A library is not installed.
        """
        factory: Factory = self._load(self._readers[protocol], protocol)
        return factory(target, context, self._shared_of(protocol))

    async def close(self) -> None:
        """Close what the readers shared; the readers themselves are closed before."""
        made, self._made = self._made, {}
        for shared in made.values():
            ended = shared.close()
            if inspect.isawaitable(ended):
                await ended

    def _shared_of(self, protocol: str) -> Any:
        name = self._shared.get(protocol)
        if name is None:
            return None
        if name not in self._made:
            self._made[name] = self._load(name, protocol)()
        return self._made[name]

    @staticmethod
    def _load(name: str, protocol: str) -> Any:
        module, _, attribute = name.partition(":")
        try:
            return getattr(importlib.import_module(module), attribute)
        except ModuleNotFoundError as error:
            if (error.name or "").startswith("energyrecorder"):
                raise
            raise ConfigError(
                f"protocol {protocol!r} needs {error.name!r}, which is not installed; run: {_INSTALL}"
            ) from None
