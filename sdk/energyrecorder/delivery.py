"""Brings events to the annotator in batches, or to the spool when it is away; used by SDK and CLI alike."""

from __future__ import annotations

import hashlib
from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence

from energyrecorder.clock import Instant, age_ns
from energyrecorder.errors import AnnotatorError
from energyrecorder.legacy_api import LegacyApi, find_root
from energyrecorder.notices import LOG, Notices
from energyrecorder.sdk_settings import SdkSettings
from energyrecorder.spool import BATCH, Replay, Spool
from energyrecorder.spool_line import Event
from energyrecorder.transport import Transport, TransportError

_AUTH = (401, 403)
_TOO_MANY = 429
_NO_SUCH_ROUTE = (404, 405)
_MALFORMED = (400, 413, 422)
MAX_BATCH_CHARACTERS = 400_000
"""Of names in one request: even if each is escaped as ``\\uXXXX``, it stays below the annotator's 4 MiB."""
_CLIENT_ERROR, _SERVER_ERROR = 400, 500


class Breaker:
    """Keeps calls away from an annotator that does not answer: 1 s, then twice as long, up to a minute.

    Times are nanoseconds of the boot clock.
    """

    FIRST_NS = 1_000_000_000
    LONGEST_NS = 60_000_000_000

    def __init__(self) -> None:
        self._pause_ns = 0
        self._closed_from_ns = 0

    def allows(self, now_ns: int) -> bool:
        """Tell whether a call may be made."""
        return now_ns >= self._closed_from_ns

    def succeeded(self) -> None:
        """Forget past failures."""
        self._pause_ns = self._closed_from_ns = 0

    def failed(self, now_ns: int) -> None:
        """Hold calls back, twice as long as after the failure before."""
        self._pause_ns = min(self.LONGEST_NS, max(self.FIRST_NS, self._pause_ns * 2))
        self._closed_from_ns = now_ns + self._pause_ns


def spool_of(settings: SdkSettings, notices: Notices) -> Spool:
    """Return the spool of the annotator that is configured: events never go to another one."""
    name = "default" if settings.url_is_default else hashlib.sha256(settings.url.encode()).hexdigest()[:16]
    return Spool(settings.spool_dir / name, notices)


