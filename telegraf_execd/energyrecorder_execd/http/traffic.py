"""Logs the traffic of one BMC whose entry says ``debug = true``, secrets masked."""

from __future__ import annotations

import base64
import json
import logging
import re

from energyrecorder.secret import MASK
from energyrecorder_execd.http.exchange import Exchange, RawAnswer
from energyrecorder_execd.readers.base import Target

MAX_SHOWN = 2000
"""Characters of a body that are logged."""

_SECRET_KEYS = re.compile(
    r'("[^"]*(?:password|passwd|token|secret|session_?key)[^"]*"\s*:\s*)"(?:[^"\\]|\\.)*"', re.IGNORECASE
)
_SHOWN_HEADERS = ("location", "retry-after", "content-type", "server")

_log = logging.getLogger(__name__)


class TrafficLog:
    """A listener of one BMC.

    Args:
        target: The BMC; its password is masked wherever it appears.
    """

    def __init__(self, target: Target) -> None:
        self._server = target.server
        password = target.password.reveal()
        login = base64.b64encode(f"{target.user}:{password}".encode()).decode("ascii")
        forms = {password, json.dumps(password)[1:-1], login}
        self._secrets = sorted((form for form in forms if form), key=len, reverse=True)

    def __call__(self, exchange: Exchange) -> None:
        """Log one exchange; the body of a log-in is never shown."""
        outcome = exchange.outcome
        if isinstance(outcome, RawAnswer):
            took_ms = (outcome.received_ns - outcome.sent_ns) / 1e6
            shown = self._shown(exchange, outcome)
            told = f"{outcome.status}, {len(outcome.body)} bytes, {took_ms:.0f} ms {shown}"
        else:
            told = f"{outcome.reason}: {outcome}"
        _log.info("%s: %s %s -> %s", self._server, exchange.method, exchange.path, self._masked(told))

    def _shown(self, exchange: Exchange, answer: RawAnswer) -> str:
        headers = {name: answer.headers[name] for name in _SHOWN_HEADERS if name in answer.headers}
        if exchange.method != "GET":
            return f"{headers}"
        text = self._masked(answer.body.decode("utf-8", "replace"))
        more = "" if len(text) <= MAX_SHOWN else f" … {len(text) - MAX_SHOWN} more"
        return f"{headers} {text[:MAX_SHOWN]!r}{more}"

    def _masked(self, text: str) -> str:
        for form in self._secrets:
            text = text.replace(form, MASK)
        return _SECRET_KEYS.sub(rf'\1"{MASK}"', text)
