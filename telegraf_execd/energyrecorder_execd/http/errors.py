"""Turns HTTP status codes and what aiohttp raises into the project's errors with their reasons."""

from __future__ import annotations

import functools
import os
import re
import ssl
from email.utils import parsedate_to_datetime

import aiohttp

from energyrecorder.errors import BmcDataError, BmcError, BmcUnreachableError
from energyrecorder_execd.http.tls import changed_certificate

_REASONS = {
    400: "protocol",
    401: "privilege",
    403: "privilege",
    404: "unsupported",
    405: "unsupported",
    408: "busy",
    410: "unsupported",
    423: "busy",
    429: "busy",
    501: "unsupported",
    502: "busy",
    503: "busy",
    504: "busy",
}
MAX_RETRY_AFTER_S = 3600.0

# iDRAC9 with 503 and SYS518, data sources unavailable: "retry ... after 30 seconds" in the message, no
# Retry-After header (metal-operator#170).
_WAIT_IN_TEXT = re.compile(
    r"\b(?:wait|retry|try again)\b[^.]{0,80}?\b(\d{1,4})[ -]?(second|minute)", re.IGNORECASE
)
_TEXT_BYTES = 4096

# What OpenSSL 3 says to a server that speaks nothing newer than TLS 1.1.
_TOO_OLD = frozenset(
    {
        "UNSUPPORTED_PROTOCOL",
        "TLSV1_ALERT_PROTOCOL_VERSION",
        "WRONG_SSL_VERSION",
        "UNSAFE_LEGACY_RENEGOTIATION_DISABLED",
        "SSLV3_ALERT_HANDSHAKE_FAILURE",
        "DH_KEY_TOO_SMALL",
    }
)
_OLD_TLS = "; if it speaks old TLS only, legacy_tls = true allows that. To look at it"


class HttpStatusError(BmcError):
    """The BMC answered a request with a status other than success.

    Args:
        message: One line.
        status: The HTTP status.
        retry_after_s: What the BMC asks us to wait, seconds; None if it does not say.
    """

    def __init__(self, message: str, *, status: int, retry_after_s: float | None = None) -> None:
        super().__init__(message, reason=status_reason(status))
        self.status = status
        self.retry_after_s = retry_after_s

    @property
    def absent(self) -> bool:
        """Whether this says that the resource is not for us here, rather than that it fails just now."""
        return self.reason in {"unsupported", "privilege"}


class LogInFailedError(BmcError):
    """A log-in came to nothing, for another reason than a refusal; the poll is over, whatever it asked for.

    Args:
        message: One line.
        reason: One of `energyrecorder.schema.ERRORS`.
        retry_after_s: What the BMC asks us to wait, seconds; None if it does not say.
    """

    def __init__(self, message: str, *, reason: str, retry_after_s: float | None = None) -> None:
        super().__init__(message, reason=reason)
        self.retry_after_s = retry_after_s


def status_reason(status: int) -> str:
    """Return the reason that an HTTP status other than success stands for."""
    return _REASONS.get(status, "protocol")


def retry_after_s(value: str | None, *, now_s: float) -> float | None:
    """Return a ``Retry-After`` header in seconds from now, at most an hour; None when missing or malformed.

    Args:
        value: Seconds or an HTTP date (RFC 9110, section 10.2.3).
        now_s: Seconds since the Unix epoch, UTC.
    """
    if value is None:
        return None
    text = value.strip()
    if text.isdecimal():
        return min(float(text), MAX_RETRY_AFTER_S)
    moment_s = http_date_s(text)
    return None if moment_s is None else min(max(moment_s - now_s, 0.0), MAX_RETRY_AFTER_S)


def asked_wait_s(value: str | None, body: bytes, *, now_s: float) -> float | None:
    """Return how long the BMC asks us to wait: by its header, else in the text of its message.

    Args:
        value: ``Retry-After`` header; None when there is none.
        body: Body of the answer.
        now_s: Seconds since the Unix epoch, UTC.
    """
    by_header = retry_after_s(value, now_s=now_s)
    if by_header is not None:
        return by_header
    found = _WAIT_IN_TEXT.search(body[:_TEXT_BYTES].decode("utf-8", "replace"))
    if found is None:
        return None
    unit_s = 60.0 if found[2].lower() == "minute" else 1.0
    return min(float(found[1]) * unit_s, MAX_RETRY_AFTER_S)


@functools.lru_cache(maxsize=64)
def http_date_s(value: str | None) -> float | None:
    """Return an HTTP date in seconds since the Unix epoch, UTC; None when missing or malformed.

    Kept, since all BMCs whose clocks are right send the same text within a second.
    """
    if not value:
        return None
    try:
        return parsedate_to_datetime(value).timestamp()
    except (ValueError, OverflowError, TypeError):
        return None


def transport_error(error: Exception, where: str) -> BmcError:
    """Return what ``error``, raised by aiohttp, means.

    Args:
        error: As caught.
        where: Method and address, for the message.
    """
    if isinstance(error, aiohttp.ServerFingerprintMismatch | aiohttp.ClientSSLError):
        return BmcUnreachableError(f"{where}: TLS: {_tls_detail(error)}: energy-execd pin", reason="tls")
    if isinstance(error, TimeoutError):
        return BmcUnreachableError(f"{where}: no answer in time", reason="timeout")
    if isinstance(error, aiohttp.ClientConnectorError):
        if isinstance(error.os_error, ConnectionResetError):
            # TCP is refused, not reset: the handshake of TLS had begun.
            detail = f"the BMC broke off the handshake{_OLD_TLS}: energy-execd pin"
            return BmcUnreachableError(f"{where}: TLS: {detail}", reason="tls")
        detail = _os_detail(error.os_error)
    elif isinstance(error, aiohttp.ClientPayloadError):
        detail = "the connection broke inside the answer"
    elif isinstance(error, aiohttp.ServerDisconnectedError | OSError):
        detail = "the connection broke"
    else:
        return BmcDataError(f"{where}: no valid HTTP ({type(error).__name__})", reason="protocol")
    return BmcUnreachableError(f"{where}: {detail}", reason="unreachable")


def _os_detail(error: OSError) -> str:
    if error.errno:
        return os.strerror(error.errno)
    return error.strerror or type(error).__name__


def _tls_detail(error: aiohttp.ServerFingerprintMismatch | aiohttp.ClientSSLError) -> str:
    if isinstance(error, aiohttp.ServerFingerprintMismatch):
        return changed_certificate(error.expected, error.got)
    cause: object = error
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        cause = error.certificate_error
    if isinstance(cause, ssl.SSLCertVerificationError) and not getattr(cause, "verify_message", ""):
        return str(cause.args[0])  # of a pin, see `tls`
    detail = getattr(cause, "verify_message", None) or getattr(cause, "reason", None) or str(cause)
    if str(detail) in _TOO_OLD:
        return f"{detail!r}{_OLD_TLS}"
    return f"{detail!r}; to trust its certificate"
