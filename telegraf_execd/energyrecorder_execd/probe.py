"""What one BMC can do: sources side by side, refresh period, latency, sessions, clock, privilege (pure)."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

from energyrecorder_execd.conversation import Conversation
from energyrecorder_execd.fleet.render import Entry, server_table
from energyrecorder_execd.http.errors import http_date_s
from energyrecorder_execd.http.exchange import RawAnswer
from energyrecorder_execd.readers.base import Reading

_POWER_KEYS = frozenset(
    {"PowerConsumedWatts", "AverageConsumedWatts", "PowerInputWatts", "PowerOutputWatts", "TotalPower"}
    | {"LastPowerOutputWatts", "ChassisPowerConsumption", "PresentPower"}
)
_EXCERPTS = frozenset({"PowerWatts", "InputPowerWatts", "OutputPowerWatts"})
_DENIED = frozenset({401, 403})
_FEWEST_CHANGES = 3


@dataclass(frozen=True, slots=True)
class Finding:
    """What a probe found; None and empty texts are unknown.

    Args:
        server: Name or address that was probed.
        protocol: Protocol that answered.
        vendor: As the BMC says; likewise model and bmc_fw.
        watts: Power that the collector would write; None with the reason in ``error``.
        source: Where that stands; side: of which side of the power supplies.
        host: on, off, unknown.
        error: Why there is no reading.
        sources: Every power value of the answers: where it stands → watts.
        refresh_s: Measured period between new values; None when there were too few.
        window_s: Averaging window that the BMC declares.
        latency_ms: Median time to answer the poll's requests.
        requests_first: Requests of the first poll; requests: of a later one.
        session: session or basic; log_ins: POSTs in all.
        clock_offset_s: BMC's clock minus ours, whole seconds.
        denied: Resources that the account may not read.
        certificate: SHA-256 of what it showed.
    """

    server: str
    protocol: str
    vendor: str | None
    model: str | None
    bmc_fw: str | None
    watts: float | None
    source: str
    side: str
    host: str
    error: str
    sources: Mapping[str, float | None]
    refresh_s: float | None
    window_s: float | None
    latency_ms: float | None
    requests_first: int
    requests: int | None
    session: str
    log_ins: int
    clock_offset_s: int | None
    denied: Sequence[str]
    certificate: str

    def entry(self) -> Entry:
        """Return a ready entry for the fleet file."""
        tls = {"tls": f"pin:sha256:{self.certificate}"} if self.certificate else {}
        values = {"id": self.server, "host": self.server, "protocol": self.protocol or "auto", **tls}
        return Entry(values)


def finding(talk: Conversation, certificate: str = "") -> Finding:
    """Return what a conversation shows."""
    polls = [outcome.poll for outcome in talk.outcomes if outcome.poll is not None]
    last = talk.outcomes[-1]
    total = next((found for poll in reversed(polls) if (found := _total(poll.readings))), None)
    info = next((poll.info for poll in polls if poll.info is not None), None)
    facts = talk.facts.get(talk.protocol, {})
    answers = [exchange.outcome for exchange in talk.exchanges if isinstance(exchange.outcome, RawAnswer)]
    return Finding(
        server=talk.server.target.address,
        protocol=talk.protocol,
        vendor=info.vendor if info else None,
        model=info.model if info else None,
        bmc_fw=info.bmc_fw if info else None,
        watts=total.watts if total else None,
        source=total.source if total else "",
        side=total.side if total else "",
        host=", ".join(sorted(set(polls[-1].host.values()))) if polls else "unknown",
        error=f"{last.error}: {last.message}" if last.error else "",
        sources=dict(power_values(talk.documents())),
        refresh_s=refresh_s([found for poll in polls if (found := _total(poll.readings)) is not None]),
        window_s=total.window_s if total else None,
        latency_ms=_latency_ms(answers),
        requests_first=polls[0].requests if polls else 0,
        requests=polls[-1].requests if len(polls) > 1 else None,
        session=str(facts.get("auth", "")) if isinstance(facts, Mapping) else "",
        log_ins=sum(exchange.method == "POST" for exchange in talk.exchanges),
        clock_offset_s=_clock_offset_s(answers),
        denied=sorted(
            {
                e.path
                for e in talk.exchanges
                if isinstance(e.outcome, RawAnswer) and e.outcome.status in _DENIED
            }
        ),
        certificate=certificate,
    )


def power_values(documents: Mapping[str, Any]) -> Iterator[tuple[str, float | None]]:
    """Yield where each value that is called a power stands, and the value; for people to compare."""
    for path, document in documents.items():
        yield from _values(document, path)


def _values(value: Any, where: str) -> Iterator[tuple[str, float | None]]:
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _values(item, f"{where}/{index}")
        return
    if not isinstance(value, dict):
        return
    if value.get("ReadingType") == "Power" and "Reading" in value:
        yield f"{where}#Reading", _number(value["Reading"])
    for key, item in value.items():
        if key in _POWER_KEYS and not isinstance(item, (dict, list)):
            yield f"{where}#{key}", _number(item)
        elif key in _EXCERPTS and isinstance(item, dict) and "Reading" in item:
            yield f"{where}#{key}", _number(item["Reading"])
        else:
            yield from _values(item, f"{where}#{key}")


def _number(value: Any) -> float | None:
    try:
        return None if value is None or isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        return None


def refresh_s(readings: Sequence[Reading]) -> float | None:
    """Return the median time between changes of the value; None with fewer than three changes."""
    changes = [
        later.sampled_at_ns
        for earlier, later in pairwise(readings)
        if later.watts is not None and later.watts != earlier.watts
    ]
    if len(changes) < _FEWEST_CHANGES:
        return None
    return round(statistics.median(b - a for a, b in pairwise(changes)) / 1e9, 2)


def _total(readings: Sequence[Reading]) -> Reading | None:
    return next((one for one in reversed(readings) if one.scope == "server" and one.part is None), None)


def _latency_ms(answers: Sequence[RawAnswer]) -> float | None:
    if not answers:
        return None
    return round(statistics.median((one.received_ns - one.sent_ns) / 1e6 for one in answers), 1)


def _clock_offset_s(answers: Sequence[RawAnswer]) -> int | None:
    offsets = [
        date_s - (one.sent_ns + one.received_ns) / 2e9
        for one in answers
        if (date_s := http_date_s(one.headers.get("Date"))) is not None
    ]
    # The header has whole seconds, cut off: half a second is added on average.
    return round(statistics.median(offsets) + 0.5) if offsets else None


def as_text(found: Finding) -> str:
    """Return a finding for people."""
    name = " ".join(part for part in (found.vendor, found.model, found.bmc_fw) if part) or "unknown make"
    lines = [f"{found.server}: {found.protocol or 'nothing answered'} ({name})"]
    if found.watts is not None:
        lines.append(
            f"  power     {found.watts:g} W from {found.source}, side {found.side}, host {found.host}"
        )
    if found.error:
        lines.append(f"  error     {found.error}")
    lines += [f"  also      {_watts(value):>9}  {where}" for where, value in found.sources.items()]
    lines.append(f"  refresh   {_seconds(found.refresh_s, 'no period seen; probe longer')} (measured)")
    lines.append(f"  window    {_seconds(found.window_s, 'not declared')}")
    if found.latency_ms is not None:
        later = "" if found.requests is None else f", then {found.requests} a poll"
        lines.append(f"  latency   {found.latency_ms:g} ms; {found.requests_first} requests at first{later}")
    if found.session:
        lines.append(f"  log-in    {found.session}, {found.log_ins} in all")
    if found.clock_offset_s is not None:
        lines.append(f"  clock     {found.clock_offset_s:+d} s against ours")
    denied = ", ".join(found.denied) or "the account may read all that was asked for"
    lines.append(f"  privilege {denied}")
    entry = server_table(found.entry()).rstrip().splitlines()
    return "\n".join([*lines, "  entry", *(f"    {line}" for line in entry)])


def entry_text(found: Finding) -> str:
    """Return the ready entry alone."""
    return server_table(found.entry())


def as_json(found: Finding) -> str:
    """Return a finding as one JSON object."""
    return json.dumps({**asdict(found), "entry": server_table(found.entry())})


def _watts(value: float | None) -> str:
    return "no value" if value is None else f"{value:g} W"


def _seconds(value: float | None, otherwise: str) -> str:
    return otherwise if value is None else f"{value:g} s"
