"""pyghmi's sessions, all owned by one thread and driven by callbacks.

pyghmi 1.6.19 keeps process-wide state, waits by blocking, and lets foreign exceptions escape. So one thread
owns it; requests go in by a queue, answers come out by callbacks; deadlines are ours. What else was seen,
and is worked around here:

- with ``str`` credentials, a new log-in after a lost session gets the dead session back for ever: its table
  of pending log-ins is filled under ``str`` and emptied under ``bytes``; so credentials are ``bytes``;
- a BMC that accepts SHA-256 and answers with SHA-1 lengths makes ``struct.error`` escape from whichever call
  happens to drive the sockets: the session at fault is found in the traceback;
- its read after a BMC restart blocks 20 s; our deadline ends the wait, and the session is dropped;
- log-ins that are equal share one session, whose end ends all of them, and of whose requests one blocks the
  thread until another is answered: two satellites of one BMC hold up everybody; so each has its own;
- where a BMC puts a satellite's answer into the one to Send Message, it hands out the whole message as data.

All this runs in the process of `energyrecorder_execd.readers.ipmi.pyghmi_worker`.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import queue
import struct
import threading
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, TypeAlias

from pyghmi.exceptions import IpmiException
from pyghmi.ipmi.private import constants
from pyghmi.ipmi.private import session as pyghmi_session

from energyrecorder.errors import BmcAuthError, BmcDataError, BmcError, BmcUnreachableError
from energyrecorder_execd.readers.ipmi.lanplus import packet
from energyrecorder_execd.readers.ipmi.lanplus.rakp import refusal
from energyrecorder_execd.readers.ipmi.transport import Bridge, CompletionCodeError, Login

_ESCAPING = (IpmiException, OSError, struct.error, ValueError, LookupError, TypeError, AttributeError)
_PUMP_S = 0.01
_IDLE_S = 1.0  # keep-alives are looked after this often
_CLOSE_WAIT_S = 1.0
# Shares of a poll. A log-in in a burst waits for pyghmi's blocking steps of all others; a request leaves room
# for one new log-in.
_LOG_IN_SHARE = 0.9
_REQUEST_SHARE = 0.4
_LOG_IN_REQUESTS = 5  # capabilities, open session, RAKP 1, RAKP 3, privilege
_SUITE_3 = 3

_Answered: TypeAlias = Callable[[Mapping[str, Any]], None]
_Job: TypeAlias = Callable[[_Answered], None]


class _Session(pyghmi_session.Session):  # type: ignore[misc]  # pyghmi has no type information
    """A session that can be held to cipher suite 3."""

    suite_3_only = False

    def _initsession(self) -> None:
        super()._initsession()
        if self.suite_3_only:
            self.attemptedhash = 1


class _Suite3Session(_Session):
    """pyghmi proposes suite 17 first, unless it is told before its first packet is answered."""

    suite_3_only = True


class _OwnPassword(bytes):
    """Equals itself alone, so that pyghmi takes no session for that of another with the same log-in."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return self is other

    __hash__ = bytes.__hash__


class PyghmiThread:
    """The thread that owns pyghmi; it starts with the first job and runs until `close`."""

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._awaited: set[object] = set()
        self._failed: dict[int, Callable[[BaseException], None]] = {}

    def submit(self, job: Callable[[], None]) -> None:
        """Run ``job`` in the thread as soon as possible; it must not raise."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="pyghmi", daemon=True)
            self._thread.start()
        self._jobs.put(job)

    def expect(self, token: object) -> None:
        """Drive pyghmi's sockets until `settle` gets the same token; only in the thread."""
        self._awaited.add(token)

    def settle(self, token: object) -> None:
        """An answer came, or is no longer wanted; only in the thread."""
        self._awaited.discard(token)

    def watch(self, session: Any, failed: Callable[[BaseException], None]) -> None:
        """Call ``failed`` when pyghmi lets an exception of this session escape; only in the thread."""
        self._failed[id(session)] = failed

    def unwatch(self, session: Any) -> None:
        """Stop watching; only in the thread."""
        self._failed.pop(id(session), None)

    def close(self) -> None:
        """End the thread."""
        if self._thread is not None:
            self._jobs.put(None)
            self._thread.join(timeout=5.0)
            self._thread = None

    def _run(self) -> None:
        while True:
            # An answer ends pyghmi's wait at once, but a new job does not: so the waits are short, and
            # where no answer is awaited the thread rests in the queue instead.
            try:
                job = self._jobs.get(block=not self._awaited, timeout=_IDLE_S)
            except queue.Empty:
                self._pump(_PUMP_S if self._awaited else 0.0)
                continue
            if job is None:
                return
            job()

    def _pump(self, wait_s: float) -> None:
        try:
            pyghmi_session.Session.wait_for_rsp(wait_s)
        except _ESCAPING as error:
            failed = self._failed.get(_session_at_fault(error.__traceback__))
            if failed is not None:
                failed(error)


