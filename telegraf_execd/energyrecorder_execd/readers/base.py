"""The contract between the collector's loop and the readers of the three protocols.

A reader keeps one BMC's session and what it learned about that BMC. The contract, which
``tests/contract/test_readers.py`` holds every reader to:

- `Reader.poll` asks once, with at most one request in flight, and returns within the deadline that the
  caller sets by cancelling it; cancellation leaves the reader usable. It may tell each whole answer to
  `Context.heard`, so that a slow BMC that is still answering is not given up.
- Absent, null, inactive or implausible is ``watts=None`` with ``Poll.error`` saying why, never 0; 0 W is
  returned only while the host is known to be off.
- A failure of the whole poll raises `energyrecorder.errors.BmcError` with its reason; no other exception.
- A refused log-in raises `BmcAuthError` with reason ``auth`` after exactly one attempt; the reader never
  tries other ways of logging in after a refusal.
- `Reader.close` logs out, best effort, and never raises.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from energyrecorder.clock import Clock
from energyrecorder.errors import BmcDataError
from energyrecorder.secret import Secret


@dataclass(frozen=True, slots=True)
class Target:
    """One BMC as the fleet file describes it.

    Args:
        server: Server id of the fleet file.
        address: Host name or IP address, without brackets.
        port: TCP or UDP port; None means the protocol's own (443, 80 for plain HTTP, 623).
        scheme: ``https`` or ``http``; plain HTTP only when the fleet file says ``http://``.
        user: Account on the BMC.
        password: Its password.
        tls: ``verify``, ``ca:FILE``, ``pin:sha256:HEX``, ``tofu`` or ``off``.
        timeout_s: Deadline of one whole poll, seconds.
        options: Further keys of the fleet file that only one protocol understands, such as
            ``cipher_suite``, ``bridge``, ``kg`` (a Secret), ``privilege``, ``transport``, ``components``.
    """

    server: str
    address: str
    port: int | None
    scheme: str
    user: str
    password: Secret
    tls: str = "verify"
    timeout_s: float = 8.0
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def place(self) -> str:
        """Where it is, as the fleet file writes it: ``host``, ``host:port``, ``[v6]:port``, ``http://…``."""
        scheme = "http://" if self.scheme == "http" else ""
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{scheme}{host}" if self.port is None else f"{scheme}{host}:{self.port}"

    @property
    def url(self) -> str:
        """Where its web server is; a port that is the protocol's own is not mentioned."""
        return self.place if self.scheme == "http" else f"{self.scheme}://{self.place}"


@dataclass(frozen=True, slots=True)
class Reading:
    """One value of one metered thing, as `energyrecorder.schema` names it.

    Args:
        watts: Power; None means no valid reading (then nothing but the reason is worth writing).
        sampled_at_ns: Nanoseconds since the Unix epoch, UTC: the BMC's own record time (end of the
            averaging window, skew-corrected) if ``clock`` is ``bmc``, else the middle of the request.
        clock: ``bmc`` or ``poll``.
        protocol: ``redfish``, ``ilo`` or ``ipmi``.
        source: One of `energyrecorder.schema.SOURCES`.
        side: ``ac``, ``dc`` or ``unknown``.
        scope: One of `energyrecorder.schema.SCOPES`.
        part: None for a total, else the part such as ``psu1``.
        node: Node of a multi-node BMC; None where the BMC has one computer.
        window_s: Averaging window; 0 is instantaneous, None unknown.
        refresh_s: Period at which the BMC renews the value; None unknown.
        quantum_w: Step of the readings; None unknown.
        accuracy_pct: As the BMC declares it; None unknown.
        avg_w: The BMC's own average over its own period; likewise ``min_w`` and ``max_w``.
        energy_counter_j: A cumulative counter as the BMC gives it; None if there is none or it was not read.
        energy_wrap_j: Value at which the counter wraps; None unknown.
        latency_s: Time from request to answer, seconds; None for a record read from a history.
        backfill: True for a record read later from the BMC's history.
    """

    watts: float | None
    sampled_at_ns: int
    clock: str
    protocol: str
    source: str
    side: str = "unknown"
    scope: str = "server"
    part: str | None = None
    node: str | None = None
    window_s: float | None = None
    refresh_s: float | None = None
    quantum_w: float | None = None
    accuracy_pct: float | None = None
    avg_w: float | None = None
    min_w: float | None = None
    max_w: float | None = None
    energy_counter_j: float | None = None
    energy_wrap_j: float | None = None
    latency_s: float | None = None
    backfill: bool = False


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """What a BMC says of its server; None means it does not say."""

    vendor: str | None = None
    model: str | None = None
    bmc_fw: str | None = None
    bios: str | None = None
    power_cap_w: float | None = None
    refresh_s: float | None = None
    refresh_from: str | None = None
    window_s: float | None = None
    accuracy_pct: float | None = None
    psu_count: int | None = None
    psu_capacity_w: float | None = None
    inlet_c: float | None = None


@dataclass(frozen=True, slots=True)
class Poll:
    """What one poll of one BMC found.

    Args:
        readings: May be empty; a reading without ``watts`` is not written but for its counter.
        host: Power state per node (key None where the BMC has one computer): ``on``, ``off``, ``unknown``.
        protocol: The protocol that answered.
        source: Source of the total; empty if there was none.
        requests: Requests sent in this poll.
        error: Empty if every total expected of this BMC has ``watts``, else one of `schema.ERRORS`.
        message: One line for the log when ``error`` is not empty, naming resource and attribute; or, with
            ``error`` empty, what failed that another source stood in for.
        info: What is known of the server; None if nothing new was learned in this poll.
    """

    readings: tuple[Reading, ...]
    host: Mapping[str | None, str]
    protocol: str
    source: str
    requests: int
    error: str = ""
    message: str = ""
    info: ServerInfo | None = None


class WebPageError(BmcDataError):
    """In place of a resource there is a web page: old boards answer so to whatever they are asked."""


class Reader(Protocol):
    """One BMC, read by one protocol; see the contract at the top of this module."""

    @property
    def requests(self) -> int:
        """Requests sent so far, those of log-ins and of polls that failed included."""

    async def poll(self) -> Poll:
        """Ask the BMC once.

        Raises:
            BmcError: The poll failed as a whole.
        """

    async def close(self) -> None:
        """Log out and release what this reader holds; never raises."""


def keep_nothing() -> None:
    """Write nothing: for those who poll once and leave what is on disk alone."""


@dataclass(slots=True)
class Memory:
    """What is remembered of one BMC across polls and restarts.

    Args:
        facts: JSON-able values (right path, suite that worked, session to delete, learned periods…). Each
            reader keeps its own under its protocol's name, and the certificate that all of them trust
            stands beside those; the loop persists them after each poll.
        keep: Persists them at once: what would be lost with this process, such as an open session.
    """

    facts: MutableMapping[str, Any] = field(default_factory=dict)
    keep: Callable[[], None] = keep_nothing


Heard = Callable[[bool], None]
"""Called at each whole answer in the midst of a poll; True once the BMC has accepted the log-in."""


def heard_by_nobody(_authenticated: bool) -> None:  # noqa: FBT001  # has the shape of `Heard`
    """For those who read outside of a poller."""


@dataclass(frozen=True, slots=True)
class Context:
    """What a reader is given besides its target.

    Args:
        memory: What is remembered of this BMC.
        clock: Wall clock, nanoseconds since the Unix epoch, UTC.
        heard: Told of the poll's progress.
    """

    memory: Memory
    clock: Clock
    heard: Heard = heard_by_nobody
