"""Turns HTTP status codes and what aiohttp raises into the project's errors with their reasons."""

from __future__ import annotations

from email.utils import parsedate_to_datetime

import aiohttp

from energyrecorder.errors import BmcDataError, BmcError, BmcUnreachableError

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


def http_date_s(value: str | None) -> float | None:
    """Return an HTTP date in seconds since the Unix epoch, UTC; None when missing or malformed."""
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
        detail = error.os_error.strerror or type(error.os_error).__name__
    elif isinstance(error, aiohttp.ClientPayloadError):
        detail = "the connection broke inside the answer"
    elif isinstance(error, aiohttp.ServerDisconnectedError | OSError):
        detail = "the connection broke"
    else:
        return BmcDataError(f"{where}: no valid HTTP ({type(error).__name__})", reason="protocol")
    return BmcUnreachableError(f"{where}: {detail}", reason="unreachable")


def _tls_detail(error: aiohttp.ServerFingerprintMismatch | aiohttp.ClientSSLError) -> str:
    if isinstance(error, aiohttp.ServerFingerprintMismatch):
        old, new = error.expected.hex(), error.got.hex()
        return f"the certificate changed from sha256:{old} to sha256:{new}; if that is right"
    cause: object = error
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        cause = error.certificate_error
    detail = getattr(cause, "verify_message", None) or getattr(cause, "reason", None) or str(cause)
    return f"{detail!r}; to trust its certificate"