def _session_at_fault(traceback: TracebackType | None) -> int:
    """Return the id of the innermost session whose method the exception passed through; 0 if none."""
    found = 0
    while traceback is not None:
        owner = traceback.tb_frame.f_locals.get("self")
        if isinstance(owner, pyghmi_session.Session):
            found = id(owner)
        traceback = traceback.tb_next
    return found


class PyghmiTransport:
    """One BMC by pyghmi; keeps the contract of `energyrecorder_execd.readers.ipmi.transport`.

    Args:
        login: Whom to log in to, and as whom. pyghmi chooses the suite itself: 17, then 3; only ``(3,)``
            can be forced.
        thread: The thread that owns pyghmi.
    """

    def __init__(self, login: Login, thread: PyghmiThread) -> None:
        self._requests = 0
        self._log_ins = 0
        self._login = login
        self._thread = thread
        self._lock = asyncio.Lock()
        self._session: Any = None

    @property
    def requests(self) -> int:
        """Requests handed to pyghmi since the start; a log-in counts as its five messages."""
        return self._requests

    @property
    def log_ins(self) -> int:
        """Successful log-ins since the start."""
        return self._log_ins

    async def open(self) -> None:
        """Log in unless logged in; see the contract."""
        async with self._lock:
            await self._ready()

    async def request(
        self, netfn: int, command: int, data: bytes = b"", *, lun: int = 0, bridge: Bridge | None = None
    ) -> bytes:
        """Send one request and return the response's data; see the contract."""
        async with self._lock:
            reused = self._session is not None
            session = await self._ready()
            try:
                response = await self._ask(session, netfn, command, data, lun=lun, bridge=bridge)
            except BmcUnreachableError:
                if not reused:
                    raise
                # pyghmi gave the session up before our deadline: it is worth one new log-in.
                session = await self._ready()
                response = await self._ask(session, netfn, command, data, lun=lun, bridge=bridge)
        code, data = response["code"], bytes(response["data"])
        if not code and bridge is not None and response["command"] == packet.SEND_MESSAGE:
            code, data = _satellites_own(data, netfn, command)
        if code:
            raise CompletionCodeError(netfn, command, code)
        return data

    async def close(self) -> None:
        """End the session on the BMC, best effort; never raises."""
        session, self._session = self._session, None
        if session is None:
            return
        with contextlib.suppress(TimeoutError, BmcError):
            async with asyncio.timeout(_CLOSE_WAIT_S):
                await self._in_thread(functools.partial(self._end, session))

    async def _ready(self) -> Any:
        if self._session is not None and not self._session.broken:
            return self._session
        self._session = None
        self._requests += _LOG_IN_REQUESTS
        box: list[Any] = []
        outcome = await self._bounded(functools.partial(self._begin, box), box, "log-in", _LOG_IN_SHARE)
        if "error" in outcome:
            raise _log_in_error(outcome["error"], self._login)
        self._session = box[0]
        self._log_ins += 1
        return self._session

    async def _ask(
        self, session: Any, netfn: int, command: int, data: bytes, *, lun: int, bridge: Bridge | None
    ) -> Mapping[str, Any]:
        self._requests += 1
        where = None if bridge is None else {"addr": bridge.address, "channel": bridge.channel}
        send = functools.partial(
            session.raw_command, netfn, command, bridge_request=where, data=data, rslun=lun
        )

        def job(answered: _Answered) -> None:
            def callback(response: Mapping[str, Any]) -> None:
                session.incommand = False
                while session.evq:
                    session.evq.popleft().set()
                answered(response)

            send(callback=callback)

        what = f"request {netfn:02X}h/{command:02X}h"
        response = await self._bounded(job, [session], what, _REQUEST_SHARE)
        if "code" not in response or response.get("error") == "timeout":
            self._drop([session])
            raise self._silence(what)
        return response

    async def _bounded(
        self,
        job: _Job,
        box: list[Any],
        what: str,
        share: float,
    ) -> Mapping[str, Any]:
        """Run a job whose callback gives the answer; drop the session when time is up or we are cancelled.

        Args:
            job: Gets the function that takes the answer.
            box: Holds the session once there is one.
            what: For the message.
            share: Part of the poll's deadline that it may take.
        """
        answered = False
        try:
            async with asyncio.timeout(share * self._login.timeout_s):
                answer = await self._in_thread(job)
            answered = True
        except TimeoutError:
            raise self._silence(what) from None
        finally:
            if not answered:
                self._drop(box)
        return answer

    async def _in_thread(self, job: _Job) -> Mapping[str, Any]:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Mapping[str, Any]] = loop.create_future()
        thread = self._thread

        def settle(answer: Mapping[str, Any], error: BmcError | None) -> None:
            if future.done():
                return
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(answer)

        def hand_over(answer: Mapping[str, Any], error: BmcError | None = None) -> None:
            thread.settle(future)
            with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
                loop.call_soon_threadsafe(settle, answer, error)

        def run() -> None:
            thread.expect(future)
            try:
                job(hand_over)
            except BmcError as error:
                hand_over({}, error)
            except _ESCAPING as error:
                hand_over({}, _escaped(error))

        thread.submit(run)
        try:
            return await future
        finally:
            if future.cancelled():
                thread.submit(lambda: thread.settle(future))

    def _begin(self, box: list[Any], logged_in: _Answered) -> None:
        login = self._login
        kind = _Suite3Session if login.suites == (_SUITE_3,) else _Session
        session = kind(
            login.address,
            login.user_bytes(),
            _OwnPassword(login.password_bytes()),
            port=login.port,
            kg=login.kg_bytes() or None,
            onlogon=logged_in,
            privlevel=login.privilege,
        )
        box.append(session)
        self._thread.watch(session, lambda error: self._break(session, error, logged_in))

    def _break(self, session: Any, error: BaseException, logged_in: _Answered) -> None:
        """End a session that let an exception escape; only in the thread."""
        self._forget(session)
        logged_in({"error": f"pyghmi failed: {type(error).__name__}: {error}"})

    def _drop(self, box: list[Any]) -> None:
        """Have a session that does not answer forgotten, without waiting for it."""
        self._session = None
        self._thread.submit(lambda: self._forget(box[0]) if box else None)

    def _forget(self, session: Any) -> None:
        self._thread.unwatch(session)
        session.logged = 0  # else pyghmi would wait for an answer to its Close Session
        with contextlib.suppress(*_ESCAPING):
            session._mark_broken("given up")  # noqa: SLF001  # pyghmi has no public way to let go of a session

    def _end(self, session: Any, done: _Answered) -> None:
        self._thread.unwatch(session)
        with contextlib.suppress(*_ESCAPING):
            session.logout(sessionok=False)
        done({})

    def _silence(self, what: str) -> BmcUnreachableError:
        where = f"{self._login.address}:{self._login.port}"
        return BmcUnreachableError(f"no answer from {where} to IPMI {what}", reason="timeout")


