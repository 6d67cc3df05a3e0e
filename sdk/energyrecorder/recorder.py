"""Which scenario and step are open where in this process; it knows nothing of how events are delivered.

The innermost open scope is a context variable, so threads, tasks and generators nest each for themselves. A
thread that was started without a context belongs to the scenario that was opened last.
"""

from __future__ import annotations

import contextlib
import os
from contextvars import ContextVar, Token
from threading import RLock
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Sequence, Union

from energyrecorder.clock import Instant
from energyrecorder.edge import never_raises
from energyrecorder.environment import Inherited
from energyrecorder.notices import LOG

Submit = Callable[[Dict[str, Any]], None]
TTL_S = 120
"""Silence after which the annotator takes a step of ours for lost; it is renewed every 30 s."""

_urandom = os.urandom
_ANOTHER = -1
"""Stands for the process of a scope that was opened elsewhere."""


def new_id() -> str:
    """Return a random UUID (RFC 9562, version 4) in text form.

    Not by ``uuid``: a test that patches ``uuid.uuid4`` to be constant must not merge its steps.
    """
    raw = bytearray(_urandom(16))
    raw[6] = raw[6] & 0x0F | 0x40
    raw[8] = raw[8] & 0x3F | 0x80
    digits = raw.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


class Scope:
    """One open scenario or step of this process.

    Args:
        step_id: Its id.
        run_id: Id of the root it lies in; its own for a root.
        parent_id: Id of the scope around it; None for a root.
        scenario: Name of the scenario it is or lies in.
        step: Name of the step; None for a scenario.
        outer: The scope around it in this process; None if there is none.
    """

    __slots__ = ("closed", "implicit", "outer", "parent_id", "pid", "run_id", "scenario", "step", "step_id")

    def __init__(
        self,
        *,
        step_id: str,
        run_id: str,
        parent_id: Optional[str],
        scenario: str,
        step: Optional[str],
        outer: Optional[Scope],
    ) -> None:
        self.step_id = step_id
        self.run_id = run_id
        self.parent_id = parent_id
        self.scenario = scenario
        self.step = step
        self.outer = outer
        self.implicit: Optional[Scope] = None
        self.closed = False
        self.pid = os.getpid()

    def __repr__(self) -> str:
        name = self.scenario if self.step is None else f"{self.scenario} / {self.step}"
        return f"<{'closed' if self.closed else 'open'} {name!r} {self.step_id}>"

    @property
    def environ(self) -> Dict[str, str]:
        """Variables that make what a child process records a part of this scope."""
        return {
            "ENERGY_RUN_ID": self.run_id,
            "ENERGY_STEP_ID": self.step_id,
            "ENERGY_SCENARIO": self.scenario,
        }


