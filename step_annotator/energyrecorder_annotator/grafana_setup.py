"""Looks whether a Grafana can show our dashboards, and gets the token with which annotations are written.

Service accounts cannot be provisioned from files (grafana#82987), so an administrator's password is needed
once; it is used for these calls alone and stored nowhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import requests

from energyrecorder.clock import wall_ns
from energyrecorder.errors import EnergyError
from energyrecorder.secret import Secret
from energyrecorder_annotator.clocks import offset_by_date_s
from energyrecorder_annotator.http_peer import HttpPeer

LEAST_MAJOR = 11
"""Older ones leave curves blank as soon as our annotations are shown (seen in 9.4)."""
ACCOUNT = "energyrecorder"
DATA_SOURCE = "energy-influxdb"
TIMEOUT_S = 10.0
_SHOWN = 200
_NOT_ALLOWED = (requests.codes.unauthorized, requests.codes.forbidden)


class GrafanaRefusedError(EnergyError):
    """Grafana is too old, is none, or does not let us."""


class Grafana:
    """Calls of an administrator, of a service account, or of nobody.

    Args:
        url: Base URL without a trailing slash.
        user: Name of an administrator and their password; None without.
        token: Of a service account; None without.
    """

    def __init__(
        self, url: str, *, user: tuple[str, Secret] | None = None, token: Secret | None = None
    ) -> None:
        self._http = HttpPeer(
            f"Grafana at {url}",
            url,
            timeout_s=TIMEOUT_S,
            authorization=None if token is None else f"Bearer {token.reveal()}",
            log_in=user,
        )
        self.clock_offset_s: float | None = None
        """Grafana's wall clock minus ours when `version` was asked for; None if it did not tell."""

    def close(self) -> None:
        """Let go of the connection."""
        self._http.close()

    def version(self) -> str:
        """Return Grafana's version.

        Raises:
            GrafanaRefusedError: It is older than 11.0, or does not tell.
            NoAnswerError: It is away.
        """
        sent_ns = wall_ns()
        health = self._http.ask("GET", "/api/health")
        self.clock_offset_s = offset_by_date_s(health.headers.get("Date"), sent_ns, wall_ns())
        told = str(self._parsed("GET", "/api/health", health).get("version") or self._hidden_version())
        if not told:
            raise GrafanaRefusedError(
                f"{self._http.name} tells its version only to a user or a token of its own"
            )
        major = re.match(r"(\d+)\.", told)
        if major is None or int(major[1]) < LEAST_MAJOR:
            raise GrafanaRefusedError(f"{self._http.name} is version {told!r}; 11.0 or newer is needed")
        return told

    def _hidden_version(self) -> str:
        """Return what ``[auth.anonymous] hide_version`` takes out of the health; '' for strangers."""
        answer = self._http.ask("GET", "/api/frontend/settings")
        try:
            return str(answer.json()["buildInfo"]["version"]) if answer.ok else ""
        except (ValueError, LookupError, TypeError):
            return ""

    def findings(self) -> Iterator[tuple[str, bool, str]]:
        """Yield what the dashboards need (plugin, data source), whether it is well, and what was found."""
        plugin = self._http.ask("GET", "/api/plugins/influxdb/settings")
        text = _told(plugin)
        if plugin.status_code == requests.codes.not_found:
            text = "missing; Grafana 13 bundles it apart, see docs/grafana.md"
        elif plugin.status_code in _NOT_ALLOWED:
            text = f"not to be seen with this token: {text}"
        yield "data source plugin influxdb", plugin.ok, "present" if plugin.ok else text
        health = self._http.ask("GET", f"/api/datasources/uid/{DATA_SOURCE}/health")
        text = "not there; copy one of dashboards/provisioning/datasources"
        if health.status_code != requests.codes.not_found:
            text = _told(health)
        yield f"data source {DATA_SOURCE}", health.ok, "answers" if health.ok else text

    def new_token(self, name: str) -> Secret:
        """Return a new token of our service account, which is made if need be.

        Args:
            name: Of the token; Grafana wants it unique.

        Raises:
            GrafanaRefusedError: The user is no administrator.
            NoAnswerError: Grafana is away.
        """
        found = self._json("GET", "/api/serviceaccounts/search", params={"query": ACCOUNT, "perpage": 100})
        ids = [one["id"] for one in found.get("serviceAccounts", []) if one.get("name") == ACCOUNT]
        if not ids:
            # Editor: the least role of open-source Grafana that may write annotations everywhere.
            ids = [self._json("POST", "/api/serviceaccounts", {"name": ACCOUNT, "role": "Editor"})["id"]]
        made = self._json("POST", f"/api/serviceaccounts/{int(ids[0])}/tokens", {"name": name})
        return Secret(str(made["key"]))

    def _json(self, method: str, path: str, body: Any = None, *, params: Any = None) -> dict[str, Any]:
        return self._parsed(method, path, self._http.ask(method, path, json=body, params=params))

    def _parsed(self, method: str, path: str, answer: requests.Response) -> dict[str, Any]:
        if answer.status_code in _NOT_ALLOWED:
            raise GrafanaRefusedError(f"{self._http.name} wants an administrator: {_told(answer)}")
        if not answer.ok:
            raise GrafanaRefusedError(f"{self._http.name}: {method} {path}: {_told(answer)}")
        try:
            return dict(answer.json())
        except (ValueError, TypeError):
            raise GrafanaRefusedError(
                f"{self._http.name} does not answer in Grafana's way: {_told(answer)}"
            ) from None


def _told(answer: requests.Response) -> str:
    return f"HTTP {answer.status_code}: {answer.text[:_SHOWN].strip()!r}"
