"""What one BMC can do: sources side by side, refresh period, latency, sessions, clock, privilege (pure)."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from energyrecorder.errors import BmcError
from energyrecorder_execd.fleet.render import Entry, server_id, server_table
from energyrecorder_execd.http.errors import http_date_s
from energyrecorder_execd.http.exchange import RawAnswer
from energyrecorder_execd.readers.base import Poll, Reading
from energyrecorder_execd.setup.conversation import Conversation
from energyrecorder_execd.setup.probe_sources import IpmiSource, power_values, refresh_s, side_by_side

_DENIED = frozenset({401, 403})


@dataclass(frozen=True, slots=True)
class Finding:
    """What a probe found; None and empty texts are unknown.

    Args:
        server: Name or address that was probed.
        host_entry: The same with its port and scheme, if they are not the usual ones.
        protocol: Protocol that answered.
        vendor: As the BMC says; likewise model and bmc_fw.
        watts: Power that the collector would write; None with the reason in ``error``.
        source: Where that stands; side: of which side of the power supplies.
        host: on, off, unknown.
        error: Why there is no reading.
        sources: Every power value of the answers: where it stands → watts.
        ipmi_sources: Every source of an IPMI BMC, asked side by side.
        refresh_s: Measured period between new values; None when there were too few.
        window_s: Averaging window that the BMC declares.
        latency_ms: Median time to answer a request.
        requests_first: Requests of the first poll; requests: of a later one.
        session: session, basic, or the cipher suite; log_ins: how often it was logged in to.
        clock_offset_s: BMC's clock minus ours, whole seconds.
        denied: Resources that the account may not read, and IPMI requests that need more privilege.
        certificate: SHA-256 of what it showed.
        old_tls: It speaks old TLS only.
    """

    server: str
    host_entry: str
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
    ipmi_sources: Sequence[IpmiSource]
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
    old_tls: bool

    def entry(self) -> Entry:
        """Return a ready entry for the fleet file."""
        values: dict[str, str | bool] = {
            "id": server_id(self.server),
            "host": self.host_entry,
            "protocol": self.protocol or "auto",
        }
        if self.certificate:
            values["tls"] = f"pin:sha256:{self.certificate}"
        if self.old_tls:
            values["legacy_tls"] = True
        return Entry(values)


def finding(talk: Conversation, certificate: str = "") -> Finding:
    """Return what a conversation shows."""
    polls = [outcome.poll for outcome in talk.outcomes if outcome.poll is not None]
    last = talk.outcomes[-1]
    total = next((found for poll in reversed(polls) if (found := _total(poll.readings))), None)
    info = next((poll.info for poll in polls if poll.info is not None), None)
    privilege = talk.server.target.options.get("privilege") or "user"
    ipmi_sources = side_by_side(talk.sightings, privilege)
    answers = [exchange.outcome for exchange in talk.exchanges if isinstance(exchange.outcome, RawAnswer)]
    return Finding(
        server=talk.server.target.address,
        host_entry=talk.server.target.place,
        protocol=talk.protocol,
        vendor=info.vendor if info else None,
        model=info.model if info else None,
        bmc_fw=info.bmc_fw if info else None,
        watts=total.watts if total else None,
        source=total.source if total else "",
        side=total.side if total else "",
        host=", ".join(sorted(set(polls[-1].host.values()))) if polls else "unknown",
        error=f"{last.error}: {last.message}" if last.error else "",
        sources=dict(power_values(talk.documents())) | {one.name: one.watts for one in ipmi_sources},
        ipmi_sources=ipmi_sources,
        refresh_s=refresh_s([found for poll in polls if (found := _total(poll.readings)) is not None]),
        window_s=total.window_s if total else None,
        latency_ms=_latency_ms(answers, polls),
        requests_first=polls[0].requests if polls else 0,
        requests=polls[-1].requests if len(polls) > 1 else None,
        session=_session(talk),
        log_ins=talk.log_ins or sum(exchange.method == "POST" for exchange in talk.exchanges),
        clock_offset_s=_clock_offset_s(answers),
        denied=sorted(_denied(talk)),
        certificate=certificate,
        old_tls=bool(talk.server.target.options.get("legacy_tls")),
    )


def _total(readings: Sequence[Reading]) -> Reading | None:
    return next((one for one in reversed(readings) if one.scope == "server" and one.part is None), None)


def _session(talk: Conversation) -> str:
    facts = talk.facts.get(talk.protocol)
    if not isinstance(facts, Mapping):
        return ""
    return f"RMCP+ suite {facts['suite']}" if "suite" in facts else str(facts.get("auth", ""))


def _denied(talk: Conversation) -> set[str]:
    refused = {
        exchange.request_text()
        for exchange in talk.ipmi
        if isinstance(exchange.outcome, BmcError) and exchange.outcome.reason == "privilege"
    }
    return refused | {
        exchange.path
        for exchange in talk.exchanges
        if isinstance(exchange.outcome, RawAnswer) and exchange.outcome.status in _DENIED
    }


def _latency_ms(answers: Sequence[RawAnswer], polls: Sequence[Poll]) -> float | None:
    """Return the median time to answer: of the requests over HTTP, else of the readings by IPMI."""
    times_ms = [(one.received_ns - one.sent_ns) / 1e6 for one in answers] or [
        reading.latency_s * 1000
        for poll in polls
        for reading in poll.readings
        if reading.latency_s is not None
    ]
    return round(statistics.median(times_ms), 1) if times_ms else None


def _clock_offset_s(answers: Sequence[RawAnswer]) -> int | None:
    offsets = [
        date_s - (one.sent_ns + one.received_ns) / 2e9
        for one in answers
        if (date_s := http_date_s(one.headers.get("date"))) is not None
    ]
    # The header has whole seconds, cut off: half a second is added on average.
    return round(statistics.median(offsets) + 0.5) if offsets else None


def as_text(found: Finding) -> str:
    """Return a finding for people."""
    name = " ".join(part for part in (found.vendor, found.model, found.bmc_fw) if part) or "unknown make"
    lines = [f"{found.server}: {found.protocol or 'no reading'} ({name})"]
    if found.watts is not None:
        lines.append(
            f"  power     {found.watts:g} W from {found.source}, side {found.side}, host {found.host}"
        )
    if found.error:
        lines.append(f"  error     {found.error}")
    also = [(one.watts, _ipmi_text(one)) for one in found.ipmi_sources] or [
        (value, where) for where, value in found.sources.items()
    ]
    lines += [f"  also      {_watts(value):>9}  {text}" for value, text in also]
    if found.protocol:
        seen_s = found.refresh_s
        measured = "no period seen; probe longer" if seen_s is None else f"{seen_s:g} s (measured)"
        undeclared = "unknown; IPMI has no field for it" if found.protocol == "ipmi" else "not declared"
        lines.append(f"  refresh   {measured}")
        lines.append(f"  window    {_seconds(found.window_s, undeclared)}")
    if found.latency_ms is not None:
        later = "" if found.requests is None else f", then {found.requests} a poll"
        lines.append(f"  latency   {found.latency_ms:g} ms; {found.requests_first} requests at first{later}")
    if found.session:
        lines.append(f"  log-in    {found.session}, {found.log_ins} in all")
    if found.clock_offset_s is not None:
        lines.append(f"  clock     {found.clock_offset_s:+d} s against ours")
    if found.protocol or found.denied:
        may = "the account may read all that was asked for"
        lines.append(f"  privilege {'denied: ' + ', '.join(found.denied) if found.denied else may}")
    entry = server_table(found.entry()).rstrip().splitlines()
    return "\n".join([*lines, "  entry", *(f"    {line}" for line in entry)])


def entry_text(found: Finding) -> str:
    """Return the ready entry alone; above it, as a comment, why there was no reading."""
    return server_table(replace(found.entry(), notes=[f"no reading: {found.error}"] if found.error else []))


def as_json(found: Finding) -> str:
    """Return a finding as one JSON object."""
    return json.dumps({**asdict(found), "entry": server_table(found.entry())})


def _ipmi_text(source: IpmiSource) -> str:
    told = [f"{source.name}: refresh {_seconds(source.refresh_s, 'not seen')}"]
    if source.statistics_s is not None:
        told.append(f"statistics over {source.statistics_s:g} s")
    if source.quantum_w is not None:
        told.append(f"steps of {source.quantum_w:g} W")
    if source.latency_ms is not None:
        told.append(f"latency {source.latency_ms:g} ms")
    told.append(f"privilege {source.privilege}")
    return ", ".join(told) + (f" ({source.problem})" if source.problem else "")


def _watts(value: float | None) -> str:
    return "no value" if value is None else f"{value:g} W"


def _seconds(value: float | None, otherwise: str) -> str:
    return otherwise if value is None else f"{value:g} s"
