"""A simulated BMC in the test's own loop, with power and host state set by hand."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from energyrecorder.secret import Secret
from energyrecorder_bmcsim.ipmi.server import ControllerSettings, IpmiBmc, IpmiSettings
from energyrecorder_execd.readers.ipmi.transport import Login

USER = "monitor"
PASSWORD = "bmc-secret"


@dataclass
class Meter:
    """What the simulated sensors show."""

    power_w: float = 216.0
    on: bool = True

    def watts(self, now_ns: int, /) -> float:
        """Return the power."""
        return self.power_w

    def host_on(self, now_ns: int, /) -> bool:
        """Tell whether the host is on."""
        return self.on


@dataclass
class Bmc:
    """A running simulated BMC."""

    server: IpmiBmc
    port: int
    meter: Meter

    def login(self, **changes: Any) -> Login:
        """Return a log-in that it accepts, changed as told."""
        login = Login("127.0.0.1", self.port, USER, Secret(PASSWORD), timeout_s=20.0)
        return replace(login, **changes)


async def start_bmc(*, controller: ControllerSettings | None = None, **settings: Any) -> Bmc:
    """Start a BMC; the caller closes its ``server``."""
    meter = Meter()
    whole = IpmiSettings(
        user=USER.encode(),
        password=PASSWORD.encode(),
        controller=controller or ControllerSettings(),
        **settings,
    )
    server = IpmiBmc(whole, meter)
    return Bmc(server, await server.start(), meter)