def _satellites_own(message: bytes, netfn: int, command: int) -> tuple[int, bytes]:
    """Return completion code and data of the answer that stands in the one to Send Message."""
    try:
        inner = packet.decode_response(message)
    except packet.PacketError as error:
        raise BmcDataError(f"IPMI answer to Send Message: {error}", reason="data") from None
    if (inner.netfn, inner.command) != (netfn | 1, command):
        raise BmcDataError("IPMI answer to Send Message: another command's answer", reason="data")
    return inner.code, inner.data


def _escaped(error: BaseException) -> BmcError:
    if isinstance(error, OSError):
        return BmcUnreachableError(f"pyghmi: {error.strerror or error}", reason="unreachable")
    return BmcError(f"pyghmi failed: {type(error).__name__}: {error}", reason="protocol")


def _log_in_error(text: str | None, login: Login) -> BmcError:
    """Return the error that pyghmi's text stands for; it has no codes, and sometimes no text either."""
    where = f"{login.address}:{login.port}"
    told = text or "timeout"
    if told in {"timeout", "Session failed to initialize", "given up"}:
        return BmcUnreachableError(f"no answer from {where} to IPMI log-in", reason="timeout")
    if "password" in told or "Kg" in told:
        return BmcAuthError(f"IPMI log-in refused: {told}", reason="auth")
    if "privelege" in told:  # pyghmi's spelling
        return BmcAuthError(f"IPMI log-in refused: {told}", reason="privilege")
    for status, meaning in constants.rmcp_codes.items():
        if told.startswith(meaning):
            return refusal(status, told)
    return BmcError(f"IPMI log-in failed: {told}", reason="protocol")
