"""pyghmi in a process that has many files open, as one with 1,200 Redfish connections has."""

from __future__ import annotations

import subprocess
import sys

from support import ipmi_bmc

# In a process of its own: pyghmi keeps the sockets that earlier tests gave it.
SCRIPT = """
import asyncio, os, resource
from energyrecorder_execd.readers.ipmi.pyghmi_transport import PyghmiThread, PyghmiTransport
from support.ipmi_bmc import start_bmc

async def main():
    bmcs = [await start_bmc() for _ in range(10)]
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    held = [os.open(os.devnull, os.O_RDONLY) for _ in range(1200)]
    thread = PyghmiThread()
    transports = [PyghmiTransport(bmc.login(), thread) for bmc in bmcs]
    answers = await asyncio.gather(*(one.request(0x06, 0x01) for one in transports))
    assert all(answers) and max(held) > 1023
    for one in transports:
        await one.close()
    thread.close()
    print("read", len(answers))

asyncio.run(main())
"""


def test_pyghmi_works_beyond_1023_open_files():
    """Ten BMCs are logged in to and read although every new file number is beyond what select() takes."""
    folder = ipmi_bmc.__file__.rpartition("/support/")[0]
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=60, cwd=folder, check=False
    )
    assert (done.returncode, done.stdout) == (0, "read 10\n"), done.stderr
