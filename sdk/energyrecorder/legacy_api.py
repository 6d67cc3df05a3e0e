"""Tells steps to a service that speaks the original recorder's API only.

That service holds one scenario and one step for each environment and stamps samples as they come. So there is
no step to keep for later, nesting is done by putting back what was there before, and marks have no place.
Paths, bodies and codes: the original's ``recorders/environment`` resource below ``/resources``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, Dict, List, Optional, Sequence
from urllib.parse import quote

from energyrecorder.clock import Instant, age_ns
from energyrecorder.transport import Transport, TransportError

Event = Dict[str, Any]
Answer = Dict[str, Any]

INITIAL_STEP = "running"
"""Step of a scenario outside of all of its steps, as the original's SDK calls it."""
LATE_NS = 60 * 10**9
_ROOTS = ("/resources", "")
_NOT_FOUND, _SERVER_ERROR = 404, 500
_REFUSED_LOGIN = (401, 403)
_PROBE_S = 1.0


def find_root(transport: Transport, *, timeout_s: float) -> Optional[str]:
    """Return the path below which a service answers the original's ping; None when it does not.

    Args:
        transport: The way to the service.
        timeout_s: Bound of each try.
    """
    for root in _ROOTS:
        try:
            answer = transport.exchange("GET", f"{root}/monitoring/ping", timeout_s=min(timeout_s, _PROBE_S))
        except TransportError:
            continue
        if answer.get("status") == "OK":
            return root
    return None


@dataclass(frozen=True)
class _Frame:
    """What the service holds at one level; ``step_id`` is None for what was there before us."""

    step_id: Optional[str]
    scenario: str
    step: str


class LegacyApi:
    """Translates events into calls of the original API; used by one thread at a time.

    Args:
        transport: The way to the service.
        root: Path below which it answers.
        now: The clocks.
    """

    def __init__(self, transport: Transport, root: str, now: Callable[[], Instant]) -> None:
        self._transport = transport
        self._root = root
        self._now = now
        self._open: Dict[str, List[_Frame]] = {}

    def deliver(self, events: Sequence[Event], timeout_s: float) -> List[Answer]:
        """Tell events in order, within ``timeout_s`` for all of them, and return an answer to each.

        Raises:
            TransportError: The service is away; nothing was told.
        """
        until_ns = self._now().boot_ns + int(timeout_s * 1e9)
        answers: List[Answer] = []
        for event in events:
            left_s = (until_ns - self._now().boot_ns) / 1e9
            if left_s <= 0:
                break
            try:
                answers.append(self._tell(event, left_s))
            except TransportError as error:
                if error.status is None or error.status >= _SERVER_ERROR or error.status in _REFUSED_LOGIN:
                    if not answers:
                        raise
                    break
                answers.append(_refusal(error.status, "refused", str(error)))
        return answers + [{"status": 503}] * (len(events) - len(answers))

    def _tell(self, event: Event, timeout_s: float) -> Answer:
        op = event["op"]
        if op in ("start", "step") and age_ns(event.get("at"), self._now()) > LATE_NS:
            # Samples are stamped as they come: a step that is told late would be given others' energy.
            return _refusal(410, "too_late", "the original's service takes steps as they happen only")
        if op == "start":
            self._start(event, timeout_s)
        elif op == "stop":
            self._stop(event, timeout_s)
        elif op == "step":
            self._call("POST", event["env"], {"step": event["step"]}, timeout_s, tail="/step")
        elif op == "mark":
            return _refusal(501, "no_marks", "the original's service keeps no marks")
        return {"status": 200}

    def _start(self, event: Event, timeout_s: float) -> None:
        env, scenario = event["env"], event["scenario"]
        step = event.get("step") or INITIAL_STEP
        frames = self._open.setdefault(env, [])
        if any(frame.step_id == event["step_id"] for frame in frames):
            return
        if not frames:
            before = self._current(env, timeout_s)
            if before is not None:
                frames.append(before)
        inside = bool(frames) and frames[-1].scenario == scenario
        self._put(env, scenario, step, timeout_s, scenario_is_set=inside)
        frames.append(_Frame(event["step_id"], scenario, step))

    def _stop(self, event: Event, timeout_s: float) -> None:
        env = event["env"]
        frames = self._open.get(env, [])
        ended = next((frame for frame in frames if frame.step_id == event["step_id"]), None)
        if ended is None:
            self._stop_elsewhere(event, timeout_s)
            return
        was_innermost = frames[-1] is ended
        if was_innermost and len(frames) > 1:
            before = frames[-2]
            same = before.scenario == ended.scenario
            self._put(env, before.scenario, before.step, timeout_s, scenario_is_set=same)
        elif was_innermost:
            self._end(env, timeout_s)
        frames.remove(ended)
        if len(frames) == 1 and frames[0].step_id is None:
            frames.clear()  # what was there before us may be gone by the time we come again

    def _stop_elsewhere(self, event: Event, timeout_s: float) -> None:
        """End what another process began, as two calls of `energy-step` do, if it is still what runs."""
        env = event["env"]
        current = self._current(env, timeout_s)
        if current is None or current.scenario != event.get("scenario"):
            return
        if event.get("step") is None:
            self._end(env, timeout_s)
        elif current.step == event["step"]:
            self._put(env, current.scenario, INITIAL_STEP, timeout_s, scenario_is_set=True)

    def _put(self, env: str, scenario: str, step: str, timeout_s: float, *, scenario_is_set: bool) -> None:
        if scenario_is_set:
            try:
                self._call("POST", env, {"step": step}, timeout_s, tail="/step")
            except TransportError as error:
                if error.status != _NOT_FOUND:
                    raise
            else:
                return
        self._call("POST", env, {"scenario": scenario, "step": step}, timeout_s)

    def _end(self, env: str, timeout_s: float) -> None:
        try:
            self._call("DELETE", env, None, timeout_s)
        except TransportError as error:
            if error.status != _NOT_FOUND:
                raise

    def _current(self, env: str, timeout_s: float) -> Optional[_Frame]:
        try:
            answer = self._call("GET", env, None, timeout_s)
        except TransportError as error:
            if error.status != _NOT_FOUND:
                raise
            return None
        return _Frame(None, str(answer.get("scenario")), str(answer.get("step")))

    def _call(
        self, method: str, env: str, body: Optional[Event], timeout_s: float, *, tail: str = ""
    ) -> Answer:
        path = f"{self._root}/recorders/environment/{quote(env, safe='')}{tail}"
        return self._transport.exchange(method, path, body, timeout_s=timeout_s)


def _refusal(status: int, code: str, message: str) -> Answer:
    return {"status": status, "error": {"code": code, "message": message}}
