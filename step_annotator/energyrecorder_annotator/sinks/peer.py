"""The HTTP peer of a sink: JSON in both directions, and which answers mean "later"."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import requests

from energyrecorder_annotator.http_peer import HttpPeer, NoAnswerError
from energyrecorder_annotator.influx.client import retry_after_s
from energyrecorder_annotator.sinks.base import SinkAwayError
from energyrecorder_annotator.sinks.settings import HttpSinkSettings

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
        token = settings.token
        self._http = HttpPeer(
            name,
            settings.url,
            timeout_s=settings.timeout_s,
            authorization=None if token is None else f"Bearer {token.reveal()}",
        )

    def close(self) -> None:
        """Let go of the connection."""
        self._http.close()

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
        try:
            answer = self._http.ask(method, path, json=body, params=params, headers=headers)
        except NoAnswerError as error:
            raise SinkAwayError(str(error)) from None
        status = answer.status_code
        if status in _LATER or status >= 500 or 300 <= status < 400:  # noqa: PLR2004  # classes of RFC 9110
            told = answer.text[:_SHOWN].strip()
            raise SinkAwayError(
                f"{self._http.name} answers HTTP {status}: {told!r}",
                retry_after_s=retry_after_s(answer.headers),
            )
        return answer


def refusal(name: str, answer: requests.Response) -> str:
    """Return what a peer says of a request that it will never take."""
    return f"{name} answers HTTP {answer.status_code}: {answer.text[:_SHOWN].strip()!r}"