class Delivery:
    """Delivers for one process; used by one thread at a time.

    Args:
        settings: Where to, and as whom.
        now: The clocks.
        notices: Told of trouble, once per kind.
        spool: Another spool than that of ``settings``; None means that one.
    """

    def __init__(
        self,
        settings: SdkSettings,
        now: Callable[[], Instant],
        notices: Notices,
        *,
        spool: Optional[Spool] = None,
    ) -> None:
        self.settings = settings
        self.spool = spool or spool_of(settings, notices)
        self.transport = Transport(settings.url, now=now, authorization=settings.authorization())
        self.breaker = Breaker()
        self._legacy: Optional[LegacyApi] = None
        self._now = now
        self._notices = notices

    def deliver(self, events: Sequence[Event], *, timeout_s: float = 2.0) -> List[Optional[Dict[str, Any]]]:
        """Send events after those that wait already, or keep them; never raises for trouble outside.

        Args:
            events: In order; one without an environment is kept until a person names one.
            timeout_s: Bound of each exchange.

        Returns:
            The annotator's answer to each event; None where it is not (yet) accepted.
        """
        nothing: List[Optional[Dict[str, Any]]] = [None] * len(events)
        if self.settings.env is None:
            self._notices.tell(
                "no-env",
                "the environment is not known: set ENERGY_ENV; steps are kept, "
                "`energy-step flush --env NAME` sends them",
            )
            self.spool.append(events)
            return nothing
        if self.settings.env_is_agent:
            self._notices.tell(
                "agent",
                f"the environment {self.settings.env!r} is from Jenkins' NODE_NAME, which names the agent: "
                "set ENERGY_ENV, or map the name in the annotator's [env_aliases]",
            )
        if not self.breaker.allows(self._now().boot_ns):
            self.spool.append(events)
            return nothing
        try:
            if self.spool.pending() and self.replay(max_batches=10, timeout_s=timeout_s).left:
                self.spool.append(events)  # what waited goes first, and there is more of it
                return nothing
            answers = self._send(events, timeout_s)
        except AnnotatorError as error:
            self.trouble(error)
            self.spool.append(events)
            return nothing
        self.breaker.succeeded()
        again = [event for event, answer in zip(events, answers) if _is_temporary(answer)]  # noqa: B905  # strict= is of 3.10
        if again:
            self.spool.append(again)
        return [answer if _accepted(answer) else None for answer in answers]

    def replay(
        self,
        *,
        timeout_s: float = 2.0,
        max_batches: Optional[int] = None,
        include_old: bool = False,
        adopt_env: Optional[str] = None,
    ) -> Replay:
        """Send what waits in the spool.

        Raises:
            AnnotatorError: The annotator is away; what was not sent stays.
        """

        def send(events: List[Event]) -> List[Event]:
            homeless = [event for event in events if not event.get("env")]
            sent = [event for event in events if event.get("env")]
            answers = self._send(sent, timeout_s) if sent else []
            return homeless + [event for event, answer in zip(sent, answers) if _is_temporary(answer)]  # noqa: B905  # strict= is of 3.10

        try:
            return self.spool.replay(
                send,
                now_ns=self._now().wall_ns,
                include_old=include_old,
                adopt_env=adopt_env,
                max_batches=max_batches,
            )
        except OSError as error:
            LOG.debug("spool: %s", error)
            return Replay()

    def trouble(self, error: AnnotatorError) -> None:
        """Take note of a failed exchange: tell it once, hold the next ones back."""
        self.breaker.failed(self._now().boot_ns)
        status = error.status if isinstance(error, TransportError) else None
        if status in _AUTH:
            self._notices.tell("auth", f"{error}; steps are kept; set ENERGY_TOKEN")
            return
        hint = "set ENERGY_URL" if self.settings.url_is_default else "check ENERGY_URL"
        self._notices.tell(
            "away",
            f"{error}; steps are kept in {str(self.spool.folder)!r} and sent later; "
            f"{hint}, or ENERGY_DISABLED=1 to record nothing",
        )

    def heartbeat(self, step_ids: Sequence[str], *, timeout_s: float = 2.0) -> None:
        """Renew steps that still run; not kept when the annotator is away."""
        held_back = not self.breaker.allows(self._now().boot_ns)
        if self.settings.env is None or self._legacy is not None or held_back:
            return
        try:
            for first in range(0, len(step_ids), BATCH):
                items = [
                    {"op": "heartbeat", "step_id": step_id} for step_id in step_ids[first : first + BATCH]
                ]
                self._exchange(items, timeout_s)
        except AnnotatorError as error:
            self.trouble(error)

    def _send(self, events: Sequence[Event], timeout_s: float) -> List[Dict[str, Any]]:
        answers: List[Dict[str, Any]] = []
        for batch in _batches(events):
            if self._legacy is None:
                answers += self._send_to_unknown(batch, timeout_s)
            else:
                answers += self._legacy.deliver(batch, timeout_s)
        for event, answer in zip(events, answers):  # noqa: B905  # strict= is of 3.10
            self._tell(event, answer)
        return answers

    def _send_to_unknown(self, events: List[Event], timeout_s: float) -> List[Dict[str, Any]]:
        """Send a batch, to the original's API if that is what answers."""
        try:
            return self._send_batch(events, timeout_s)
        except TransportError as error:
            # Our annotator names a code with each refusal; without one it is another service.
            if error.status not in _NO_SUCH_ROUTE or error.code:
                raise
            root = find_root(self.transport, timeout_s=timeout_s)
            if root is None:
                raise
        LOG.info("%s speaks the original recorder's API; it is used", self.settings.url)
        self._legacy = LegacyApi(self.transport, root, self._now)
        return self._legacy.deliver(events, timeout_s)

    def _send_batch(self, events: List[Event], timeout_s: float) -> List[Dict[str, Any]]:
        try:
            return self._exchange(events, timeout_s)
        except TransportError as error:
            if error.status not in _MALFORMED or not error.code:
                raise
            # The batch as a whole was refused: find the event that is to blame, so that it blocks nothing.
            if len(events) == 1:
                return [{"status": error.status, "error": {"code": error.code, "message": str(error)}}]
            middle = len(events) // 2
            return self._send_batch(events[:middle], timeout_s) + self._send_batch(events[middle:], timeout_s)

    def _exchange(self, events: List[Event], timeout_s: float) -> List[Dict[str, Any]]:
        offset = self.transport.offset
        body = {
            "now": self._now().as_json(),
            "offset_ns": offset.offset_ns if offset else None,
            "offset_error_ns": offset.error_ns if offset else None,
            "items": events,
            **self._kept(events),
        }
        items = self.transport.exchange("POST", "/v1/batch", body, timeout_s=timeout_s).get("items")
        if not isinstance(items, list) or len(items) != len(events):
            raise TransportError(f"annotator at {self.settings.url}: answered a batch with something else")
        return [item if isinstance(item, dict) else {} for item in items]

    def _kept(self, events: Sequence[Event]) -> Dict[str, Any]:
        """Return what a request says of the spool: nothing when it is empty."""
        kept = self.spool.kept()
        if kept is None:
            return {}
        oldest_s = max(0, age_ns(kept.oldest_at, self._now())) / 1e9
        env = self.settings.env or events[0]["env"]
        return {"spool": {"env": env, "size_bytes": kept.size_bytes, "oldest_s": oldest_s}}

    def _tell(self, event: Event, answer: Dict[str, Any]) -> None:
        for warning in answer.get("warnings") or ():
            self._notices.tell(f"warning {warning}", f"{event.get('scenario')}: {warning}"[:500])
        error = answer.get("error")
        if _accepted(answer) or _is_temporary(answer) or not isinstance(error, dict):
            return
        code, message = error.get("code"), str(error.get("message"))[:300]
        self._notices.tell(
            f"refused {event['op']} {code}", f"the annotator refused a {event['op']}: {message!r}"
        )


def _batches(events: Sequence[Event]) -> Iterator[List[Event]]:
    """Cut events into requests that are neither too many items nor too long."""
    batch: List[Event] = []
    characters = 0
    for event in events:
        length = sum(len(value) for value in event.values() if isinstance(value, str))
        if batch and (len(batch) >= BATCH or characters + length > MAX_BATCH_CHARACTERS):
            yield batch
            batch, characters = [], 0
        batch.append(event)
        characters += length
    if batch:
        yield batch


def _status(answer: Dict[str, Any]) -> int:
    status = answer.get("status")
    return status if isinstance(status, int) else _SERVER_ERROR


def _accepted(answer: Dict[str, Any]) -> bool:
    return _status(answer) < _CLIENT_ERROR


def _is_temporary(answer: Dict[str, Any]) -> bool:
    status = _status(answer)
    return status >= _SERVER_ERROR or status == _TOO_MANY or status in _AUTH
