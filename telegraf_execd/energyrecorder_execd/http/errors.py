"""Turns HTTP status codes and what a connection raises into the project's errors with their reasons."""

from __future__ import annotations

import functools
import os
import re
import ssl
from email.utils import parsedate_to_datetime

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

# iDRAC9 with 503 and SYS518, data sources unavailable: "retry ... after 30 seconds" in the message, no
# Retry-After header (metal-operator#170).
_DURATION = r"\b(?P<number{0}>\d{{1,4}}|one)[ -]?(?P<unit{0}>s|secs?|seconds?|min|mins|minutes?)\b"
_AGAIN = r"\b(?:wait|retry|try again|resubmit)\b"
_WAIT_IN_TEXT = re.compile(
    _AGAIN + r"[^.]{0,80}?" + _DURATION.format(1) + "|" + _DURATION.format(2) + r"[^.]{0,80}?" + _AGAIN,
    re.IGNORECASE,
)
_TEXT_BYTES = 4096

_ERRNO_IN_TEXT = re.compile(r"\[Errno (\d+)\]")

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
    number, unit = (found["number1"] or found["number2"]).lower(), found["unit1"] or found["unit2"]
    unit_s = 60.0 if unit.lower().startswith("m") else 1.0
    return min((1.0 if number == "one" else float(number)) * unit_s, MAX_RETRY_AFTER_S)


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


def connect_error(error: Exception, where: str) -> BmcError:
    """Return what ``error``, raised while a connection was made, means.

    Args:
        error: As caught.
        where: Method and address, for the message.
    """
    if isinstance(error, ssl.SSLError):
        return untrusted(_tls_advice(error), where)
    if isinstance(error, OSError):
        return BmcUnreachableError(f"{where}: {_os_detail(error)}", reason="unreachable")
    return _no_http(error, where)


def exchange_error(error: Exception, where: str, *, is_begun: bool) -> BmcError:
    """Return what ``error``, raised while an answer was awaited, means.

    Args:
        error: As caught.
        where: Method and address, for the message.
        is_begun: Something of the answer had been received.
    """
    if isinstance(error, ssl.SSLError):
        return untrusted(_tls_advice(error), where)
    if isinstance(error, TimeoutError):  # TCP gave up
        return BmcUnreachableError(f"{where}: no answer in time", reason="timeout")
    if isinstance(error, OSError):
        inside = " inside the answer" if is_begun else ""
        return BmcUnreachableError(f"{where}: the connection broke{inside}", reason="unreachable")
    return _no_http(error, where)


def untrusted(detail: str, where: str) -> BmcError:
    """Return the error of a BMC whose TLS or certificate does not do.

    Args:
        detail: What is wrong with it.
        where: Method and address.
    """
    return BmcUnreachableError(f"{where}: TLS: {detail}: energy-execd pin", reason="tls")


def _no_http(error: Exception, where: str) -> BmcError:
    return BmcDataError(f"{where}: no valid HTTP ({str(error) or type(error).__name__})", reason="protocol")


def _os_detail(error: OSError) -> str:
    if error.errno is not None and error.errno > 0:
        return os.strerror(error.errno)
    if error.strerror:
        return error.strerror  # of the resolver, whose numbers are its own
    # What asyncio says when a name has several addresses and none can be reached.
    numbers = dict.fromkeys(_ERRNO_IN_TEXT.findall(str(error)))
    return ", ".join(os.strerror(int(number)) for number in numbers) or type(error).__name__


def tls_detail(error: ssl.SSLError) -> str:
    """Return what is wrong with the TLS or the certificate of a BMC."""
    if isinstance(error, ssl.SSLEOFError):
        return "the BMC broke off the handshake"
    return repr(getattr(error, "verify_message", None) or error.reason or str(error))


def _tls_advice(error: ssl.SSLError) -> str:
    """Return the same and what helps, before the command."""
    old = isinstance(error, ssl.SSLEOFError) or error.reason in _TOO_OLD
    return tls_detail(error) + (_OLD_TLS if old else "; to trust its certificate")
