"""Shows the certificates of a fleet's BMCs and pins them in the fleet file."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cryptography import x509

from energyrecorder.errors import BmcError, ConfigError
from energyrecorder_execd.fleet import Fleet, Server
from energyrecorder_execd.fleet.edit import with_pins
from energyrecorder_execd.fleet.hosts import parse_proxy
from energyrecorder_execd.http.connect import Route
from energyrecorder_execd.http.shown import certificate_of, shown_certificate
from energyrecorder_execd.http.tls import TlsContexts, parse_policy

CONNECT_S = 10.0
AT_A_TIME = 64

_HTTPS = 443


@dataclass(frozen=True, slots=True)
class Shown:
    """The certificate that one BMC shows, or why none was seen.

    Args:
        server: The BMC.
        sha256: Fingerprint in hex; empty when none was seen.
        subject: Of the certificate.
        expires: Last day of its validity, ISO 8601.
        problem: Why none was seen.
        expected: Fingerprint that is pinned or was trusted on first use; empty when there is none.
        verified: Whether it satisfies ``verify`` or ``ca:FILE`` of the fleet file.
        old_tls: The BMC speaks TLS 1.1 or older only, or with old ciphers only.
    """

    server: Server
    sha256: str = ""
    subject: str = ""
    expires: str = ""
    problem: str = ""
    expected: str = ""
    verified: bool = False
    old_tls: bool = False

    @property
    def needs_pin(self) -> bool:
        """Whether polls fail with this certificate as the fleet file stands."""
        if not self.sha256 or self.server.target.tls == "off":
            return False
        if self.expected:
            return self.expected != self.sha256
        return not self.verified and self.server.target.tls != "tofu"

    @property
    def verdict(self) -> str:
        """What the fleet file says of this certificate."""
        policy = self.server.target.tls.partition(":")[0]
        if not self.sha256:
            return self.problem
        if self.needs_pin and self.expected:
            return f"CHANGED, was sha256:{self.expected}"
        if self.needs_pin:
            return f"not trusted (tls = {policy!r})"
        return {"off": "accepted unseen (tls = 'off')", "tofu": "trusted on first use"}.get(policy, "trusted")

    def text(self) -> str:
        """Return it for a person."""
        lines = [f"{self.server.id} ({self.server.target.place}): {self.verdict}"]
        if self.sha256:
            lines += [
                f"  sha256:  {self.sha256}",
                f"  subject: {self.subject}",
                f"  expires: {self.expires}",
            ]
        if self.old_tls and not self.server.target.options.get("legacy_tls"):
            lines.append("  old TLS: polls fail until its entry says legacy_tls = true")
        return "\n".join(lines)


def describe(server: Server, certificate: bytes) -> Shown:
    """Return what a certificate (DER) says (pure); one that cannot be read is known by its fingerprint."""
    sha256 = hashlib.sha256(certificate).hexdigest()
    try:
        parsed = x509.load_der_x509_certificate(certificate)
        subject = parsed.subject.rfc4514_string()
        expires = parsed.not_valid_after_utc.date().isoformat()
    except ValueError:
        # Self-made certificates of BMCs break the rules of X.509 in many ways; the fingerprint still holds.
        subject = expires = "not readable"
    return Shown(server, sha256, repr(subject)[1:-1], expires)


def look(fleet: Fleet, known: Callable[[Server], str]) -> list[Shown]:
    """Return the certificate of each HTTPS server of the fleet, seen now; nothing else is sent to it.

    Args:
        fleet: The servers.
        known: Tells the fingerprint that was trusted on first use; empty when there is none.
    """
    servers = [server for server in fleet.servers if _has_certificate(server)]
    return [_judged(shown, known) for shown in asyncio.run(_look(servers))]


def _judged(shown: Shown, known: Callable[[Server], str]) -> Shown:
    tls = shown.server.target.tls
    if tls.startswith("pin:"):
        return replace(shown, expected=tls.removeprefix("pin:sha256:"))
    return replace(shown, expected=known(shown.server)) if tls == "tofu" else shown


def _has_certificate(server: Server) -> bool:
    return server.protocol != "ipmi" and server.target.scheme == "https"


async def _look(servers: Sequence[Server]) -> list[Shown]:
    contexts = TlsContexts()
    free = asyncio.Semaphore(AT_A_TIME)

    async def one(server: Server) -> Shown:
        try:
            async with free, asyncio.timeout(CONNECT_S):
                return await _seen(server, contexts)
        except TimeoutError:
            return Shown(server, problem=f"no TLS within {CONNECT_S:g} s")
        except BmcError as error:
            return Shown(server, problem=str(error))

    return list(await asyncio.gather(*(one(server) for server in servers)))


async def _seen(server: Server, contexts: TlsContexts) -> Shown:
    target = server.target
    port = target.port or _HTTPS
    proxy = parse_proxy(target.options["proxy"]) if target.options.get("proxy") else None
    certificate, old_tls = await certificate_of(target.address, port, contexts, proxy)
    policy = parse_policy(target.tls)
    verified = False
    if policy.kind in {"verify", "ca"}:
        verified = await accepts(
            Route(target.address, port, contexts.for_policy(policy, legacy=old_tls), proxy)
        )
    return replace(describe(server, certificate), verified=verified, old_tls=old_tls)


async def accepts(route: Route) -> bool:
    """Tell whether the route's context accepts the certificate that is shown."""
    try:
        await shown_certificate(route)
    except BmcError:
        return False
    return True


def write_pins(fleet: Fleet, pins: Mapping[str, str], put: Callable[[Path, str], None]) -> list[Path]:
    """Write the pins into the files of the fleet and return those that changed.

    Args:
        fleet: As loaded.
        pins: Server id → SHA-256 in hex.
        put: Replaces a file by a text; what it raises goes through.

    Raises:
        ConfigError: A file cannot be changed with certainty; others may have been.
    """
    changed = []
    for path in fleet.files:
        try:
            text = path.read_text(encoding="utf-8")
            new = with_pins(text, pins)
        except (OSError, ValueError):
            continue  # a folder, or the file of a secret
        if new is None:
            entries = ", ".join(f'{server}: tls = "pin:sha256:{digest}"' for server, digest in pins.items())
            raise ConfigError(f"{path}: cannot be changed safely; write it yourself: {entries}")
        if new == text:
            continue
        put(path, new)
        changed.append(path)
    return changed
