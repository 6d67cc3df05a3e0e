"""Debian's ipmi_sim (OpenIPMI) on loopback: cipher suite 3, one power sensor in 4-W steps, no DCMI."""

from __future__ import annotations

import socket
import subprocess
import time
from pathlib import Path

from support.tools import need

USER = "energy"
PASSWORD = "sim-secret"
MANUFACTURER = 10876

LAN = """
name "power"
set_working_mc 0x20
  startlan 1
    addr 127.0.0.1 {port}
    priv_limit admin
    allowed_auths_callback none md2 md5 straight
    allowed_auths_user none md2 md5 straight
    allowed_auths_operator none md2 md5 straight
    allowed_auths_admin none md2 md5 straight
    guid a123456789abcdefa123456789abcdef
  endlan
  user 1 true "" "" user 10 none md2 md5 straight
  user 2 true "{user}" "{password}" admin 10 none md2 md5 straight
"""

# A full sensor record: 0Bh "other units", base unit 06h, M = 4, named "Pwr Consumption".
EMULATION = """
mc_setbmc 0x20
mc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x002a7c 0xf02
sel_enable 0x20 100 0x0a
sensor_add 0x20 0 1 0x0b 0x01 poll 100 file "{watts}" div=4
sensor_set_event_support 0x20 0 1 enable scanning per-state {events}
main_sdr_add 0x20 0x00 0x00 0x51 0x01 0x3a {record}
mc_enable 0x20
"""
RECORD = (
    "200001070101400b010000000000000006000004000000000000000000ff000000000000000000000000"
    "cf50777220436f6e73756d7074696f6e"
)


class IpmiSim:
    """One ``ipmi_sim`` process with its files below ``folder``."""

    def __init__(self, folder: Path, watts: int = 212) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self._folder = folder
        self._watts = folder / "watts"
        self.show(watts)
        record = bytes.fromhex(RECORD)
        (folder / "state").mkdir()
        (folder / "lan.conf").write_text(LAN.format(port=self.port, user=USER, password=PASSWORD))
        (folder / "power.emu").write_text(
            EMULATION.format(
                watts=self._watts,
                events=" ".join(["0" * 15] * 4),
                record=" ".join(f"0x{byte:02x}" for byte in record),
            )
        )
        self._process: subprocess.Popen[bytes] | None = None

    def show(self, watts: int) -> None:
        """Let the sensor show ``watts`` from its next look at the file on, 0.1 s later at most."""
        self._watts.write_text(f"{watts}\n")

    def start(self) -> None:
        """Start it and wait until it tells its channel's capabilities, 10 s at most."""
        program = need("ipmi_sim")
        files = ["-c", str(self._folder / "lan.conf"), "-f", str(self._folder / "power.emu")]
        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [program, *files, "-s", str(self._folder / "state"), "-n"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        question = bytes.fromhex("06 00 ff 07 00 00000000 00000000 09 20 18 c8 81 00 38 8e 02 b7")
        deadline = time.monotonic() + 60
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.settimeout(0.05)
            while True:
                try:
                    probe.sendto(question, ("127.0.0.1", self.port))
                    probe.recvfrom(1024)
                except OSError:
                    if time.monotonic() > deadline or self._process.poll() is not None:
                        self.stop()
                        log_text = (self._folder / "log").read_text(errors="replace")
                        raise RuntimeError(f"ipmi_sim did not start: {log_text[-2000:]}") from None
                else:
                    return

    def stop(self) -> None:
        """End the process; harmless when it is not running."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
            self._process = None
