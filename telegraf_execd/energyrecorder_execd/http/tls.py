"""The ways in which a BMC's certificate is trusted, and one shared context for each of them."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from energyrecorder.errors import BmcUnreachableError, ConfigError

ALLOWED = "'verify', 'ca:FILE', 'pin:sha256:HEX', 'tofu' or 'off'"
_PIN = "pin:sha256:"
_DIGEST_BYTES = 32


@dataclass(frozen=True, slots=True)
class TlsPolicy:
    """How one BMC's certificate is trusted.

    Args:
        kind: ``verify``, ``ca``, ``pin``, ``tofu`` or ``off``.
        ca_file: For ``ca``: PEM file that is trusted instead of the system's authorities.
        digest: For ``pin``: SHA-256 of the certificate in DER form.
    """

    kind: str
    ca_file: str = ""
    digest: bytes = b""


def parse_policy(text: str) -> TlsPolicy:
    """Return the policy that ``text`` of the fleet file names.

    Raises:
        ValueError: Saying what is allowed.
    """
    if text in {"verify", "tofu", "off"}:
        return TlsPolicy(text)
    if text.startswith("ca:") and len(text) > len("ca:"):
        return TlsPolicy("ca", ca_file=text[len("ca:") :])
    digest = parse_digest(text.removeprefix(_PIN)) if text.startswith(_PIN) else None
    if digest is None:
        raise ValueError(ALLOWED)
    return TlsPolicy("pin", digest=digest)


def parse_digest(text: object) -> bytes | None:
    """Return a SHA-256 written in hex, with or without colons; None if it is none."""
    try:
        digest = bytes.fromhex(text.replace(":", "")) if isinstance(text, str) else b""
    except ValueError:
        return None
    return digest if len(digest) == _DIGEST_BYTES else None


def verifying_context(ca_file: str = "") -> ssl.SSLContext:
    """Return a context that verifies chain and host name, whatever the environment variables say.

    Args:
        ca_file: PEM file of the only authorities to trust; empty means those of the system.

    Raises:
        ConfigError: The file cannot be read or holds no certificate.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if not ca_file:
        # Not load_default_certs(): that one obeys SSL_CERT_FILE and SSL_CERT_DIR.
        paths = ssl.get_default_verify_paths()
        cafile = paths.openssl_cafile if Path(paths.openssl_cafile).is_file() else None
        capath = paths.openssl_capath if Path(paths.openssl_capath).is_dir() else None
        if cafile or capath:
            context.load_verify_locations(cafile=cafile, capath=capath)
        return context
    try:
        context.load_verify_locations(cafile=str(Path(ca_file).expanduser()))
    except (OSError, ssl.SSLError) as error:
        detail = error.strerror if isinstance(error, FileNotFoundError) else "no PEM certificates in it"
        raise ConfigError(f"tls = 'ca:{ca_file}': {detail}") from None
    return context


def unverified_context() -> ssl.SSLContext:
    """Return a context that accepts any certificate, for ``off`` and for reading a certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class TlsContexts:
    """One context per policy for the whole process: a context costs about 1 MB and 50 ms."""

    def __init__(self) -> None:
        self._verifying: dict[str, ssl.SSLContext] = {}
        self._unverified: ssl.SSLContext | None = None

    def for_policy(self, policy: TlsPolicy) -> ssl.SSLContext | aiohttp.Fingerprint:
        """Return what aiohttp takes as ``ssl``.

        Raises:
            ConfigError: The CA file cannot be read.
            ValueError: ``tofu`` has to become a pin first.
        """
        if policy.kind == "pin":
            return aiohttp.Fingerprint(policy.digest)
        if policy.kind == "off":
            return self.unverified()
        if policy.kind == "tofu":
            raise ValueError("trust on first use needs the pin of the first use")
        context = self._verifying.get(policy.ca_file)
        if context is None:
            context = self._verifying[policy.ca_file] = verifying_context(policy.ca_file)
        return context

    def unverified(self) -> ssl.SSLContext:
        """Return the context that accepts any certificate."""
        if self._unverified is None:
            self._unverified = unverified_context()
        return self._unverified


async def certificate_digest(host: str, port: int, contexts: TlsContexts) -> bytes:
    """Return the SHA-256 of the certificate that ``host`` shows, without sending anything else.

    Raises:
        BmcUnreachableError: There is no connection or no TLS.
    """
    where = f"{host}:{port}"
    try:
        _, writer = await asyncio.open_connection(host, port, ssl=contexts.unverified(), server_hostname=host)
    except ssl.SSLError as error:
        raise BmcUnreachableError(f"{where}: TLS: {error.reason!r}", reason="tls") from None
    except OSError as error:
        detail = error.strerror or type(error).__name__
        raise BmcUnreachableError(f"{where}: {detail}", reason="unreachable") from None
    try:
        shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    finally:
        writer.transport.abort()
    return hashlib.sha256(shown).digest()
