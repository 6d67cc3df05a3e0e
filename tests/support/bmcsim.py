"""Start simulated BMCs for a test, in this process or as the command."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import select
import ssl
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from energyrecorder_bmcsim.control import Control
from energyrecorder_bmcsim.fleet import Fleet
from energyrecorder_bmcsim.spec import load_spec

USER = "monitor"
PASSWORD = "s3cret-of-the-bmc"
FLEET = f'[fleet]\nseed = 7\nuser = "{USER}"\npassword = "{PASSWORD}"\n'


def basic(password: str = PASSWORD) -> dict[str, str]:
    """Return the header of Basic authentication."""
    encoded = base64.b64encode(f"{USER}:{password}".encode()).decode()
    return {"Authorization": f"Basic {encoded}"}


@dataclass
class Sim:
    """A fleet in this process, and a client with its CA."""

    fleet: Fleet
    control: str
    client: aiohttp.ClientSession

    def url(self, bmc_id: str, path: str = "") -> str:
        return f"{self.fleet.bmcs[bmc_id].url}{path}"

    async def get(self, bmc_id: str, path: str, **more: Any) -> Any:
        """Return the parsed body of a resource, read with Basic authentication."""
        more.setdefault("headers", basic())
        async with self.client.get(self.url(bmc_id, path), **more) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json()

    async def log_in(
        self, bmc_id: str, path: str = "/redfish/v1/SessionService/Sessions"
    ) -> Mapping[str, str]:
        """Return the headers of the answer to a log-in."""
        body = {"UserName": USER, "Password": PASSWORD}
        async with self.client.post(self.url(bmc_id, path), json=body) as answer:
            assert answer.status == 201, await answer.text()
            return answer.headers

    async def ask(self, path: str, **query: Any) -> Any:
        """Return what the control port answers."""
        async with self.client.get(f"{self.control}{path}", params=query) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json()

    async def order(self, path: str, body: Mapping[str, Any]) -> Any:
        """Return what the control port answers to a POST."""
        async with self.client.post(f"{self.control}{path}", json=body) as answer:
            assert answer.status in (200, 201), await answer.text()
            return await answer.json()


@contextlib.asynccontextmanager
async def simulated(directory: Path, bmcs: str, fleet: str = FLEET) -> AsyncIterator[Sim]:
    """Run the fleet of a spec in this process."""
    spec_file = directory / "sim.toml"
    spec_file.write_text(fleet + bmcs, encoding="utf-8")
    running = Fleet(load_spec(spec_file, start_ns=time.time_ns()), directory)
    control = Control(running)
    context = ssl.create_default_context(cafile=running.ca_file)
    connector = aiohttp.TCPConnector(ssl=context, force_close=True)
    async with aiohttp.ClientSession(connector=connector, trust_env=False) as client:
        try:
            await running.start()
            port = await control.start(0)
            yield Sim(running, f"http://127.0.0.1:{port}", client)
        finally:
            await control.close()
            await running.close()


@dataclass
class Command:
    """A running ``energy-bmcsim serve --json`` and what it printed."""

    process: subprocess.Popen[str]
    listing: dict[str, Any]

    def bmc(self, bmc_id: str) -> dict[str, Any]:
        return next(bmc for bmc in self.listing["bmcs"] if bmc["id"] == bmc_id)


@contextlib.contextmanager
def serving(spec_file: Path, **environ: str) -> Iterator[Command]:
    """Run ``energy-bmcsim serve --json`` on a spec file; its stdin is closed in the end."""
    command = [sys.executable, "-m", "energyrecorder_bmcsim", "serve", "--spec", str(spec_file), "--json"]
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environ},
    )
    try:
        assert process.stdout is not None
        ready, _, _ = select.select([process.stdout], [], [], 120)
        line = process.stdout.readline() if ready else ""
        assert line, process.communicate(timeout=5)[1] if process.poll() is not None else "nothing printed"
        yield Command(process, json.loads(line))
    finally:
        if process.poll() is None:
            try:
                process.communicate(timeout=60)  # closes stdin, which ends it
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()
