"""The process that owns pyghmi: requests as JSON lines on stdin, answers as lines on what was stdout.

Started by `energyrecorder_execd.readers.ipmi.pyghmi_process`, never by hand. A line in is
``{"id", "bmc", "do", …}``, to do is ``login``, ``open``, ``request``, ``close`` or ``cancel``; a line out is
``{"id", "requests", "log_ins"}`` with ``data`` (hex) or ``error``. The end of stdin ends it.
"""

from __future__ import annotations

import asyncio
import functools
import json
import os
import sys
from collections.abc import Mapping
from typing import Any

from energyrecorder.errors import BmcError
from energyrecorder_execd.readers.ipmi.pyghmi_transport import PyghmiThread, PyghmiTransport
from energyrecorder_execd.readers.ipmi.pyghmi_wire import as_error, as_login
from energyrecorder_execd.readers.ipmi.transport import Bridge


class Worker:
    """All BMCs of the process.

    Args:
        answers: Descriptor for the lines that go out.
    """

    def __init__(self, answers: int) -> None:
        self._answers = answers
        self._thread = PyghmiThread()
        self._transports: dict[int, PyghmiTransport] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}

    async def serve(self, lines: asyncio.StreamReader) -> None:
        """Do what the lines say until they end."""
        while line := await lines.readline():
            message = json.loads(line)
            number, bmc = message["id"], message["bmc"]
            if message["do"] == "login":
                self._transports[bmc] = PyghmiTransport(as_login(message["login"]), self._thread)
            elif message["do"] == "cancel":
                if number in self._tasks:
                    self._tasks[number].cancel()
            else:
                task = asyncio.create_task(self._answer(message))
                self._tasks[number] = task
                task.add_done_callback(functools.partial(self._tasks.pop, number))
        self._thread.close()

    async def _answer(self, message: Mapping[str, Any]) -> None:
        transport = self._transports[message["bmc"]]
        answer: dict[str, Any] = {"id": message["id"]}
        try:
            answer["data"] = (await self._run(transport, message)).hex()
        except BmcError as error:
            answer["error"] = as_error(error)
        except asyncio.CancelledError:
            answer["error"] = as_error(BmcError("cancelled", reason="timeout"))
        answer |= {"requests": transport.requests, "log_ins": transport.log_ins}
        os.write(self._answers, json.dumps(answer).encode() + b"\n")

    async def _run(self, transport: PyghmiTransport, message: Mapping[str, Any]) -> bytes:
        if message["do"] == "open":
            await transport.open()
        elif message["do"] == "close":
            await transport.close()
        else:
            bridge = message["bridge"]
            return await transport.request(
                message["netfn"],
                message["command"],
                bytes.fromhex(message["data"]),
                lun=message["lun"],
                bridge=None if bridge is None else Bridge(*bridge),
            )
        return b""


async def main() -> None:
    """Serve stdin; whatever pyghmi prints goes to stderr."""
    answers = os.dup(1)
    os.dup2(2, 1)
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(lines), sys.stdin.buffer
    )
    await Worker(answers).serve(lines)


if __name__ == "__main__":
    asyncio.run(main())
