"""Looks at everything that must work together, and says what to do about what does not."""

from __future__ import annotations

import json
import re
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any

from energyrecorder.errors import EnergyError
from energyrecorder_annotator.config import Config

TIMEOUT_S = 5.0
MOST_OFFSET_S = 2.0
"""Clocks further apart than this are told of."""
STALE_S = 60.0
_GAUGE = r'^energy_annotator_%s\{env="(?P<env>.*)"\} (?P<value>\S+)$'
_AGE = re.compile(_GAUGE % "last_sample_age_seconds", re.MULTILINE)
_DELAY = re.compile(_GAUGE % "sample_delay_seconds", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at.

    Args:
        what: What was looked at.
        ok: Whether it is as it should be.
        text: What was found, and what to do if it is not.
    """

    what: str
    ok: bool
    text: str


class Service:
    """The running annotator, by HTTP.

    Args:
        url: Where it listens.
        token: Bearer token; None = none.
    """

    def __init__(self, url: str, token: str | None) -> None:
        self._url = url.rstrip("/")
        self._headers = {"Content-Type": "application/json"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, str]:
        """Return status and text of the answer.

        Raises:
            EnergyError: There is none.
        """
        if not self._url.startswith(("http://", "https://")):
            raise EnergyError(f"service URL is {self._url!r}; allowed: http:// or https://")
        raw = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._url + path, raw, self._headers, method=method)  # noqa: S310  # checked
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310  # checked above
                return answer.status, answer.read().decode("utf-8", "replace")
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode("utf-8", "replace")
        except (OSError, HTTPException, ssl.SSLError) as error:
            raise EnergyError(f"no answer from {self._url!r}: {error}") from None


def examine(config: Config | None, service: Service) -> Iterator[Finding]:
    """Yield what there is to say of the service, its samples and clocks, and of what ``config`` names."""
    for look in (_service, _samples, _clock):
        try:
            yield from look(service)
        except EnergyError as error:
            yield Finding("service", ok=False, text=f"{error}; is it running, and is this its URL?")
            break
    if config is not None:
        yield from _influxdb(config)
        yield from _certificate(config)


def _service(service: Service) -> Iterator[Finding]:
    status, text = service.ask("GET", "/readyz")
    yield Finding("service", ok=status == 200, text=f"/readyz answers {status}: {text[:200]}")  # noqa: PLR2004  # HTTP: OK


def _samples(service: Service) -> Iterator[Finding]:
    status, text = service.ask("GET", "/metrics")
    if status in {401, 403}:
        yield Finding("token", ok=False, text="refused; give one that may read with --token or ENERGY_TOKEN")
        return
    ages = _by_env(_AGE, text)
    if not ages:
        yield Finding("samples", ok=False, text="no reading within the hour; is a collector running?")
    for env, age_s in ages.items():
        yield Finding(
            "samples", ok=age_s <= STALE_S, text=f"newest of {env!r} is {max(0.0, age_s):.1f} s old"
        )
    for env, delay_s in _by_env(_DELAY, text).items():
        yield _collector_clock(env, delay_s)


def _by_env(gauge: re.Pattern[str], text: str) -> dict[str, float]:
    return {match["env"]: float(match["value"]) for match in gauge.finditer(text)}


def _collector_clock(env: str, delay_s: float) -> Finding:
    if delay_s < -MOST_OFFSET_S:
        told = f"readings of {env!r} come {-delay_s:.1f} s before their time: that clock is ahead"
        return Finding("collector clock", ok=False, text=told)
    told = f"readings of {env!r} come {delay_s:.1f} s after their time"
    if delay_s > STALE_S:
        told += ": that clock is behind the service's, or they are held up on their way"
    return Finding("collector clock", ok=delay_s <= STALE_S, text=told)


def _clock(service: Service) -> Iterator[Finding]:
    before_ns = time.time_ns()
    status, text = service.ask("GET", "/v1/runs?limit=1")
    after_ns = time.time_ns()
    if status != 200:  # noqa: PLR2004  # HTTP: OK
        return
    offset_s = (json.loads(text)["sent_ns"] - (before_ns + after_ns) // 2) / 1e9
    text = f"{offset_s:+.3f} s against this machine's"
    yield Finding("service clock", ok=abs(offset_s) <= MOST_OFFSET_S, text=text)


def _influxdb(config: Config) -> Iterator[Finding]:
    if config.influxdb is None:
        return
    from energyrecorder_annotator.influx.client import InfluxClient  # noqa: PLC0415  # loads `requests`

    offset = _guarded(InfluxClient(config.influxdb).clock_offset_s)
    if isinstance(offset, str):
        yield Finding("InfluxDB", ok=False, text=offset)
    elif offset is None:
        yield Finding("InfluxDB", ok=True, text="answers; it does not tell its time")
    else:
        text = f"answers; its clock is {offset:+.0f} s against ours"
        yield Finding("InfluxDB", ok=abs(offset) <= MOST_OFFSET_S, text=text)


def _guarded(call: Callable[[], float | None]) -> float | str | None:
    try:
        return call()
    except EnergyError as error:
        return str(error)


def _certificate(config: Config) -> Iterator[Finding]:
    if config.tls_certificate is None:
        return
    from energyrecorder_annotator.http_server import check_tls  # noqa: PLC0415  # only what needs it loads it: short start, little memory

    try:
        check_tls(config.tls_certificate, config.tls_key)
    except EnergyError as error:
        yield Finding("TLS", ok=False, text=str(error))
    else:
        yield Finding("TLS", ok=True, text=f"certificate {str(config.tls_certificate)!r} and its key fit")
