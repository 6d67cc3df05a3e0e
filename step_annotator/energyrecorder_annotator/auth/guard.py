"""Tells from a request's ``Authorization`` header who calls; slows down who guesses."""

from __future__ import annotations

import base64
import binascii
import hmac
import logging
import time
from collections.abc import Callable
from pathlib import Path

from energyrecorder.errors import ConfigError
from energyrecorder.secret import Secret
from energyrecorder_annotator.auth.caller import ANYBODY, Caller
from energyrecorder_annotator.auth.tokens import Token, caller_of, read_tokens

MOST_REFUSALS = 100
REFUSAL_SPAN_S = 60.0
"""After so many refusals within this span an address waits for the span to end.

Tokens of the file always pass: behind a reverse proxy all share one address, and nobody guesses 256 bits.
"""
_MOST_ADDRESSES = 10_000
LOOK_EVERY_S = 0.2
"""The token file is looked at so often: "at once" for people, and no system call per request."""
BURST_S = 2.0
"""A caller may use up its requests of so many seconds at once."""

_log = logging.getLogger(__name__)


class Guard:
    """Knows the tokens; a change of the file acts at once.

    Args:
        token: The settings' token, which may do everything; None without.
        tokens_file: Of `energyrecorder_annotator.auth.tokens`; while it exists, a token is asked for.
        requests_per_s: Most requests of one caller on average; 0 = any.
        now_s: Monotonic clock.

    Raises:
        ConfigError: The file is damaged.
    """

    def __init__(
        self,
        token: Secret | None,
        tokens_file: Path,
        *,
        requests_per_s: float = 0.0,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._token = None if token is None else token.reveal().encode()
        self._file = tokens_file
        self._now_s = now_s
        self._requests_per_s = requests_per_s
        self._budgets: dict[str, tuple[float, float]] = {}
        self._refusals: dict[str, tuple[float, int]] = {}
        self._looked_s = now_s()
        self._version: tuple[int, int, int] | None = None
        self._tokens: list[Token] = []
        version = self._file_version()
        if version is not None:
            self._tokens, self._version = read_tokens(tokens_file), version
        self.refused = 0
        self.limited = 0

    def change(self, token: Secret | None, requests_per_s: float) -> None:
        """Take over changed settings."""
        self._token = None if token is None else token.reveal().encode()
        self._requests_per_s = requests_per_s

    @property
    def has_no_tokens(self) -> bool:
        """Whether there is no token file."""
        return self._version is None

    def caller(self, authorization: str, address: str, *, basic: bool) -> Caller | None:
        """Return who calls, or None for a stranger.

        Args:
            authorization: The header; "" without one.
            address: Where the request comes from, for counting refusals.
            basic: Whether Basic is accepted, its password being a token; the user's name does not matter.
        """
        self._refresh()
        if self._token is None and self._version is None:
            return ANYBODY
        sent = _sent_token(authorization, basic=basic)
        found = None if sent is None else caller_of(sent, self._tokens)
        if found is None and sent is not None and not self.wait_s(address) and self._is_settings_token(sent):
            found = Caller(name="settings")
        if found is None:
            self.refused += 1
            self._count_refusal(address)
        return found

    def wait_s(self, address: str) -> float:
        """Return how long this address has to wait after too many refusals; 0 in the usual case."""
        if not self._refusals:
            return 0.0
        since_s, count = self._refusals.get(address, (0.0, 0))
        left_s = since_s + REFUSAL_SPAN_S - self._now_s()
        return left_s if count >= MOST_REFUSALS and left_s > 0 else 0.0

    def is_over_rate(self, key: str) -> bool:
        """Count a request of ``key`` and tell whether it is one too many."""
        if not self._requests_per_s:
            return False
        now_s = self._now_s()
        most = self._requests_per_s * BURST_S
        left, since_s = self._budgets.get(key, (most, now_s))
        left = min(most, left + (now_s - since_s) * self._requests_per_s)
        if left < 1:
            self.limited += 1
            self._budgets[key] = (left, now_s)
            return True
        if len(self._budgets) > _MOST_ADDRESSES:
            self._budgets.clear()
        self._budgets[key] = (left - 1, now_s)
        return False

    def _is_settings_token(self, sent: str) -> bool:
        return self._token is not None and hmac.compare_digest(sent.encode("utf-8", "replace"), self._token)

    def _count_refusal(self, address: str) -> None:
        now_s = self._now_s()
        since_s, count = self._refusals.get(address, (now_s, 0))
        if now_s - since_s > REFUSAL_SPAN_S:
            since_s, count = now_s, 0
        if len(self._refusals) >= _MOST_ADDRESSES and address not in self._refusals:
            self._refusals.clear()
        self._refusals[address] = (since_s, count + 1)
        if count + 1 == MOST_REFUSALS:
            _log.warning(
                "%s was refused %d times within a minute; it has to wait", repr(address), MOST_REFUSALS
            )

    def _file_version(self) -> tuple[int, int, int] | None:
        try:
            found = self._file.stat()
        except FileNotFoundError:
            return None
        except OSError:
            return (0, 0, 0)
        return (found.st_mtime_ns, found.st_size, found.st_ino)

    def _refresh(self) -> None:
        now_s = self._now_s()
        if now_s < self._looked_s + LOOK_EVERY_S:
            return
        self._looked_s = now_s
        version = self._file_version()
        if version == self._version or version is None:
            # A file that vanishes does not open the service: who removes it restarts on purpose.
            return
        self._version = version
        try:
            self._tokens = read_tokens(self._file)
        except ConfigError as error:
            _log.error("%s; the tokens known so far stay", error)


def _sent_token(authorization: str, *, basic: bool) -> str | None:
    kind, _, rest = authorization.partition(" ")
    if kind.lower() == "bearer":
        return rest.strip()
    if basic and kind.lower() == "basic":
        try:
            return base64.b64decode(rest.strip(), validate=True).decode("utf-8").partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            return None
    return None
