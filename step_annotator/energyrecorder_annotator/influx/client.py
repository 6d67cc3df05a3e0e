"""InfluxDB over HTTP: writing to 1.x, 2.x or 3.x, and InfluxQL; blocking, one client for each thread."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import requests

from energyrecorder.clock import wall_ns
from energyrecorder.errors import EnergyError
from energyrecorder.secret import Secret
from energyrecorder_annotator.clocks import offset_by_date_s
from energyrecorder_annotator.http_peer import HttpPeer, NoAnswerError
from energyrecorder_annotator.influx.influxql import identifier, string
from energyrecorder_annotator.influx.settings import InfluxSettings

_SHOWN = 300
_NOT_EXECUTED = "not executed"


class InfluxAwayError(EnergyError):
    """InfluxDB does not take or give anything just now; what was asked may be asked again.

    Args:
        message: One line.
        retry_after_s: Pause that the server asked for; None if it did not.
        status: HTTP status of its answer; None if there was none, or none of HTTP's.
    """

    def __init__(
        self, message: str, *, retry_after_s: float | None = None, status: int | None = None
    ) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
        self.status = status


class InfluxRefusedError(EnergyError):
    """InfluxDB refuses this very request; others may do.

    Args:
        message: One line.
        too_large: Whether a smaller one would do.
    """

    def __init__(self, message: str, *, too_large: bool = False) -> None:
        super().__init__(message)
        self.too_large = too_large


class NoDatabaseError(EnergyError):
    """The database or bucket is not there (any more)."""


@dataclass(frozen=True, slots=True)
class Series:
    """One series of an answer.

    Args:
        name: Measurement.
        tags: Those it was grouped by; an absent tag is ''.
        columns: Names of the columns, ``time`` first.
        rows: Values; times in ns.
    """

    name: str
    tags: Mapping[str, str]
    columns: tuple[str, ...]
    rows: list[list[Any]]


class InfluxClient:
    """One keep-alive connection; not to be shared by threads.

    Args:
        settings: Which InfluxDB.
    """

    def __init__(self, settings: InfluxSettings) -> None:
        self.settings = settings
        token = settings.token
        password = Secret("") if settings.password is None else settings.password
        self._http = HttpPeer(
            f"InfluxDB at {settings.url}",
            settings.url,
            timeout_s=settings.timeout_s,
            authorization=None if token is None else f"Token {token.reveal()}",
            log_in=None if settings.user is None else (settings.user, password),
        )

    def close(self) -> None:
        """Let go of the connection."""
        self._http.close()

    def write(self, lines: str, *, retention_policy: str | None = None) -> None:
        """Write line protocol with times in ns; nothing is known of what was written when this raises.

        Args:
            lines: One point each.
            retention_policy: Of 1.x; None means the database's default, where steps are kept for ever.

        Raises:
            InfluxAwayError: Try again later.
            InfluxRefusedError: Some or all of these lines will never be taken.
            NoDatabaseError: See there.
        """
        settings = self.settings
        if settings.bucket is None:
            params = {"db": settings.database, "precision": "ns"}
            if retention_policy is not None:
                params["rp"] = retention_policy
            answer = self._ask("/write", params, lines.encode())
        else:
            params = {"bucket": settings.bucket, "org": settings.org, "precision": "ns"}
            answer = self._ask("/api/v2/write", params, lines.encode())
        if answer.status_code != requests.codes.no_content:
            raise _failure(answer, "refuses the points")

    def query(self, *statements: str) -> list[list[Series]]:
        """Return the series of each statement.

        Raises:
            InfluxAwayError: Try again later.
            InfluxRefusedError: A statement is not accepted.
            NoDatabaseError: See there.
        """
        data = {"q": "; ".join(statements), "db": self.settings.database, "epoch": "ns"}
        answer = self._ask("/query", None, data)
        if answer.status_code != requests.codes.ok:
            raise _failure(answer, "refuses the query")
        try:
            results = answer.json()["results"]
            if len(statements) > 1 and results[0].get("error") == _NOT_EXECUTED:
                # Of several statements 1.6.7 does not tell what is wrong with the first: alone it does.
                return [self.query(one)[0] for one in statements]
            found = [_series(result, self._http.name) for result in results]
        except (ValueError, LookupError, TypeError, AttributeError):
            found = []
        if len(found) != len(statements):
            raise InfluxAwayError(f"{self._http.name} does not answer in InfluxDB's way: {_shown(answer)}")
        return found

    def listed(self, what: str, key: str, **asked: str) -> list[dict[str, Any]]:
        """Return what 2.x lists of its organisation under ``/api/v2``; nothing where it may not, as in 3.x.

        Raises:
            InfluxAwayError: Try again later.
        """
        answer = self._ask(f"/api/v2/{what}", {"org": self.settings.org, **asked}, None)
        try:
            return [dict(one) for one in answer.json()[key]] if answer.ok else []
        except (ValueError, LookupError, TypeError):
            return []

    def create_database(self) -> None:
        """Create the database; on 2.x and 3.x nothing, because a bucket needs an owner and a retention."""
        if self.settings.bucket is None:
            self.query(f"CREATE DATABASE {identifier(self.settings.database)}")

    def delete(self, measurement: str, tags: Mapping[str, str], time_ns: int | None = None) -> None:
        """Delete the points of some series; tags of the series that are not named do not matter.

        Args:
            measurement: Name.
            tags: As the line writer wrote them.
            time_ns: Only the points of that time; None means all.
        """
        if self.settings.bucket is None:
            terms = [f"{identifier(key)} = {string(value)}" for key, value in tags.items()]
            if time_ns is not None:
                terms.append(f"time = {int(time_ns)}")
            self.query(f"DELETE FROM {identifier(measurement)} WHERE {' AND '.join(terms)}")
            return
        terms = [f"_measurement={json.dumps(measurement)}"]
        terms += [f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in tags.items()]
        start, stop = (
            ("1970-01-01T00:00:00Z", "2261-01-01T00:00:00Z")
            if time_ns is None
            else (_rfc3339(time_ns), _rfc3339(time_ns))
        )
        params = {"bucket": self.settings.bucket or "", "org": self.settings.org}
        body = json.dumps({"start": start, "stop": stop, "predicate": " AND ".join(terms)}).encode()
        answer = self._ask("/api/v2/delete", params, body, {"Content-Type": "application/json"})
        # InfluxDB 3 Core has no deletion: the point is overwritten then, and an old field stays in it.
        if answer.status_code not in {204, 404, 405, 501}:
            raise _failure(answer, "refuses to delete points")

    def clock_offset_s(self) -> float | None:
        """Return the server's wall clock minus ours, at least, to half a second; None if it does not tell."""
        sent_ns = wall_ns()
        answer = self._ask("/ping", None, None)
        return offset_by_date_s(answer.headers.get("Date"), sent_ns, wall_ns())

    def version(self) -> str | None:
        """Return the server's version, such as ``1.8.10``; None if it does not tell.

        Any 1.x tells it at ``/ping``, as does 2.x since 2.1, some twice; 2.0 only at ``/health``
        (influxdata/influxdb#13907, influxdata/influxdb-client-csharp#275).

        Raises:
            InfluxAwayError: Try again later.
        """
        told = self._ask("/ping", None, None).headers.get("X-Influxdb-Version", "")
        if not told:
            try:
                told = str(self._ask("/health", None, None).json()["version"])
            except (ValueError, LookupError, TypeError):
                return None
        return told.partition(",")[0].strip().removeprefix("v")

    def _ask(
        self,
        path: str,
        params: Mapping[str, str] | None,
        body: bytes | Mapping[str, str] | None,
        headers: Mapping[str, str] | None = None,
    ) -> requests.Response:
        sent = {"Accept": "application/json", **(headers or {})}
        try:
            return self._http.ask(
                "GET" if body is None else "POST", path, params=params, data=body, headers=sent
            )
        except NoAnswerError as error:
            raise InfluxAwayError(str(error)) from None


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Return the seconds of a ``Retry-After`` header; None without one or when it is a date."""
    text = headers.get("Retry-After", "")
    return min(float(text), 3600.0) if text.isdecimal() else None


def _failure(answer: requests.Response, doing: str) -> EnergyError:
    status, told = answer.status_code, _shown(answer)
    message = f"InfluxDB {doing}: HTTP {status}: {told}"
    if status == requests.codes.not_found:
        # 1.x: "database not found"; 2.x: no bucket, or "no dbrp mapping found".
        return NoDatabaseError(message)
    if status == requests.codes.request_entity_too_large:
        return InfluxRefusedError(message, too_large=True)
    if status in {400, 422}:
        return InfluxRefusedError(message)
    # 401 and 403 too: somebody will mend the credentials, and until then nothing may be lost.
    return InfluxAwayError(message, retry_after_s=retry_after_s(answer.headers), status=status)


def _series(result: Mapping[str, Any], peer: str) -> list[Series]:
    if "error" in result:
        told = str(result["error"])
        if "not found" in told:
            raise NoDatabaseError(f"{peer}: {told[:_SHOWN]!r}")
        raise InfluxRefusedError(f"{peer} refuses the query: {told[:_SHOWN]!r}")
    return [
        Series(
            name=one.get("name", ""),
            tags=one.get("tags", {}),
            columns=tuple(one["columns"]),
            rows=one.get("values", []),
        )
        for one in result.get("series", [])
    ]


def _rfc3339(time_ns: int) -> str:
    whole_s, rest_ns = divmod(time_ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(whole_s, UTC):%Y-%m-%dT%H:%M:%S}.{rest_ns:09d}Z"


def _shown(answer: requests.Response) -> str:
    return repr(answer.text[:_SHOWN].strip())
