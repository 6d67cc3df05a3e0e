"""The ways in which a BMC's certificate is trusted, and one shared context for each of them."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

from energyrecorder.errors import ConfigError

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
    except OSError as error:
        detail = "no PEM certificates in it" if isinstance(error, ssl.SSLError) else error.strerror
        raise ConfigError(f"tls = 'ca:{ca_file}': {detail}") from None
    return context


def unverified_context() -> ssl.SSLContext:
    """Return a context that accepts any certificate, for ``off`` and for reading a certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def allow_legacy(context: ssl.SSLContext) -> ssl.SSLContext:
    """Let a context speak TLS 1.0 and 1.1 with the ciphers of old BMCs; return it.

    iLO 3 and 4 and iDRAC7 of old firmware need it (python-hpilo#147, #201, #244; community.general#8555).
    What OpenSSL itself was built without, such as RC4, stays out.
    """
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.set_ciphers("ALL:!aNULL:!eNULL:@SECLEVEL=0")
    # Before RFC 5746: OpenSSL 3 refuses such servers otherwise.
    context.options |= getattr(ssl, "OP_LEGACY_SERVER_CONNECT", 0x4)
    return context


def changed_certificate(old: bytes, new: bytes) -> str:
    """Return what to say of another certificate than the pinned one."""
    return f"the certificate changed from sha256:{old.hex()} to sha256:{new.hex()}; if that is right"


class TlsContexts:
    """One context per policy for the whole process: a context costs about 1 MB and 50 ms."""

    def __init__(self) -> None:
        self._made: dict[tuple[str, str, bool], ssl.SSLContext] = {}

    def for_policy(self, policy: TlsPolicy, *, legacy: bool = False) -> ssl.SSLContext:
        """Return the context of a policy; where a certificate is pinned it accepts any: the pin decides.

        Args:
            policy: How the certificate is trusted.
            legacy: Old versions of TLS and old ciphers are allowed as well.

        Raises:
            ConfigError: The CA file cannot be read.
        """
        if policy.kind in {"pin", "tofu", "off"}:
            return self.unverified(legacy=legacy)
        return self._context("verify", policy.ca_file, legacy=legacy)

    def unverified(self, *, legacy: bool = False) -> ssl.SSLContext:
        """Return the context that accepts any certificate."""
        return self._context("off", "", legacy=legacy)

    def _context(self, kind: str, ca_file: str, *, legacy: bool) -> ssl.SSLContext:
        key = (kind, ca_file, legacy)
        if key not in self._made:
            context = unverified_context() if kind == "off" else verifying_context(ca_file)
            self._made[key] = allow_legacy(context) if legacy else context
        return self._made[key]
