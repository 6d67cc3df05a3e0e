"""The running annotator as its own commands ask it, by HTTP."""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable
from http import HTTPStatus
from http.client import HTTPException
from typing import Any

from energyrecorder.errors import EnergyError
from energyrecorder_annotator.unreachable import why

TIMEOUT_S = 5.0


class RunningService:
    """The running annotator, by HTTP.

    Args:
        url: Where it listens: ``http`` or ``https``.
        token: Bearer token; None = none.
        timeout_s: Longest wait for an answer.
    """

    def __init__(self, url: str, token: str | None, *, timeout_s: float = TIMEOUT_S) -> None:
        self._url = url.rstrip("/")
        self._timeout_s = timeout_s
        self._headers = {"Content-Type": "application/json"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, str]:
        """Return status and text of the answer; a body is sent as JSON, bytes as they are.

        Raises:
            EnergyError: There is none.
        """
        raw = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(self._url + path, raw, self._headers, method=method)  # noqa: S310  # checked by the option
        try:
            with urllib.request.urlopen(request, timeout=self._timeout_s) as answer:  # noqa: S310  # as above
                return answer.status, answer.read().decode("utf-8", "replace")
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode("utf-8", "replace")
        except (OSError, HTTPException) as error:
            raise EnergyError(f"cannot reach {self._url}: {why(error)}") from None

    def times(self, servers: Iterable[str], from_ns: int, to_ns: int) -> dict[tuple[str, str], set[int]]:
        """Return the times of its readings of whole servers by environment and server, ns since 1970.

        Args:
            servers: Of any environment; none means all.
            from_ns: Start of a span of minutes.
            to_ns: End.

        Raises:
            EnergyError: There is no answer.
        """
        # So many spans that each holds one reading, whose time it then has.
        asked = {"server": list(servers), "from": from_ns, "to": to_ns, "max_points": 10_000}
        status, text = self.ask("GET", f"/v1/power?{urllib.parse.urlencode(asked, doseq=True)}")
        series = json.loads(text)["series"] if status == HTTPStatus.OK else []
        return {
            (one["env"], one["server"]): {point[0] for point in one["points"]}
            for one in series
            if one["scope"] == "server" and one["part"] is None
        }
