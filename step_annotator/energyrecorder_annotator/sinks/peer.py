"""One HTTP peer of a sink: a keep-alive connection, bounded waits, and which answers mean "later"."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import requests

from energyrecorder_annotator.influx.client import CONNECT_S, retry_after_s
from energyrecorder_annotator.sinks.base import SinkAwayError
from energyrecorder_annotator.sinks.settings import HttpSinkSettings
from energyrecorder_annotator.unreachable import why

_SHOWN = 300
_LATER = frozenset({401, 403, 407, 408, 421, 423, 425, 429})
"""Somebody will mend the credentials, or the peer has too much to do: nothing may be lost until then."""


class Peer:
    """Requests with JSON in both directions; used by one thread.

    Args:
        name: For messages.
        settings: Where it is, and its token.
    """

    def __init__(self, name: str, settings: HttpSinkSettings) -> None:
        self._name = name
        self._settings = settings
        self._session = requests.Session()
        # A proxy meant for the internet must not see the token of a server in the lab.
        self._session.trust_env = False
        if settings.token is not None:
            self._session.headers["Authorization"] = f"Bearer {settings.token.reveal()}"

    def close(self) -> None:
        """Let go of the connection."""
        self._session.close()

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """Return the answer, which is a success or says that this very request is wrong.

        Raises:
            SinkAwayError: Try again later.
        """
        timeout_s = self._settings.timeout_s
        try:
            answer = self._session.request(
                method,
                self._settings.url + path,
                json=body,
                params=params,
                headers=headers,
                timeout=(min(CONNECT_S, timeout_s), timeout_s),
                allow_redirects=False,
            )
        except requests.Timeout:
            raise SinkAwayError(f"{self._name} does not answer in time") from None
        except (requests.RequestException, OSError) as error:
            raise SinkAwayError(f"{self._name} cannot be reached: {why(error)}") from None
        status = answer.status_code
        if status in _LATER or status >= 500 or 300 <= status < 400:  # noqa: PLR2004  # classes of RFC 9110
            told = answer.text[:_SHOWN].strip()
            raise SinkAwayError(
                f"{self._name} answers HTTP {status}: {told!r}", retry_after_s=retry_after_s(answer.headers)
            )
        return answer


def refusal(name: str, answer: requests.Response) -> str:
    """Return what a peer says of a request that it will never take."""
    return f"{name} answers HTTP {answer.status_code}: {answer.text[:_SHOWN].strip()!r}"
