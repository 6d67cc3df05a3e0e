"""Requests to another server of the lab: kept connection, no proxy, bounded waits, no redirects; blocking."""

from __future__ import annotations

from typing import Any

import requests
from requests.auth import HTTPBasicAuth

from energyrecorder.errors import EnergyError
from energyrecorder.secret import Secret
from energyrecorder_annotator.unreachable import why

_CONNECT_S = 5.0


class NoAnswerError(EnergyError):
    """A server cannot be reached, or does not answer in time; it may be asked again later."""


class HttpPeer:
    """One keep-alive connection; not to be shared by threads.

    Args:
        name: For messages.
        url: Base URL without a trailing slash.
        timeout_s: Longest wait for an answer.
        authorization: Header of that name; None without.
        log_in: User and password for Basic; None without.
    """

    def __init__(
        self,
        name: str,
        url: str,
        *,
        timeout_s: float,
        authorization: str | None = None,
        log_in: tuple[str, Secret] | None = None,
    ) -> None:
        self.name = name
        self._url = url
        self._timeout_s = timeout_s
        self._session = requests.Session()
        # A proxy meant for the internet must not see credentials of a server in the lab.
        self._session.trust_env = False
        if authorization is not None:
            self._session.headers["Authorization"] = authorization
        elif log_in is not None:
            self._session.auth = HTTPBasicAuth(log_in[0].encode(), log_in[1].reveal().encode())

    def close(self) -> None:
        """Let go of the connection."""
        self._session.close()

    def ask(self, method: str, path: str, **request: Any) -> requests.Response:
        """Return the answer, whatever its status.

        Args:
            method: HTTP method.
            path: Appended to the base URL.
            request: Body, headers and query, as `requests.request` takes them.

        Raises:
            NoAnswerError: There is none.
        """
        try:
            return self._session.request(
                method,
                self._url + path,
                timeout=(min(_CONNECT_S, self._timeout_s), self._timeout_s),
                allow_redirects=False,
                **request,
            )
        except requests.Timeout:
            raise NoAnswerError(f"{self.name} does not answer in time") from None
        except (requests.RequestException, OSError) as error:
            raise NoAnswerError(f"{self.name} cannot be reached: {why(error)}") from None
