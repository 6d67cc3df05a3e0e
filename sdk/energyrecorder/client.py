"""Delivers the events of this process in the background: the caller pays for putting one in a queue."""

from __future__ import annotations

import atexit
import os
import sys
import threading
from collections import deque
from typing import TYPE_CHECKING, Any, Callable, Deque, Dict, List, Optional, Tuple, Union

# Sockets are bound here and now; the rest of the delivery is imported by the thread that needs it.
import energyrecorder.sockets  # noqa: F401  # bound before a test can patch `socket`
from energyrecorder.bell import Bell
from energyrecorder.clock import Instant, SystemClock
from energyrecorder.edge import never_raises
from energyrecorder.environment import is_disabled
from energyrecorder.errors import ConfigError
from energyrecorder.notices import LOG, Notices

if TYPE_CHECKING:
    from energyrecorder.delivery import Delivery
    from energyrecorder.sdk_settings import SdkSettings

Event = Dict[str, Any]
BATCH = 200
QUEUE_EVENTS = 50_000
HEARTBEAT_NS = 30_000_000_000
EXIT_S = 2.0
_TICK_S = 1.0
_IMPORT_S = 10.0
_LINGER_S, _LONGEST_LINGER_S = 0.02, 0.32
"""Pause after the first event, so that a burst makes one request and the caller keeps the interpreter;
doubled while events go on coming: each time this thread wakes, the caller's caches grow cold."""


class _Flush:
    """Asks the thread to say when everything queued before has been sent or kept."""

    def __init__(self) -> None:
        self.done = threading.Event()


