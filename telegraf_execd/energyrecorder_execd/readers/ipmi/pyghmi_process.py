"""pyghmi in a process of its own, and the transport that reaches a BMC through it.

pyghmi waits by ``select()``, which dies with file numbers beyond 1,023, as a collector with many Redfish
connections has them; it prints, and its state is a whole process's. In one of its own that harms nobody.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import logging
import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from energyrecorder.errors import BmcError
from energyrecorder_execd.readers.ipmi.pyghmi_wire import from_error, from_login
from energyrecorder_execd.readers.ipmi.transport import Bridge, Login

logger = logging.getLogger(__name__)

_MODULE = "energyrecorder_execd.readers.ipmi.pyghmi_worker"
_READ_BYTES = 1 << 16
_END_S = 0.2


class PyghmiProcess:
    """The process; it starts with the first request, and anew after it ended unasked."""

    def __init__(self) -> None:
        self._child: Child | None = None

    def child(self) -> Child:
        """Return the running process.

        Raises:
            BmcError: It cannot be started.
        """
        if self._child is not None and self._child.ended:
            self.close()
        if self._child is None:
            self._child = Child()
        return self._child

    def close(self) -> None:
        """End the process."""
        if self._child is not None:
            self._child.close()
            self._child = None


class Child:
    """One run of the process.

    Raises:
        BmcError: It cannot be started.
    """

    def __init__(self) -> None:
        self.ended = False
        self._numbers = itertools.count(1)
        self._asked: dict[int, tuple[PyghmiRemote, asyncio.Future[bytes]]] = {}
        self._rest = b""
        self._said = b""
        self._loop = asyncio.get_running_loop()
        try:
            self._process = subprocess.Popen(  # noqa: S603  # our own interpreter and module
                [sys.executable, "-m", _MODULE],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                start_new_session=True,  # a Ctrl-C at a terminal is for us: BMCs are logged out of first
            )
        except OSError as error:
            raise BmcError(f"the pyghmi process cannot be started: {error}", reason="protocol") from None
        self._in, self._out, self._err = (
            stream.fileno()
            for stream in (self._process.stdin, self._process.stdout, self._process.stderr)
            if stream is not None
        )
        for descriptor in (self._in, self._out, self._err):
            os.set_blocking(descriptor, False)
        self._loop.add_reader(self._out, self._heard)
        self._loop.add_reader(self._err, self._overheard)

    def log_in(self, who: PyghmiRemote, login: Login) -> None:
        """Tell the process who a BMC is; it logs in with the first request."""
        self._send({"id": 0, "bmc": id(who), "do": "login", "login": from_login(login)})

    async def ask(self, who: PyghmiRemote, message: Mapping[str, Any]) -> bytes:
        """Have the process do something and return the data that came of it.

        Raises:
            BmcError: What the transport over there raised, or the process ended.
        """
        number = next(self._numbers)
        answer: asyncio.Future[bytes] = self._loop.create_future()
        self._send({"id": number, "bmc": id(who), **message})
        self._asked[number] = who, answer
        try:
            return await answer
        except asyncio.CancelledError:
            with contextlib.suppress(BmcError):
                self._send({"id": number, "bmc": id(who), "do": "cancel"})
            raise

    def close(self) -> None:
        """Close its stdin, which ends it; kill it if it does not end."""
        self._stop_listening()
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _send(self, message: Mapping[str, Any]) -> None:
        line = json.dumps(message).encode() + b"\n"
        if self.ended:
            raise BmcError("the pyghmi process has ended", reason="protocol")
        try:
            # Shorter than PIPE_BUF: written whole or not at all.
            os.write(self._in, line)
        except OSError as error:
            what = "is too busy" if isinstance(error, BlockingIOError) else "has ended"
            raise BmcError(f"the pyghmi process {what}", reason="protocol") from None

    def _heard(self) -> None:
        received = self._read(self._out)
        if received is None:
            return
        if not received:
            self._stop_listening()
            return
        *lines, self._rest = (self._rest + received).split(b"\n")
        for line in lines:
            self._take(json.loads(line))

    def _take(self, message: Mapping[str, Any]) -> None:
        """Hand over one answer."""
        who, answer = self._asked.pop(message["id"])
        who.count(message["requests"], message["log_ins"])
        if answer.done():  # cancelled meanwhile
            return
        if "error" in message:
            answer.set_exception(from_error(message["error"]))
        else:
            answer.set_result(bytes.fromhex(message["data"]))

    def _overheard(self) -> None:
        received = self._read(self._err)
        if not received:
            if received is not None:
                self._loop.remove_reader(self._err)
            return
        *lines, self._said = (self._said + received).split(b"\n")
        for line in lines:
            logger.info("pyghmi: %s", line.decode(errors="replace"))

    @staticmethod
    def _read(descriptor: int) -> bytes | None:
        try:
            return os.read(descriptor, _READ_BYTES)
        except BlockingIOError:
            return None

    def _stop_listening(self) -> None:
        """Let go of the pipes, and tell all who wait."""
        if self.ended:
            return
        self.ended = True
        self._overheard()
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.remove_reader(self._out)
            self._loop.remove_reader(self._err)
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()
        for _, answer in self._asked.values():
            if not answer.done():
                answer.set_exception(BmcError("the pyghmi process has ended", reason="protocol"))
        self._asked.clear()


class PyghmiRemote:
    """One BMC by pyghmi; keeps the contract of `energyrecorder_execd.readers.ipmi.transport`.

    Args:
        login: Whom to log in to, and as whom.
        process: The process that owns pyghmi.
    """

    def __init__(self, login: Login, process: PyghmiProcess) -> None:
        self._login = login
        self._process = process
        self._child: Child | None = None
        self._lock = asyncio.Lock()
        self._before = (0, 0)
        self._counted = (0, 0)

    @property
    def requests(self) -> int:
        """Requests sent since the start, log-ins included."""
        return self._before[0] + self._counted[0]

    @property
    def log_ins(self) -> int:
        """Successful log-ins since the start."""
        return self._before[1] + self._counted[1]

    def count(self, requests: int, log_ins: int) -> None:
        """Take over what the process has counted for this BMC since it began."""
        self._counted = requests, log_ins

    async def open(self) -> None:
        """Log in unless logged in; see the contract."""
        await self._ask({"do": "open"})

    async def request(
        self, netfn: int, command: int, data: bytes = b"", *, lun: int = 0, bridge: Bridge | None = None
    ) -> bytes:
        """Send one request and return the response's data; see the contract."""
        message = {"do": "request", "netfn": netfn, "command": command, "data": data.hex(), "lun": lun}
        if bridge is not None and bridge.via is not None:
            raise BmcError(
                f"pyghmi cannot reach {bridge}: it bridges once; transport lanplus can", reason="unsupported"
            )
        where = None if bridge is None else (bridge.address, bridge.channel)
        return await self._ask({**message, "bridge": where})

    async def close(self) -> None:
        """End the session on the BMC, best effort; never raises."""
        if self._child is not None and not self._child.ended:
            with contextlib.suppress(BmcError):
                await self._child.ask(self, {"do": "close"})

    async def _ask(self, message: Mapping[str, Any]) -> bytes:
        async with self._lock:
            child = self._process.child()
            if child is not self._child:
                self._before, self._counted = (self.requests, self.log_ins), (0, 0)
                child.log_in(self, self._login)
                self._child = child
            return await child.ask(self, message)