class Recorder:
    """Opens and closes scopes and submits an event for each.

    Args:
        submit: Takes events; must neither block nor raise.
        now: The clocks.
        inherited: Returns the step of the process that started this one; None if there is none.
    """

    def __init__(
        self,
        submit: Submit,
        now: Callable[[], Instant],
        inherited: Callable[[], Optional[Inherited]] = lambda: None,
    ) -> None:
        self.submit = submit
        self._now = now
        self._inherited = inherited
        self._innermost: ContextVar[Optional[Scope]] = ContextVar("energyrecorder", default=None)
        self._roots: List[Scope] = []
        self._started: List[Scope] = []
        self._make_lock()
        os.register_at_fork(after_in_child=self._make_lock)

    def _make_lock(self) -> None:
        self._lock = RLock()  # a signal handler may record while the code that it interrupts holds it

    @never_raises
    def current(self) -> Optional[Scope]:
        """Return the innermost open scope here; None when nothing is recorded."""
        scope = self._innermost.get()
        while scope is not None and scope.closed:
            scope = scope.outer
        if scope is None:
            roots = self._roots
            scope = roots[-1] if roots else None
        return scope

    @never_raises
    def open(
        self,
        name: str,
        *,
        is_step: bool,
        servers: Sequence[str] = (),
        tags: Optional[Mapping[str, str]] = None,
        work: Optional[float] = None,
    ) -> Optional[Scope]:
        """Open a scope within the innermost one, without entering it, and return it.

        Args:
            name: Of the scenario or step.
            is_step: A step belongs to the scenario around it; without one it is a scenario itself.
            servers: Ids or globs; empty inherits.
            tags: What else to store with it.
            work: Units of work done in it, for energy per unit.
        """
        outer = self.current()
        around: Union[Scope, Inherited, None] = outer or self._inherited()
        name = text_of_name(name)
        step_id = new_id()
        scope = Scope(
            step_id=step_id,
            run_id=around.run_id if around else step_id,
            parent_id=around.step_id if around else None,
            scenario=(around.scenario or name) if around and is_step else name,
            step=name if around and is_step else None,
            outer=outer,
        )
        event = self._event("start", scope, ttl_s=TTL_S)
        if scope.parent_id:
            event["parent_id"] = scope.parent_id
        if servers or tags or work is not None:
            # What cannot be understood is left out: the step itself counts.
            event.update(_options(servers, tags, work) or {})
        if outer is None:
            with self._lock:
                self._roots.append(scope)
        self.submit(event)
        return scope

    @never_raises
    def adopt(self, around: Inherited) -> Scope:
        """Take a scope of another process for the outermost one here, without entering it, and return it.

        Threads without a context belong to it too; it is never closed here.

        Args:
            around: The scope.
        """
        scope = Scope(
            step_id=around.step_id,
            run_id=around.run_id,
            parent_id=None,
            scenario=around.scenario or "",
            step=None,
            outer=None,
        )
        scope.pid = _ANOTHER
        with self._lock:
            self._roots.append(scope)
        return scope

    @contextlib.contextmanager
    def diverted(self, submit: Submit) -> Iterator[None]:
        """Give the events of the block to ``submit`` alone, as if nothing were open around it."""
        before = self.submit, self._inherited, self._roots, self._started
        token = self._innermost.set(None)
        self.submit, self._inherited, self._roots, self._started = submit, lambda: None, [], []
        try:
            yield
        finally:
            self.submit, self._inherited, self._roots, self._started = before
            self._innermost.reset(token)

    def enter(self, scope: Scope) -> Token[Optional[Scope]]:
        """Make ``scope`` the innermost one of this context."""
        return self._innermost.set(scope)

    def leave(self, scope: Scope, token: Token[Optional[Scope]]) -> None:
        """Make the scope that was innermost before ``enter`` the innermost again."""
        try:
            self._innermost.reset(token)
        except ValueError:  # left in another context than entered, as fixtures of async tests are
            if self._innermost.get() is scope:
                self._innermost.set(scope.outer)

    def innermost(self) -> Optional[Scope]:
        """Return what this context holds, open or closed."""
        return self._innermost.get()

    @never_raises
    def close(self, scope: Scope, outcome: str, exit_code: Optional[int] = None) -> None:
        """Close a scope and its implicit step; harmless when it is closed, or another process' own.

        Args:
            scope: The scope.
            outcome: One of `energyrecorder.schema.OUTCOMES`.
            exit_code: Of the command that the scope wrapped; None when it wrapped none.
        """
        with self._lock:
            if scope.closed or scope.pid != os.getpid():
                return
            scope.closed = True
            implicit, scope.implicit = scope.implicit, None
            if scope.outer is None and scope in self._roots:
                self._roots.remove(scope)
        if implicit is not None:
            self.close(implicit, outcome)
        more = {} if exit_code is None else {"exit_code": exit_code}
        self.submit(self._event("stop", scope, outcome=outcome, **more))

    @never_raises
    def patch(self, scope: Scope, **more: Any) -> None:
        """Add to what is stored with a scope: ``work``, ``tags``, ``title``, ``url``."""
        self.submit({"op": "patch", "step_id": scope.step_id, **more})

    @never_raises
    def set_step(self, name: str) -> None:
        """Begin an implicit step of the innermost scope, which ends the one before."""
        outer = self.current()
        if outer is None:
            self._set_step_elsewhere(name)
            return
        step = Scope(
            step_id=new_id(),
            run_id=outer.run_id,
            parent_id=outer.step_id,
            scenario=outer.scenario,
            step=text_of_name(name),
            outer=outer,
        )
        with self._lock:
            before, outer.implicit = outer.implicit, step
        if before is not None:
            self.close(before, "passed")
        self.submit(self._event("start", step, parent_id=outer.step_id, ttl_s=TTL_S))

    @never_raises
    def start(self, scenario: str) -> None:
        """Open a scenario that lasts until `stop` or the end of the process."""
        scope = self.open(scenario, is_step=False)
        if scope is not None:
            self.enter(scope)
            self._started.append(scope)

    @never_raises
    def stop(self, outcome: str = "passed") -> None:
        """Close the scenario that `start` opened last."""
        started = [scope for scope in self._started if not scope.closed]
        if not started:
            LOG.info("stop without a start; nothing is recorded")
            return
        scope = started[-1]
        self.close(scope, outcome)
        self._started = started[:-1]
        if self._innermost.get() is scope:
            self._innermost.set(scope.outer)

    @never_raises
    def mark(self, title: str, text: Optional[str] = None) -> None:
        """Note an instant in the innermost scope."""
        around: Union[Scope, Inherited, None] = self.current() or self._inherited()
        event: Dict[str, Any] = {"op": "mark", "at": self._now(), "title": text_of_name(title)}
        if text:
            event["text"] = text_of_name(text)
        if around is not None:
            event["run_id"] = around.run_id
            if around.scenario:
                event["scenario"] = around.scenario
        self.submit(event)

    @never_raises
    def close_all(self) -> None:
        """Close what is still open when the process ends: nobody will do so later."""
        for scope in reversed(self._started):
            self.close(scope, "aborted")
        for scope in reversed(self._roots):
            self.close(scope, "aborted")

    def _set_step_elsewhere(self, name: str) -> None:
        around = self._inherited()
        event: Dict[str, Any] = {
            "op": "step",
            "at": self._now(),
            "step": text_of_name(name),
            "step_id": new_id(),
        }
        if around is not None:
            event["run_id"] = around.run_id
        self.submit(event)

    def _event(self, op: str, scope: Scope, **more: Any) -> Dict[str, Any]:
        event = {"op": op, "at": self._now(), "step_id": scope.step_id, "scenario": scope.scenario, **more}
        if scope.step is not None:
            event["step"] = scope.step
        return event


@never_raises
def _options(
    servers: Sequence[str], tags: Optional[Mapping[str, str]], work: Optional[float]
) -> Dict[str, Any]:
    found: Dict[str, Any] = {}
    if servers:
        found["servers"] = [servers] if isinstance(servers, str) else [str(server) for server in servers]
    if tags:
        found["tags"] = {text_of_name(key): text_of_name(value) for key, value in tags.items()}
    if work is not None:
        found["work"] = float(work)
    return found


def text_of_name(value: object) -> str:
    """Return a name that the annotator takes: not blank, and an undecodable byte becomes a question mark."""
    text = value if isinstance(value, str) else str(value)
    if not text.strip():
        return "unnamed"
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")