class Client:
    """Takes events of any thread and delivers them by a daemon thread that starts with the first one.

    Args:
        settings: Where to; None reads them when the first event comes.
        now: The clocks.
        notices: Told of trouble, once per kind.
    """

    def __init__(
        self,
        settings: Optional[SdkSettings] = None,
        *,
        now: Optional[Callable[[], Instant]] = None,
        notices: Optional[Notices] = None,
    ) -> None:
        self._now = SystemClock().now if now is None else now
        self._notices = notices or Notices()
        self._settings = settings
        self._origin: Optional[Tuple[Dict[str, str], Optional[str]]] = None
        self._disabled = False
        self._registered = False
        self._deadline_ns: Optional[int] = None
        self._stuck = False
        self._start_afresh()

    def submit(self, event: Event) -> None:
        """Take an event; it is delivered, kept in the spool or, when the queue is full, dropped and told."""
        if self._origin is None:
            self._origin = (dict(os.environ), _cwd())
            self._disabled = is_disabled(self._origin[0])
        if self._disabled:
            return
        waiting = len(self._queue)
        if waiting >= QUEUE_EVENTS:
            self._notices.tell("queue", "steps come faster than they can be kept; some are dropped")
            return
        self._queue.append(event)
        self._arrived.ring()
        if self._thread is None:
            self._start()
        elif waiting >= BATCH:
            self._hurry.ring()

    @never_raises
    def flush(self, timeout_s: Optional[float] = None) -> None:
        """Return when every event so far is delivered or kept.

        Args:
            timeout_s: Longest wait, in seconds; None means `EXIT_S`.
        """
        timeout_s = EXIT_S if timeout_s is None else timeout_s
        if self._thread is None:
            self._keep_what_is_queued()
            return
        request = _Flush()
        self._deadline_ns = self._now().boot_ns + int(timeout_s * 0.8e9)
        self._queue.append(request)
        self._arrived.ring()
        self._hurry.ring()
        # A look-up of a name may hang for long: the end of the program has two handlers, but waits once.
        if not request.done.wait(0.0 if self._stuck else timeout_s):
            self._stuck = True
            self._keep_what_is_queued()
        self._deadline_ns = None

    def _start_afresh(self) -> None:
        """Begin without queue and thread: at first, and in a forked child, which has neither."""
        # No queue of the standard library: a signal handler may call `submit` in the middle of `submit`.
        self._queue: Deque[Union[Event, _Flush]] = deque()
        self._arrived = Bell()
        self._hurry = Bell()
        self._thread: Optional[threading.Thread] = None
        self._starting = threading.Lock()
        self._linger_s = _LINGER_S
        self._imported = threading.Event()
        self._deadline_ns = None
        self._stuck = False
        self._in_flight: List[Event] = []
        self._open_steps: Dict[str, None] = {}
        self._renewed_ns = self._now().boot_ns

    def _start(self) -> None:
        if not self._starting.acquire(blocking=False):
            return  # another thread is at it, or the code that this signal handler interrupts
        try:
            if self._thread is None:
                self._register()
                # Known before it runs: `flush` in another thread waits for it.
                self._thread = threading.Thread(target=self._run, name="energyrecorder", daemon=True)
                self._thread.start()
        except RuntimeError:  # the interpreter is shutting down, or the process may have no more threads
            self._thread = None
            self._keep_what_is_queued()
        finally:
            self._starting.release()

    def _register(self) -> None:
        """Ask to be called when the process forks or ends."""
        if not self._registered:
            self._registered = True
            atexit.register(self.flush)
            os.register_at_fork(before=self._let_imports_end, after_in_child=self._start_afresh)
        multiprocessing = sys.modules.get("multiprocessing.util")
        if multiprocessing is not None:
            # Its children leave by os._exit, past atexit, but do run these.
            multiprocessing.Finalize(None, self.flush, exitpriority=0)

    def _let_imports_end(self) -> None:
        """Wait for the thread's imports: a child forked in their middle would hang on their locks."""
        if self._thread is not None:
            self._imported.wait(_IMPORT_S)

    def _run(self) -> None:
        imported = self._imported
        try:
            delivery = self._delivery()  # with this, all that this thread ever imports
            imported.set()
            while True:
                self._serve(delivery)
        except Exception:  # noqa: BLE001  # the SDK's edge: a defect of ours must not print into a test run
            LOG.debug("the delivery thread ended", exc_info=True)
            self._notices.tell("defect", "recording stopped by an internal error; set logging to see it")
        finally:
            imported.set()

    def _serve(self, delivery: Delivery) -> None:
        batch, request = self._take()
        if batch:
            delivery.deliver(self._as_json(batch, delivery.settings), timeout_s=self._timeout_s())
            self._in_flight = []
            self._stuck = False
            self._follow(batch)
        if request is not None:
            request.done.set()
        elif not batch and delivery.settings.env is not None and delivery.spool.pending():
            delivery.deliver([], timeout_s=self._timeout_s())
        self._renew(delivery)

    def _take(self) -> Tuple[List[Event], Optional[_Flush]]:
        """Return what is queued, up to one batch, and the flush that ends it, if any."""
        # What this thread holds is kept by `flush` if the process ends before it is sent.
        batch = self._in_flight = []
        while not self._queue and self._arrived.wait(_TICK_S):
            pass  # what rang may have been taken with the batch before
        try:
            while not isinstance(taken := self._queue.popleft(), _Flush):
                batch.append(taken)
                if len(batch) >= BATCH:
                    return batch, None
                if len(batch) == 1:
                    self._linger()
        except IndexError:
            self._linger_s = min(self._linger_s * 2, _LONGEST_LINGER_S) if batch else _LINGER_S
            return batch, None
        return batch, taken

    def _linger(self) -> None:
        """Wait for more events, but not when there is a batch of them or somebody waits for us."""
        self._hurry.wait(0)  # what rang before was meant for an earlier batch
        if self._deadline_ns is None and len(self._queue) < BATCH:
            self._hurry.wait(self._linger_s)

    def _timeout_s(self) -> float:
        # Looked at once: `flush` takes it back in another thread, as soon as its request is done.
        deadline_ns = self._deadline_ns
        if deadline_ns is None:
            return EXIT_S
        return max(0.05, min(EXIT_S, (deadline_ns - self._now().boot_ns) / 1e9))

    def _follow(self, batch: List[Event]) -> None:
        for event in batch:
            if event["op"] == "start":
                self._open_steps[event["step_id"]] = None
            elif event["op"] == "stop":
                self._open_steps.pop(event["step_id"], None)

    def _renew(self, delivery: Delivery) -> None:
        now_ns = self._now().boot_ns
        if now_ns - self._renewed_ns < HEARTBEAT_NS:
            return
        self._renewed_ns = now_ns
        if self._open_steps:
            delivery.heartbeat(list(self._open_steps))

    def _keep_what_is_queued(self) -> None:
        """Write what no thread will send into the spool."""
        left, self._in_flight = list(self._in_flight), []
        try:
            while True:
                event = self._queue.popleft()
                if not isinstance(event, _Flush):
                    left.append(event)
        except IndexError:
            pass
        if left:
            delivery = self._delivery()
            delivery.spool.append(self._as_json(left, delivery.settings))

    def _as_json(self, events: List[Event], settings: SdkSettings) -> List[Event]:
        """Return events as they are sent and kept: instants written out, what is known of the job added."""
        from energyrecorder.ci_context import ci_context

        context = ci_context(self._origin[0] if self._origin else os.environ)
        known = {} if settings.env is None else {"env": settings.env}
        # What lies in a run inherits its servers.
        limited = {"servers": list(settings.servers)} if settings.servers else {}
        written = []
        for event in events:
            at: Any = event.get("at")
            at_json = {"at": at.as_json()} if isinstance(at, Instant) else {}
            is_run = event["op"] == "start" and "parent_id" not in event
            written.append(
                {**({**limited, **context.added_to(event)} if is_run else event), **known, **at_json}
            )
        return written

    def _delivery(self) -> Delivery:
        """Return a delivery as the environment and the project's file said when the first event came."""
        from pathlib import Path

        from energyrecorder.delivery import Delivery  # 30 ms that no caller waits for
        from energyrecorder.sdk_settings import load, load_from_variables

        if self._settings is None:
            environ, cwd = self._origin or (dict(os.environ), _cwd())
            try:
                self._settings = load(environ, None if cwd is None else Path(cwd))
            except ConfigError as error:
                self._notices.tell("config", f"{error}; going on with the other environment variables alone")
                self._settings = load_from_variables(environ)
        return Delivery(self._settings, self._now, self._notices)


def _cwd() -> Optional[str]:
    try:
        return os.getcwd()  # noqa: PTH109  # pathlib costs every `import energyrecorder` 5 ms
    except OSError:  # it was removed
        return None
